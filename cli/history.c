#include "history.h"

#include <inttypes.h>
#include <stddef.h>

void history_begin(struct history *history, const struct history_counts *counts) {
	history->before = *counts;
	history->n = 0;
}

static uint64_t since(uint64_t now, uint64_t before) {
	return now > before ? now - before : 0;
}

bool history_add(struct history *history, const struct history_counts *counts, time_ns_t now_ns) {
	const struct history_counts *before = &history->before;
	time_ns_t span_ns = counts->taken_ns - before->taken_ns;

	// Who calls each second is now and then a little early.
	if (span_ns < HISTORY_EVERY_S * NS_PER_S - NS_PER_S / 2)
		return false;
	history->samples[history->n++ % HISTORY_SAMPLES] = (struct history_sample){
		.end_ms = now_ns / NS_PER_MS,
		.span_ms = span_ns < UINT32_MAX * NS_PER_MS ? (uint32_t)(span_ns / NS_PER_MS)
							    : UINT32_MAX,
		.packets = since(counts->packets, before->packets),
		.bytes = since(counts->bytes, before->bytes),
		.flows = since(counts->flows, before->flows),
		.packets_lost = since(counts->packets_lost, before->packets_lost),
		.records_lost = since(counts->records_lost, before->records_lost),
		.cached = counts->cached,
	};
	history->before = *counts;
	return true;
}

static uint64_t first_of(const struct history *history, unsigned most) {
	uint64_t n = history->n < HISTORY_SAMPLES ? history->n : HISTORY_SAMPLES;

	return history->n - (n < most ? n : most);
}

const struct history_sample *history_get(const struct history *history, uint64_t number) {
	if (number >= history->n || number < first_of(history, HISTORY_SAMPLES))
		return NULL;
	return &history->samples[number % HISTORY_SAMPLES];
}

static void put_column(
	const struct history *history,
	unsigned most,
	const char *name,
	uint64_t (*value)(const struct history_sample *sample),
	FILE *out
) {
	fprintf(out, ",\"%s\":[", name);
	for (uint64_t i = first_of(history, most), first = i; i < history->n; i++)
		fprintf(out,
			"%s%" PRIu64,
			i > first ? "," : "",
			value(&history->samples[i % HISTORY_SAMPLES]));
	fputc(']', out);
}

static uint64_t end_of(const struct history_sample *sample) {
	return (uint64_t)sample->end_ms;
}

static uint64_t span_of(const struct history_sample *sample) {
	return sample->span_ms;
}

static uint64_t packets_of(const struct history_sample *sample) {
	return sample->packets;
}

static uint64_t bytes_of(const struct history_sample *sample) {
	return sample->bytes;
}

static uint64_t flows_of(const struct history_sample *sample) {
	return sample->flows;
}

static uint64_t cached_of(const struct history_sample *sample) {
	return sample->cached;
}

static uint64_t packets_lost_of(const struct history_sample *sample) {
	return sample->packets_lost;
}

static uint64_t records_lost_of(const struct history_sample *sample) {
	return sample->records_lost;
}

void history_print(const struct history *history, unsigned most, FILE *out) {
	static const struct {
		const char *name;
		uint64_t (*value)(const struct history_sample *sample);
	} columns[] = {
		{"end_ms", end_of},
		{"span_ms", span_of},
		{"packets", packets_of},
		{"bytes", bytes_of},
		{"flows", flows_of},
		{"cached", cached_of},
		{"packets_lost", packets_lost_of},
		{"records_lost", records_lost_of},
	};

	fprintf(out, "{\"first\":%" PRIu64, first_of(history, most));
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		put_column(history, most, columns[i].name, columns[i].value, out);
	fputc('}', out);
}
