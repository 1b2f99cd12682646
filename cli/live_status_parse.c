// What the sensor said, read again.

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "live_status.h"

// The values of one line.
struct values {
	const char *at;
	bool bad;
};

static uint64_t number(struct values *values) {
	char *end;

	if (values->bad || values->at[0] != ' ' || !isdigit((unsigned char)values->at[1])) {
		values->bad = true;
		return 0;
	}
	errno = 0;
	uint64_t value = strtoull(values->at + 1, &end, 10);
	values->bad = errno != 0;
	values->at = end;
	return value;
}

static int nibble(char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void name(struct values *values, char out[STATUS_NAME_BYTES]) {
	unsigned n = 0;

	if (values->bad || values->at[0] != ' ') {
		values->bad = true;
		return;
	}
	const char *at = values->at + 1;
	while (*at > ' ' && n < STATUS_NAME_BYTES - 1) {
		int c = (unsigned char)*at++;
		if (c == '%') {
			int high = nibble(at[0]);
			int low = high < 0 ? -1 : nibble(at[1]);
			if (low < 0)
				break;
			c = high * 16 + low;
			at += 2;
		}
		out[n++] = (char)(c >= ' ' && c < 127 ? c : '?');
	}
	out[n] = '\0';
	values->bad = n == 0 || (*at != ' ' && *at != '\0');
	values->at = at;
}

static void count(struct values *values, struct status_count *out) {
	out->packets = number(values);
	out->bytes = number(values);
}

// The next of an array that has `most`, or NULL, and the line is bad.
#define NEXT(values, array, n, most)                                                               \
	((n) < (most) ? &(array)[(n)++] : ((values)->bad = true, (void *)NULL))

static void take_reason(struct live_status *status, struct values *values) {
	struct status_reason *reason =
		NEXT(values, status->reasons, status->n_reasons, STATUS_MAX_REASONS);
	if (reason == NULL)
		return;
	name(values, reason->name);
	count(values, &reason->count);
}

static void take_end(struct live_status *status, struct values *values) {
	struct status_records *end = NEXT(values, status->ends, status->n_ends, STATUS_MAX_ENDS);
	if (end == NULL)
		return;
	name(values, end->name);
	end->records = number(values);
}

static void take_port(struct live_status *status, struct values *values) {
	struct status_port *port = NEXT(values, status->ports, status->n_ports, STATUS_MAX_PORTS);
	if (port == NULL)
		return;
	name(values, port->name);
	port->up = number(values) != 0;
	count(values, &port->received);
	port->missed = number(values);
	port->errors = number(values);
	port->no_mbuf = number(values);
}

static void take_worker(struct live_status *status, struct values *values) {
	struct status_worker *worker =
		NEXT(values, status->workers, status->n_workers, STATUS_MAX_WORKERS);
	if (worker == NULL)
		return;
	worker->flows = number(values);
	worker->capacity = number(values);
	worker->started = number(values);
	worker->packets = number(values);
	worker->octets = number(values);
	worker->ring = number(values);
	worker->ring_capacity = number(values);
	worker->lost = number(values);
	worker->busy_ns = number(values);
}

static void take_sink(struct live_status *status, struct values *values) {
	struct status_sink *sink = NEXT(values, status->sinks, status->n_sinks, STATUS_MAX_SINKS);
	if (sink == NULL)
		return;
	name(values, sink->name);
	sink->records = number(values);
	sink->sent = number(values);
	sink->datagrams = number(values);
	sink->octets = number(values);
}

static void take_loss(struct live_status *status, struct values *values) {
	values->bad = status->n_sinks == 0;
	if (values->bad)
		return;
	struct status_sink *sink = &status->sinks[status->n_sinks - 1];
	struct status_records *loss = NEXT(values, sink->losses, sink->n_losses, STATUS_MAX_LOSSES);
	if (loss == NULL)
		return;
	name(values, loss->name);
	loss->records = number(values);
}

// Lines that stand once.
static void take_scalar(struct live_status *status, const char *word, struct values *values) {
	if (strcmp(word, "version") == 0) {
		name(values, status->version);
	} else if (strcmp(word, "taken_ns") == 0) {
		status->taken_ns = number(values);
	} else if (strcmp(word, "time_ns") == 0) {
		status->time_ns = number(values);
	} else if (strcmp(word, "uptime_ns") == 0) {
		status->uptime_ns = number(values);
	} else if (strcmp(word, "sampling") == 0) {
		status->sampling = number(values);
	} else if (strcmp(word, "received") == 0) {
		count(values, &status->received);
	} else if (strcmp(word, "metered") == 0) {
		count(values, &status->metered);
		status->metered_octets = number(values);
	} else if (strcmp(word, "record_sums") == 0) {
		status->record_packets = number(values);
		status->record_octets = number(values);
	} else if (strcmp(word, "records_lost") == 0) {
		status->records_lost = number(values);
	} else if (strcmp(word, "reader") == 0) {
		status->has_reader = true;
		status->reader_busy_ns = number(values);
	} else if (strcmp(word, "lateness") == 0) {
		status->late_flows = number(values);
		status->late_p50_ms = number(values);
		status->late_p99_ms = number(values);
		status->late_max_ms = number(values);
	} else { // of a newer sensor
		values->at = "";
	}
}

static const struct {
	const char *word;
	void (*take)(struct live_status *status, struct values *values);
} arrays[] = {
	{"reason", take_reason},
	{"records", take_end},
	{"port", take_port},
	{"worker", take_worker},
	{"sink", take_sink},
	{"loss", take_loss},
};

// A line without its end, which is cut up. Returns whether it is well formed.
static bool take_line(struct live_status *status, char *line) {
	size_t n = strcspn(line, " ");
	bool has_values = line[n] == ' ';
	char word[24];

	if (n == 0 || n >= sizeof(word) || !has_values)
		return false;
	memcpy(word, line, n);
	word[n] = '\0';
	struct values values = {.at = line + n};
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		if (strcmp(word, arrays[i].word) != 0)
			continue;
		arrays[i].take(status, &values);
		return !values.bad && *values.at == '\0';
	}
	take_scalar(status, word, &values);
	return !values.bad && *values.at == '\0';
}

int live_status_parse(const char *text, size_t n, struct live_status *status, char *error) {
	static const char first[] = "weir-status 1\n";
	const char *end = text + n;
	char line[LIVE_STATUS_LINE_BYTES];
	unsigned number = 1;

	*status = (struct live_status){0};
	if (n < strlen(first) || memcmp(text, first, strlen(first)) != 0) {
		snprintf(
			error, LIVE_STATUS_ERROR_BYTES, "the answer is not of this version of weir"
		);
		return -EBADMSG;
	}
	for (text += strlen(first); text < end; number++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t bytes = stop == NULL ? sizeof(line) : (size_t)(stop - text);
		if (bytes >= sizeof(line) || memchr(text, '\0', bytes) != NULL)
			break;
		memcpy(line, text, bytes);
		line[bytes] = '\0';
		text = stop + 1;
		if (strcmp(line, "end") == 0 && text == end)
			return 0;
		if (!take_line(status, line))
			break;
	}
	snprintf(
		error, LIVE_STATUS_ERROR_BYTES, "line %u of the answer cannot be read", number + 1
	);
	return -EBADMSG;
}
