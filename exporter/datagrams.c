#include "datagrams.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ipfix.h"
#include "message.h"
#include "netflow9.h"
#include "uptime_epoch.h"

// The datagrams of one family under construction, back to back: all but the last are full and
// alike.
struct run {
	const struct field_layout *layout;
	unsigned full_records; // of a full datagram
	size_t full_bytes;
	unsigned most_datagrams;

	unsigned n_datagrams; // begun; 0 = closed
	int64_t *newest_ms;   // of the last one
	uint8_t *begin;       // of its records
	uint8_t *at;          // of its next record
	uint8_t *end;         // from where on make_room() is asked first

	int64_t newest_ms_of[EXPORT_RUN_DATAGRAMS]; // LAST of all records of each
	uint8_t out[EXPORT_RUN_BYTES + FIELDS_SLACK_BYTES];
};

struct datagrams {
	struct encoder_config config;
	enum field_protocol protocol;
	size_t header_bytes;
	export_send_fn send;
	void *arg;
	struct field_layout layouts[2];
	struct options_data options;

	uint32_t sequence; // v9: of datagrams; IPFIX: of data records, those of options too
	struct uptime_epoch epoch;

	bool renew; // the next datagram carries templates
	int64_t templates_ms;
	uint32_t packets_since_templates;

	int64_t now_ms; // of the latest record under construction
	// The runs are to become one datagram: templates, and records of both families.
	bool mixed;
	size_t n_head;                             // octets of its header, templates and options
	unsigned n_head_templates, n_head_options; // records of these
	struct encoder_stats stats;
	struct run ipv4, ipv6;
};

static void close_run(struct run *run) {
	run->n_datagrams = 0;
	run->begin = run->at = run->end = run->out;
}

static void
run_init(struct run *run, const struct datagrams *encoder, const struct field_layout *layout) {
	size_t head_bytes = encoder->header_bytes + SET_HEADER_BYTES;
	size_t datagram_bytes = encoder->config.datagram_bytes;
	size_t record_bytes = layout->record_bytes;

	run->layout = layout;
	run->full_records = (unsigned)((datagram_bytes - head_bytes) / record_bytes);
	run->full_bytes =
		message_padded(encoder->protocol, head_bytes + run->full_records * record_bytes);
	if (run->full_bytes > datagram_bytes) {
		run->full_records--;
		run->full_bytes = message_padded(
			encoder->protocol, head_bytes + run->full_records * record_bytes
		);
	}
	run->most_datagrams = (unsigned)(EXPORT_RUN_BYTES / run->full_bytes);
	if (run->most_datagrams > EXPORT_RUN_DATAGRAMS)
		run->most_datagrams = EXPORT_RUN_DATAGRAMS;
	close_run(run);
}

static bool is_valid(const struct encoder_config *config) {
	bool ipfix = config->protocol == ENCODER_IPFIX;
	unsigned most = ipfix ? EXPORT_RUN_BYTES : NETFLOW9_MAX_DATAGRAM_BYTES;

	return (ipfix || config->source_id != 0)
	       && config->datagram_bytes >= NETFLOW9_MIN_DATAGRAM_BYTES
	       && config->datagram_bytes <= most && config->sampling_interval > 0
	       && config->sampling_algorithm <= 2;
}

struct datagrams *
datagrams_new(const struct encoder_config *config, export_send_fn send, void *arg) {
	struct field_profile standard;

	if (!is_valid(config) || send == NULL) {
		errno = EINVAL;
		return NULL;
	}
	struct datagrams *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->config = *config;
	encoder->protocol = config->protocol == ENCODER_IPFIX ? FIELDS_IPFIX : FIELDS_NETFLOW9;
	encoder->header_bytes = message_header_bytes(encoder->protocol);
	encoder->send = send;
	encoder->arg = arg;
	field_profile_standard(&standard);
	const struct field_profile *profile = config->profile != NULL ? config->profile : &standard;
	memcpy(encoder->layouts, profile->layouts[encoder->protocol], sizeof(encoder->layouts));
	options_data_init(
		&encoder->options, encoder->protocol, config->source_id, encoder->layouts
	);
	encoder->options.sampling_interval = config->sampling_interval;
	if (config->sampling_algorithm != 0)
		encoder->options.sampling_algorithm = config->sampling_algorithm;
	run_init(&encoder->ipv4, encoder, &encoder->layouts[0]);
	run_init(&encoder->ipv6, encoder, &encoder->layouts[1]);
	// IPFIX has absolute times: every record fits.
	uptime_epoch_init(&encoder->epoch, encoder->protocol == FIELDS_IPFIX);
	encoder->renew = true;
	return encoder;
}

