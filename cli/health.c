#include "health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum {
	COUNT_BYTES = 32,
	SPAN_BYTES = 32,
	BUSY_PERCENT = 90, // more than that, and a burst finds no room
	FULL_PERCENT = 90, // of the flow cache
	MALFORMED_PERMILLE = 10,
	QUIET_S = 30, // without a packet before that is said
};

#define STUCK_NS (10 * NS_PER_S)

struct reader {
	const struct metrics *metrics;
	const struct minute_counts *last;
	struct health *health;
	char span[SPAN_BYTES]; // "the last minute"
};

const char *health_level_name(enum health_level level) {
	static const char *const names[] = {
		[HEALTH_GOOD] = "good",
		[HEALTH_NOTE] = "note",
		[HEALTH_WARNING] = "warning",
		[HEALTH_BAD] = "bad",
	};
	return names[level];
}

// Behind those that are as bad. What finds no room is the last one of the least.
[[gnu::format(printf, 3, 4)]] static void
say(struct reader *reader, enum health_level level, const char *format, ...) {
	struct health *health = reader->health;
	unsigned at = health->n;
	va_list args;

	while (at > 0 && health->lines[at - 1].level < level)
		at--;
	health->n_more += health->n == HEALTH_MAX_LINES;
	if (at == HEALTH_MAX_LINES)
		return;
	unsigned n_behind = health->n - at;
	if (health->n == HEALTH_MAX_LINES)
		n_behind--;
	else
		health->n++;
	memmove(&health->lines[at + 1], &health->lines[at], n_behind * sizeof(health->lines[0]));
	health->lines[at].level = level;
	va_start(args, format);
	vsnprintf(health->lines[at].text, HEALTH_TEXT_BYTES, format, args);
	va_end(args);
}

// 1234567 as "1,234,567", into `out` (COUNT_BYTES).
static const char *count_text(uint64_t count, char *out) {
	char plain[COUNT_BYTES];
	int n = snprintf(plain, sizeof(plain), "%" PRIu64, count), to = 0;

	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[to++] = ',';
		out[to++] = plain[i];
	}
	out[to] = '\0';
	return out;
}

static const char *plural(uint64_t count) {
	return count == 1 ? "" : "s";
}

static void read_port(struct reader *reader, unsigned i) {
	const struct sensor_port *port = &reader->metrics->ports[i];
	const struct minute_port *last = &reader->last->ports[i];
	char count[COUNT_BYTES];

	if (last->missed > 0)
		say(reader,
		    HEALTH_BAD,
		    "Port %s dropped %s packet%s in %s: the machine is too slow for it.",
		    port->name,
		    count_text(last->missed, count),
		    plural(last->missed),
		    reader->span);
	if (last->no_mbuf > 0)
		say(reader,
		    HEALTH_BAD,
		    "Port %s had no buffer for %s packet%s in %s: the machine is too slow for it.",
		    port->name,
		    count_text(last->no_mbuf, count),
		    plural(last->no_mbuf),
		    reader->span);
	if (!port->up)
		say(reader, HEALTH_BAD, "Port %s is down: no packets come from it.", port->name);
	if (last->errors > 0)
		say(reader,
		    HEALTH_WARNING,
		    "Port %s received %s damaged packet%s in %s: look at the cable or the optics.",
		    port->name,
		    count_text(last->errors, count),
		    plural(last->errors),
		    reader->span);
	if (port->up && last->packets == 0 && reader->last->span_ns >= QUIET_S * NS_PER_S)
		say(reader,
		    HEALTH_WARNING,
		    "No packet came from port %s in %s.",
		    port->name,
		    reader->span);
}

static const char *cause_of(const char *loss) {
	static const struct {
		const char *loss, *cause;
	} causes[] = {
		{"queue_full", "it, or its --rate, is too slow"},
		{"socket_full", "the socket was full, a lower --rate helps"},
		{"refused", "nobody listens there"},
		{"unreachable", "no way leads there"},
		{"session_lost", "its session ended, or none could be had"},
		{"untold", "its protocol has no words for them"},
		{"archive_full", "the disk is too slow"},
		{"write_error", "it cannot be written"},
	};

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (strcmp(loss, causes[i].loss) == 0)
			return causes[i].cause;
	return loss;
}

