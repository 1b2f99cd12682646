#include "send_options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "netflow9.h"
#include "options.h"
#include "units.h"

// At 24 records each some 480,000 records a second: more than replays make, and what a
// collector with the kernel's default receive buffer can take.
#define DEFAULT_DATAGRAMS_PER_S 20000
#define MAX_RATE UINT64_C(1000000000000)

enum {
	TEMPLATE_PACKETS = 4800,
};

void send_options_init(struct send_options *options) {
	*options = (struct send_options){
		.template_interval_ns = 30 * NS_PER_S,
		.source_id = 1,
		.rate = {DEFAULT_DATAGRAMS_PER_S, PACER_DATAGRAMS},
		.fields = "standard",
	};
	field_profile_standard(&options->profile);
}

// Whether `text` ends with `unit`, which is cut off.
static bool cut_unit(char *text, const char *unit) {
	size_t n = strlen(text), n_unit = strlen(unit);

	if (n <= n_unit || strcmp(text + n - n_unit, unit) != 0)
		return false;
	text[n - n_unit] = '\0';
	return true;
}

static int rate(const char *arg, struct pacer_rate *rate) {
	char number[64];
	int rc = -EINVAL;

	if (snprintf(number, sizeof(number), "%s", arg) < (int)sizeof(number)) {
		(void)cut_unit(number, "/s");
		rate->unit = PACER_RECORDS;
		if (cut_unit(number, "bit"))
			rate->unit = PACER_BITS;
		else if (cut_unit(number, "datagrams"))
			rate->unit = PACER_DATAGRAMS;
		else
			(void)cut_unit(number, "records");
		rc = units_count(number, &rate->per_s);
	}
	if (rc == 0 && rate->per_s <= MAX_RATE)
		return 0;
	return options_mistake(
		"--rate %s: not a rate; use records a second, such as 500000, or 100Mbit, or "
		"20000datagrams, up to 10^12 of them, or 0 for no limit",
		arg
	);
}

// Either option may come first.
static int make_profile(struct send_options *options) {
	char error[FIELD_PROFILE_ERROR_BYTES];

	if (field_profile_parse(&options->profile, options->fields, options->timestamps, error) < 0)
		return options_mistake("--fields %s: %s", options->fields, error);
	return 0;
}

static int take_fields(struct send_options *options, int id, const char *arg) {
	if (id == OPT_FIELDS)
		options->fields = arg;
	else if (field_timestamps_parse(&options->timestamps, arg) < 0)
		return options_mistake(
			"--timestamps %s: not known; use uptime, absolute or both", arg
		);
	return make_profile(options);
}

static int collector(struct send_options *options, const char *arg) {
	const char *wrong = collector_mistake(arg);

	if (options->n_collectors == SINKS_MAX_COLLECTORS)
		return options_mistake(
			"--collector %s: at most %d collectors", arg, SINKS_MAX_COLLECTORS
		);
	if (wrong != NULL)
		return options_mistake(
			"--collector %s: %s; use HOST:PORT or \"[IPV6]:PORT\" in quotes, such as "
			"192.0.2.10:2055",
			arg,
			wrong
		);
	options->collectors[options->n_collectors++] = arg;
	return 0;
}

int send_options_take(struct send_options *options, int id, const char *arg) {
	static const char *const ledgers[] = {"text", "json", "none", NULL};
	static const char *const distributions[] = {"mirror", "balance", NULL};
	uint64_t value;
	int rc;

	switch (id) {
	case OPT_COLLECTOR:
		return collector(options, arg);
	case OPT_LEDGER:
		rc = options_one_of("ledger", arg, ledgers, "text, json or none");
		if (rc >= 0)
			options->ledger = LEDGER_TEXT + (enum ledger_format)rc;
		return rc;
	case OPT_TEMPLATE_INTERVAL:
		rc = options_timeout("template-interval", arg, &options->template_interval_ns);
		if (rc == 0 && options->template_interval_ns < NS_PER_S)
			rc = options_mistake("--template-interval %s: at least 1s", arg);
		return rc;
	case OPT_RATE:
		return rate(arg, &options->rate);
	case OPT_DISTRIBUTE:
		rc = options_one_of("distribute", arg, distributions, "mirror or balance");
		if (rc >= 0)
			options->distribution = DISTRIBUTE_MIRROR + (enum distribution)rc;
		return rc;
	case OPT_TLS_CA:
		options->tls.ca_file = arg;
		return 0;
	case OPT_TLS_CERT:
		options->tls.cert_file = arg;
		return 0;
	case OPT_TLS_KEY:
		options->tls.key_file = arg;
		return 0;
	case OPT_TLS_NAME:
		options->tls.server_name = arg;
		return 0;
	case OPT_FIELDS:
	case OPT_TIMESTAMPS:
		return take_fields(options, id, arg);
	case OPT_SCALE_COUNTERS: // of a file it says so
		options->scale_counters = arg == NULL || strcmp(arg, "true") == 0;
		return 0;
	case OPT_DATAGRAM_SIZE:
		rc = options_whole(
			"datagram-size",
			arg,
			NETFLOW9_MIN_DATAGRAM_BYTES,
			NETFLOW9_MAX_DATAGRAM_BYTES,
			&value
		);
		if (rc == 0)
			options->datagram_bytes = (uint16_t)value;
		return rc;
	case OPT_SOURCE_ID:
		rc = options_whole("source-id", arg, 1, UINT32_MAX, &value);
		if (rc == 0)
			options->source_id = (uint32_t)value;
		return rc;
	default:
		return -ENOENT;
	}
}

bool send_options_mpls(const struct send_options *options) {
	enum { TOP_LABEL_STACK_SECTION = 70 };
	const struct field_layout *layout = &options->profile.layouts[FIELDS_IPFIX][0];

	for (unsigned i = 0; i < layout->n_fields; i++)
		if (layout->fields[i].id == TOP_LABEL_STACK_SECTION)
			return true;
	return false;
}

struct encoder_config
send_options_encoder(const struct send_options *options, uint32_t interval, uint8_t algorithm) {
	return (struct encoder_config){
		.source_id = options->source_id,
		.datagram_bytes = options->datagram_bytes,
		.template_interval_ms = (uint32_t)(options->template_interval_ns / NS_PER_MS),
		.template_packets = TEMPLATE_PACKETS,
		.sampling_interval = interval,
		.sampling_algorithm = algorithm,
		.profile = &options->profile,
		.scale_counters = options->scale_counters,
	};
}