void datagrams_free(struct datagrams *encoder) {
	free(encoder);
}

static bool is_open(const struct datagrams *encoder) {
	return encoder->ipv4.n_datagrams > 0 || encoder->ipv6.n_datagrams > 0;
}

// Records of the last datagram.
static unsigned last_records(const struct run *run) {
	return (unsigned)((size_t)(run->at - run->begin) / run->layout->record_bytes);
}

static uint8_t *datagram_of(struct run *run, unsigned i) {
	return run->out + i * run->full_bytes;
}

// Completes the set of a run's last datagram. Returns where it ends.
static uint8_t *end_records(const struct datagrams *encoder, struct run *run) {
	uint8_t *set = run->begin - SET_HEADER_BYTES;
	return set
	       + message_end_set(
		       encoder->protocol, set, run->layout->id, 0, (size_t)(run->at - set)
	       );
}

// Begins the next datagram of a run, its records behind `n_head` octets and their set's header.
static void begin_datagram(const struct datagrams *encoder, struct run *run, size_t n_head) {
	if (run->n_datagrams > 0)
		end_records(encoder, run);
	run->begin = datagram_of(run, run->n_datagrams) + n_head + SET_HEADER_BYTES;
	run->at = run->begin;
	run->end = run->begin + (size_t)run->full_records * run->layout->record_bytes;
	run->newest_ms = &run->newest_ms_of[run->n_datagrams++];
	*run->newest_ms = INT64_MIN;
}

// What a datagram holds.
struct content {
	size_t bytes;
	unsigned n_records, n_templates, n_options;
};

static void put_header(
	struct datagrams *encoder, uint8_t *out, const struct content *content, int64_t newest_ms
) {
	bool ipfix = encoder->protocol == FIELDS_IPFIX;
	unsigned n_data = content->n_records + content->n_options;
	int64_t second = uptime_epoch_header_s(&encoder->epoch, encoder->now_ms, newest_ms);

	message_put_header(
		encoder->protocol,
		out,
		&(struct message_header){
			.bytes = content->bytes,
			.count = n_data + content->n_templates,
			.uptime_ms = ipfix ? 0 : (uint32_t)(second * 1000 - encoder->epoch.boot_ms),
			.second = (uint32_t)second,
			.sequence = encoder->sequence,
			.domain = encoder->config.source_id,
		}
	);
	encoder->sequence += ipfix ? n_data : 1;
}

// Hands a run over whose sets are complete.
static void send_run(struct datagrams *encoder, struct run *run, const struct content *last) {
	const struct content full = {run->full_bytes, run->full_records, 0, 0};
	const struct export_run done = {
		.octets = run->out,
		.datagram_bytes = full.bytes,
		.last_bytes = last->bytes,
		.n_datagrams = run->n_datagrams,
		.datagram_records = full.n_records,
		.last_records = last->n_records,
	};

	for (unsigned i = 0; i < done.n_datagrams; i++) {
		const struct content *content = i + 1 < done.n_datagrams ? &full : last;
		put_header(encoder, datagram_of(run, i), content, run->newest_ms_of[i]);
	}
	close_run(run);
	encoder->packets_since_templates += done.n_datagrams;
	encoder->stats.datagrams += done.n_datagrams;
	encoder->stats.octets += export_run_bytes(&done);
	encoder->stats.records += export_run_records(&done);
	encoder->stats.templates += last->n_templates;
	encoder->stats.options += last->n_options;
	encoder->send(&done, encoder->arg);
}

static void end_run(struct datagrams *encoder, struct run *run) {
	if (run->n_datagrams == 0)
		return;
	const uint8_t *end = end_records(encoder, run);
	size_t bytes = (size_t)(end - datagram_of(run, run->n_datagrams - 1));
	send_run(encoder, run, &(struct content){bytes, last_records(run), 0, 0});
}

static size_t octets_of_set(const struct datagrams *encoder, const struct run *run, unsigned n) {
	if (n == 0)
		return 0;
	return message_padded(
		encoder->protocol, SET_HEADER_BYTES + (size_t)n * run->layout->record_bytes
	);
}

// Octets of a datagram of so many records of both families.
static size_t
octets_of(const struct datagrams *encoder, size_t n_head, unsigned n_ipv4, unsigned n_ipv6) {
	return n_head + octets_of_set(encoder, &encoder->ipv4, n_ipv4)
	       + octets_of_set(encoder, &encoder->ipv6, n_ipv6);
}

