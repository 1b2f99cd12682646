#include "sinks_past.h"

#include <stdlib.h>

struct sinks_past *sinks_past_new(bool balance) {
	struct sinks_past *past = calloc(1, sizeof(*past));

	if (past == NULL)
		return NULL;
	pthread_mutex_init(&past->lock, NULL);
	past->balance = balance;
	return past;
}

void sinks_past_free(struct sinks_past *past) {
	if (past == NULL)
		return;
	pthread_mutex_destroy(&past->lock);
	free(past);
}

uint64_t
sinks_past_unshared(const struct sinks_past *past, unsigned n_destinations, uint64_t n_records) {
	bool shares = past->balance && n_destinations > 0;

	// Live, the count may have been read before the change.
	if (shares || n_records < past->changed_at)
		return past->unshared;
	return past->unshared + n_records - past->changed_at;
}

void sinks_past_add(struct destination_stats *sum, const struct destination_stats *from) {
	struct collector_stats *to = &sum->collector;
	const struct collector_stats *more = &from->collector;

	sum->records += from->records;
	sum->lost_queue += from->lost_queue;
	sum->lost_stopped += from->lost_stopped;
	to->records += more->records;
	to->records_sent += more->records_sent;
	to->datagrams_sent += more->datagrams_sent;
	to->octets_sent += more->octets_sent;
	to->lost_full += more->lost_full;
	to->lost_refused += more->lost_refused;
	to->lost_unreachable += more->lost_unreachable;
	to->lost_session += more->lost_session;
	to->lost_untold += more->lost_untold;
	to->lost_other += more->lost_other;
	to->refusals += more->refusals;
}
