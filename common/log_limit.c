#include "log_limit.h"

#include <stdio.h>
#include <string.h>

// FNV-1a.
static uint64_t add_byte(uint64_t hash, unsigned char byte) {
	return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(const char *thing, const char *text) {
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; thing != NULL && *thing != '\0'; thing++)
		hash = add_byte(hash, (unsigned char)*thing);
	hash = add_byte(hash, '\n');
	for (; *text != '\0'; text++)
		if (*text < '0' || *text > '9')
			hash = add_byte(hash, (unsigned char)*text);
	return hash;
}

// The event's place, or a free one, or that of the oldest.
static struct log_limit_event *place_of(struct log_limit *limit, uint64_t hash) {
	struct log_limit_event *best = &limit->events[0];

	for (unsigned i = 0; i < LOG_LIMIT_EVENTS; i++) {
		struct log_limit_event *event = &limit->events[i];
		if (event->n > 0 && event->hash == hash)
			return event;
		if (best->n > 0 && (event->n == 0 || event->begun_ns < best->begun_ns))
			best = event;
	}
	return best;
}

bool log_limit_take(
	struct log_limit *limit,
	int level,
	const char *thing,
	const char *text,
	time_ns_t now_ns,
	struct log_limit_event *ended
) {
	uint64_t hash = hash_of(thing, text);
	struct log_limit_event *event = place_of(limit, hash);

	*ended = (struct log_limit_event){0};
	if (event->n > 0 && event->hash != hash) {
		*ended = *event;
		event->n = 0;
	}
	if (event->n == 0) {
		*event = (struct log_limit_event){
			.hash = hash,
			.begun_ns = now_ns,
			.level = level,
		};
		snprintf(event->thing, sizeof(event->thing), "%s", thing != NULL ? thing : "");
		snprintf(event->text, sizeof(event->text), "%s", text);
	}
	if (event->n++ < LOG_LIMIT_TOLD)
		return true;
	event->n_held++;
	return false;
}

bool log_limit_over(
	struct log_limit *limit, time_ns_t now_ns, bool all, struct log_limit_event *ended
) {
	for (unsigned i = 0; i < LOG_LIMIT_EVENTS; i++) {
		struct log_limit_event *event = &limit->events[i];
		if (event->n == 0 || (!all && now_ns - event->begun_ns < LOG_LIMIT_WINDOW_NS))
			continue;
		*ended = *event;
		event->n = 0;
		if (ended->n_held > 0)
			return true;
	}
	return false;
}