// One datagram of both families' records: behind templates, and at a flush where they fit, so
// that who exports little sends as few datagrams as can be.
static void end_joined(struct datagrams *encoder) {
	struct run *ipv4 = &encoder->ipv4, *ipv6 = &encoder->ipv6;
	unsigned n_ipv4 = last_records(ipv4), n_ipv6 = last_records(ipv6);
	struct content content = {
		.bytes = encoder->mixed ? encoder->n_head : encoder->header_bytes,
		.n_records = n_ipv4 + n_ipv6,
		.n_templates = encoder->mixed ? encoder->n_head_templates : 0,
		.n_options = encoder->mixed ? encoder->n_head_options : 0,
	};

	if (n_ipv4 > 0)
		content.bytes = (size_t)(end_records(encoder, ipv4) - ipv4->out);
	if (n_ipv6 > 0) {
		const uint8_t *set = ipv6->begin - SET_HEADER_BYTES;
		size_t bytes = (size_t)(end_records(encoder, ipv6) - set);
		memcpy(ipv4->out + content.bytes, set, bytes);
		content.bytes += bytes;
		if (*ipv6->newest_ms > *ipv4->newest_ms)
			*ipv4->newest_ms = *ipv6->newest_ms;
	}
	close_run(ipv6);
	encoder->mixed = false;
	send_run(encoder, ipv4, &content);
}

static void end_runs(struct datagrams *encoder) {
	struct run *ipv4 = &encoder->ipv4, *ipv6 = &encoder->ipv6;
	size_t joined_bytes =
		octets_of(encoder, encoder->header_bytes, last_records(ipv4), last_records(ipv6));

	if (encoder->mixed
	    || (ipv4->n_datagrams == 1 && ipv6->n_datagrams == 1
		&& joined_bytes <= encoder->config.datagram_bytes)) {
		end_joined(encoder);
		return;
	}
	end_run(encoder, ipv4);
	end_run(encoder, ipv6);
}

void datagrams_flush(struct datagrams *encoder, int64_t now_ms) {
	if (!is_open(encoder))
		return;
	// A clock that was set back since does not take the packets back with it.
	if (now_ms > encoder->now_ms && now_ms < UPTIME_TIME_MS_LIMIT)
		encoder->now_ms = now_ms;
	end_runs(encoder);
}

static bool templates_due(const struct datagrams *encoder, int64_t now_ms) {
	const struct encoder_config *config = &encoder->config;
	int64_t since_ms = now_ms - encoder->templates_ms;
	unsigned n_packets = encoder->packets_since_templates + encoder->ipv4.n_datagrams
			     + encoder->ipv6.n_datagrams;

	if (encoder->renew)
		return true;
	// A clock that went back is no reason to wait for it.
	return (config->template_interval_ms > 0
		&& (since_ms < 0 || since_ms >= config->template_interval_ms))
	       || (config->template_packets > 0 && n_packets >= config->template_packets);
}

// Puts templates and options. What does not go into one datagram leaves before.
static void put_head(struct datagrams *encoder) {
	struct run *run = &encoder->ipv4;
	struct options_cursor cursor = {.templates = true, .kinds = OPTIONS_ALL};

	for (;;) {
		encoder->options.octets = encoder->stats.octets;
		encoder->options.messages = encoder->stats.datagrams;
		encoder->options.flows = encoder->stats.records;
		size_t bytes = options_put(
			&encoder->options,
			encoder->layouts,
			&cursor,
			run->out,
			encoder->header_bytes,
			encoder->config.datagram_bytes
		);
		if (options_done(&cursor)) {
			encoder->n_head = bytes;
			encoder->n_head_templates = cursor.n_templates;
			encoder->n_head_options = cursor.n_options;
			return;
		}
		run->n_datagrams = 1;
		run->newest_ms_of[0] = INT64_MIN;
		send_run(
			encoder,
			run,
			&(struct content){bytes, 0, cursor.n_templates, cursor.n_options}
		);
	}
}

static void begin_mixed(struct datagrams *encoder, int64_t now_ms) {
	put_head(encoder);
	encoder->mixed = true;
	encoder->renew = false;
	encoder->templates_ms = now_ms;
	encoder->packets_since_templates = 0;
	begin_datagram(encoder, &encoder->ipv4, encoder->n_head);
	begin_datagram(encoder, &encoder->ipv6, encoder->header_bytes);
	// What fits depends on both: make_room() looks at every record.
	encoder->ipv4.end = encoder->ipv4.begin;
	encoder->ipv6.end = encoder->ipv6.begin;
}