static void read_sink(struct reader *reader, unsigned i) {
	const struct ledger_sink *sink = &reader->metrics->ledger.sinks[i];
	const struct minute_sink *last = &reader->last->sinks[i];
	char count[COUNT_BYTES];
	uint64_t lost = 0;
	unsigned most = 0;

	for (unsigned j = 0; j < sink->n_losses; j++) {
		lost += last->lost[j];
		if (last->lost[j] > last->lost[most])
			most = j;
	}
	if (lost > 0)
		say(reader,
		    HEALTH_BAD,
		    "%s record%s for %s %s lost in %s: %s.",
		    count_text(lost, count),
		    plural(lost),
		    sink->name,
		    lost == 1 ? "was" : "were",
		    reader->span,
		    cause_of(sink->losses[most].name));
	else if (last->refusals > 0)
		say(reader,
		    HEALTH_BAD,
		    "Nobody listens at %s: %s datagram%s %s refused in %s.",
		    sink->name,
		    count_text(last->refusals, count),
		    plural(last->refusals),
		    last->refusals == 1 ? "was" : "were",
		    reader->span);
}

static unsigned percent(uint64_t part, uint64_t whole) {
	return whole > 0 ? (unsigned)(100.0 * (double)part / (double)whole) : 0;
}

static void read_threads(struct reader *reader) {
	const struct metrics *metrics = reader->metrics;
	const struct minute_counts *last = reader->last;
	char count[COUNT_BYTES];

	if (last->records_lost > 0)
		say(reader,
		    HEALTH_BAD,
		    "%s flow record%s found no room on the way to the exporter in %s.",
		    count_text(last->records_lost, count),
		    plural(last->records_lost),
		    reader->span);
	for (unsigned i = 0; i < metrics->n_workers; i++) {
		unsigned busy = percent(last->busy_ns[i], (uint64_t)last->span_ns);
		if (busy >= BUSY_PERCENT)
			say(reader,
			    HEALTH_WARNING,
			    "Worker %u was busy for %u %% of %s: packets are lost soon.",
			    i,
			    busy > 100 ? 100 : busy,
			    reader->span);
	}
	unsigned busy = percent(last->reader_busy_ns, (uint64_t)last->span_ns);
	if (metrics->has_reader && busy >= BUSY_PERCENT)
		say(reader,
		    HEALTH_WARNING,
		    "The thread that reads the ports was busy for %u %% of %s: packets are lost "
		    "soon.",
		    busy > 100 ? 100 : busy,
		    reader->span);
}

static void read_cache(struct reader *reader) {
	const struct metrics *metrics = reader->metrics;
	uint64_t flows = 0, capacity = 0, early = reader->last->records[FLOW_END_RESOURCES];
	char count[COUNT_BYTES];

	for (unsigned i = 0; i < metrics->n_workers; i++) {
		flows += metrics->workers[i].cache.flows;
		capacity += metrics->workers[i].capacity_flows;
	}
	if (early > 0)
		say(reader,
		    HEALTH_WARNING,
		    "The flow cache is too small: %s flow%s left it before their time in %s; "
		    "--cache-entries makes room.",
		    count_text(early, count),
		    plural(early),
		    reader->span);
	else if (percent(flows, capacity) >= FULL_PERCENT)
		say(reader,
		    HEALTH_WARNING,
		    "The flow cache is %u %% full; --cache-entries makes room.",
		    percent(flows, capacity));
}

// Reasons for which a packet that came is no packet of IP as it should be.
static bool is_malformed(const char *reason) {
	return strcmp(reason, "link_truncated") == 0 || strncmp(reason, "ip_", 3) == 0;
}

static void read_packets(struct reader *reader) {
	const struct ledger *ledger = &reader->metrics->ledger;
	const struct minute_counts *last = reader->last;
	char count[COUNT_BYTES];
	uint64_t malformed = 0;

	for (unsigned i = 0; i < ledger->n_reasons; i++)
		if (is_malformed(ledger->reasons[i].name))
			malformed += last->reasons[i];
	if (malformed * 1000 > last->received * MALFORMED_PERMILLE)
		say(reader,
		    HEALTH_WARNING,
		    "%s packet%s of %s, %.1f %% of them, %s malformed.",
		    count_text(malformed, count),
		    plural(malformed),
		    reader->span,
		    100.0 * (double)malformed / (double)last->received,
		    malformed == 1 ? "was" : "were");
}

