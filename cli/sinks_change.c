#include "sinks_change.h"

#include <stdlib.h>
#include <string.h>

#include "sinks_past.h"

// For what those who leave have not sent yet.
#define LEAVE_NS (2 * NS_PER_S)

struct sinks_change {
	struct sinks *sinks;
	struct sinks_config wanted;
	struct destination *destinations[SINKS_MAX_COLLECTORS]; // that there will be
	bool is_new[SINKS_MAX_COLLECTORS];
	unsigned n_destinations;
	bool applied;
};

static const char *name_of(const struct destination *destination) {
	return collector_name(destination_collector(destination));
}

static bool has(const struct sinks_change *change, const struct destination *destination) {
	for (unsigned i = 0; i < change->n_destinations; i++)
		if (change->destinations[i] == destination)
			return true;
	return false;
}

// The one of that name which is there, and not taken yet.
static struct destination *find_kept(const struct sinks_change *change, const char *name) {
	const struct sinks *sinks = change->sinks;

	for (unsigned i = 0; i < sinks->n_destinations; i++)
		if (strcmp(name_of(sinks->destinations[i]), name) == 0
		    && !has(change, sinks->destinations[i]))
			return sinks->destinations[i];
	return NULL;
}

static bool open_wanted(struct sinks_change *change, const char *name, bool keep) {
	char error[COLLECTOR_ERROR_BYTES];
	unsigned i = change->n_destinations;
	struct destination *kept = keep ? find_kept(change, name) : NULL;

	change->is_new[i] = kept == NULL;
	change->destinations[i] =
		kept != NULL ? kept : sinks_open_destination(&change->wanted, name, error);
	if (change->destinations[i] == NULL) {
		change->wanted.on_complaint(error, change->wanted.arg);
		return false;
	}
	change->n_destinations++;
	return true;
}

struct sinks_change *
sinks_change_new(struct sinks *sinks, const struct sinks_config *wanted, bool keep) {
	struct sinks_change *change = calloc(1, sizeof(*change));

	if (change == NULL) {
		wanted->on_complaint("no memory", wanted->arg);
		return NULL;
	}
	change->sinks = sinks;
	change->wanted = *wanted;
	keep &= wanted->distribution == sinks->config.distribution;
	bool good = sinks_check_tls(wanted);
	for (unsigned i = 0; i < wanted->n_collectors && good; i++)
		good = open_wanted(change, wanted->collectors[i], keep);
	if (good)
		return change;
	sinks_change_finish(change);
	return NULL;
}

struct destination *const *
sinks_change_destinations(const struct sinks_change *change, unsigned *n) {
	*n = change->n_destinations;
	return change->destinations;
}

// Those that are not wanted any more are on their way out from here on, after `n_records`.
static void move_to_past(struct sinks_change *change, uint64_t n_records) {
	struct sinks *sinks = change->sinks;
	struct sinks_past *past = sinks->past;
	struct sinks_former *former = past->balance ? &past->shared : &past->mirrored;

	past->unshared = sinks_past_unshared(past, sinks->n_destinations, n_records);
	past->changed_at = n_records;
	past->leaving_shares = past->balance;
	for (unsigned i = 0; i < sinks->n_destinations; i++) {
		if (has(change, sinks->destinations[i]))
			continue;
		former->any = true;
		former->due += n_records - past->since[i];
		past->leaving[past->n_leaving++] = sinks->destinations[i];
	}
}

static void take_wanted(struct sinks_change *change, uint64_t n_records) {
	struct sinks *sinks = change->sinks;
	uint64_t since[SINKS_MAX_COLLECTORS];

	for (unsigned i = 0; i < change->n_destinations; i++) {
		since[i] = n_records;
		for (unsigned j = 0; j < sinks->n_destinations; j++)
			if (sinks->destinations[j] == change->destinations[i])
				since[i] = sinks->past->since[j];
	}
	memcpy(sinks->past->since, since, sizeof(since));
	memcpy(sinks->destinations, change->destinations, sizeof(sinks->destinations));
	sinks->n_destinations = change->n_destinations;
	sinks->past->balance = change->wanted.distribution == DISTRIBUTE_BALANCE;
	sinks->config.distribution = change->wanted.distribution;
}

int sinks_change_apply(struct sinks_change *change, struct exporter *exporter) {
	struct sinks_past *past = change->sinks->past;
	uint64_t n_records;

	int rc = exporter_replace(
		exporter,
		change->destinations,
		change->n_destinations,
		change->wanted.distribution,
		&n_records
	);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&past->lock);
	move_to_past(change, n_records);
	take_wanted(change, n_records);
	pthread_mutex_unlock(&past->lock);
	change->applied = true;
	return 0;
}

// Lets it send what it has, and closes it.
static void part_with(struct sinks_change *change, struct destination *destination) {
	struct sinks_past *past = change->sinks->past;
	struct sinks_former *former = past->leaving_shares ? &past->shared : &past->mirrored;
	const struct sinks sinks = {.config = change->wanted}; // who complaints go to
	struct destination_stats stats;

	destination_stop(destination);
	sinks_report_destination(&sinks, destination, "reload");
	pthread_mutex_lock(&past->lock);
	destination_stats(destination, &stats);
	sinks_past_add(&former->stats, &stats);
	past->leaving[0] = past->leaving[--past->n_leaving];
	pthread_mutex_unlock(&past->lock);
	destination_close(destination);
}

void sinks_change_finish(struct sinks_change *change) {
	if (change == NULL)
		return;
	struct sinks_past *past = change->sinks->past;
	if (!change->applied)
		for (unsigned i = 0; i < change->n_destinations; i++)
			if (change->is_new[i])
				destination_close(change->destinations[i]);
	// All at once, so that the slowest is waited for and no longer.
	for (unsigned i = 0; change->applied && i < past->n_leaving; i++) {
		destination_hurry(past->leaving[i], 0, LEAVE_NS);
		destination_end(past->leaving[i]);
	}
	while (change->applied && past->n_leaving > 0)
		part_with(change, past->leaving[0]);
	free(change);
}