// Whether a record more of `run` goes behind the templates.
static bool fits_mixed(const struct datagrams *encoder, const struct run *run) {
	unsigned n_ipv4 = last_records(&encoder->ipv4) + (run == &encoder->ipv4);
	unsigned n_ipv6 = last_records(&encoder->ipv6) + (run == &encoder->ipv6);
	return octets_of(encoder, encoder->n_head, n_ipv4, n_ipv6)
	       <= encoder->config.datagram_bytes;
}

// Makes room for a record in `run`. Once a datagram, but for those with templates.
[[gnu::noinline]] static void
make_room(struct datagrams *encoder, struct run *run, int64_t now_ms) {
	if (encoder->mixed) {
		if (fits_mixed(encoder, run))
			return;
		end_runs(encoder);
	} else if (run->n_datagrams == run->most_datagrams) {
		end_run(encoder, run);
	}

	bool due = templates_due(encoder, now_ms);
	if (due)
		end_runs(encoder);
	if (!is_open(encoder))
		encoder->now_ms = now_ms;
	if (due)
		begin_mixed(encoder, now_ms);
	// The templates may have left no room behind them.
	if (due && !fits_mixed(encoder, run))
		end_runs(encoder);
	if (!encoder->mixed)
		begin_datagram(encoder, run, encoder->header_bytes);
}

// Begins another epoch where the present one does not do for a record.
[[gnu::noinline, gnu::cold]] static void
check_epoch(struct datagrams *encoder, int64_t first_ms, int64_t last_ms, int64_t now_ms) {
	int64_t header_ms = now_ms;

	if (is_open(encoder) && encoder->now_ms > now_ms)
		header_ms = encoder->now_ms;
	if (uptime_epoch_fits(&encoder->epoch, first_ms, last_ms, header_ms))
		return;
	if (is_open(encoder))
		end_runs(encoder);
	uptime_epoch_begin(&encoder->epoch, first_ms, last_ms, now_ms);
	encoder->renew = true;
}

void datagrams_add(
	struct datagrams *encoder,
	const struct flow_record *records,
	size_t n_records,
	int64_t now_ms
) {
	now_ms = uptime_bounded_ms(now_ms);
	for (const struct flow_record *record = records; record < records + n_records; record++) {
		bool ipv6 = record->key.family == FLOW_IPV6;
		struct run *run = ipv6 ? &encoder->ipv6 : &encoder->ipv4;
		int64_t first_ms = ms_of_ticks(record->first_ticks);
		int64_t last_ms = ms_of_ticks(record->last_ticks);

		if (!uptime_epoch_surely_fits(&encoder->epoch, first_ms, last_ms, now_ms))
			check_epoch(encoder, first_ms, last_ms, now_ms);
		if (run->at >= run->end)
			make_room(encoder, run, now_ms);
		if (now_ms > encoder->now_ms)
			encoder->now_ms = now_ms;
		if (last_ms > *run->newest_ms)
			*run->newest_ms = last_ms;
		field_layout_encode(run->layout, run->at, record, encoder->epoch.boot_ms);
		run->at += run->layout->record_bytes;
	}
}

void datagrams_renew_templates(struct datagrams *encoder) {
	encoder->renew = true;
}

void datagrams_set_sampling(struct datagrams *encoder, uint32_t interval, uint8_t algorithm) {
	struct options_data *options = &encoder->options;

	assert(interval > 0 && (algorithm == 1 || algorithm == 2));
	if (options->sampling_interval == interval && options->sampling_algorithm == algorithm)
		return;
	if (is_open(encoder))
		end_runs(encoder);
	options->sampling_interval = interval;
	options->sampling_algorithm = algorithm;
	encoder->renew = true;
}

void datagrams_set_interfaces(
	struct datagrams *encoder, const struct export_interface *interfaces, size_t n
) {
	options_data_set_interfaces(&encoder->options, interfaces, n);
	encoder->renew = true;
}

void datagrams_set_counts(struct datagrams *encoder, const struct export_counts *counts) {
	encoder->options.counts = *counts;
	encoder->options.has_counts = true;
}

void datagrams_stats(const struct datagrams *encoder, struct encoder_stats *stats) {
	*stats = encoder->stats;
}