// What was lost before the last minute.
static void read_past(struct reader *reader) {
	struct minute_counts totals;
	char packets[COUNT_BYTES], records[COUNT_BYTES];

	minute_totals(reader->metrics, &totals);
	uint64_t n_packets = minute_packets_lost(&totals), n_records = minute_records_lost(&totals);
	if (minute_packets_lost(reader->last) > 0 || minute_records_lost(reader->last) > 0
	    || (n_packets == 0 && n_records == 0))
		return;
	count_text(n_packets, packets);
	count_text(n_records, records);
	if (n_records == 0)
		say(reader,
		    HEALTH_NOTE,
		    "%s packet%s %s lost since the start, none in %s.",
		    packets,
		    plural(n_packets),
		    n_packets == 1 ? "was" : "were",
		    reader->span);
	else if (n_packets == 0)
		say(reader,
		    HEALTH_NOTE,
		    "%s record%s %s lost since the start, none in %s.",
		    records,
		    plural(n_records),
		    n_records == 1 ? "was" : "were",
		    reader->span);
	else
		say(reader,
		    HEALTH_NOTE,
		    "%s packet%s and %s record%s were lost since the start, none in %s.",
		    packets,
		    plural(n_packets),
		    records,
		    plural(n_records),
		    reader->span);
}

// Where there is nothing to be said against it.
static void read_good(struct reader *reader) {
	const struct ledger *ledger = &reader->metrics->ledger;
	uint64_t unmetered = 0, all = ledger->received.packets;

	if (reader->health->n > 0)
		return;
	for (unsigned i = 0; i < ledger->n_reasons; i++)
		unmetered += ledger->reasons[i].count.packets;
	double share = all > 0 ? 100.0 * (double)unmetered / (double)all : 0;
	if (all == 0)
		say(reader, HEALTH_GOOD, "All is ready, and no packet has come yet.");
	else if (unmetered == 0)
		say(reader, HEALTH_GOOD, "All packets are metered, nothing was lost.");
	else
		say(reader,
		    HEALTH_GOOD,
		    "Nothing was lost; %s%.*f %% of the packets are not metered, for the reasons "
		    "below.",
		    share < 0.1 ? "less than " : "",
		    share < 10 ? 1 : 0,
		    share < 0.1 ? 0.1 : share);
}

void health_read(
	const struct metrics *metrics,
	const struct minute_counts *last,
	enum run_state state,
	time_ns_t age_ns,
	struct health *health
) {
	struct reader reader = {.metrics = metrics, .last = last, .health = health};
	unsigned seconds = (unsigned)((last->span_ns + NS_PER_S / 2) / NS_PER_S);

	health->n = health->n_more = 0;
	if (seconds >= 55)
		snprintf(reader.span, sizeof(reader.span), "the last minute");
	else
		snprintf(reader.span, sizeof(reader.span), "the last %u s", seconds);
	if (state == RUN_STARTS)
		say(&reader, HEALTH_NOTE, "weir is starting.");
	if (state == RUN_STOPS)
		say(&reader, HEALTH_WARNING, "weir is stopping.");
	if (state == RUN_METERS && age_ns >= STUCK_NS)
		say(&reader,
		    HEALTH_BAD,
		    "The main thread has not moved for %.0f s: what is shown is of then.",
		    (double)age_ns / 1e9);
	for (unsigned i = 0; i < metrics->n_ports; i++)
		read_port(&reader, i);
	read_threads(&reader);
	for (unsigned i = 0; i < metrics->ledger.n_sinks; i++)
		read_sink(&reader, i);
	if (last->archive_errors > 0)
		say(&reader,
		    HEALTH_WARNING,
		    "The archive's disk failed %" PRIu64 " time%s in %s; weir tries again.",
		    last->archive_errors,
		    plural(last->archive_errors),
		    reader.span);
	read_cache(&reader);
	read_packets(&reader);
	read_past(&reader);
	read_good(&reader);
}
