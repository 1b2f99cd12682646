#include "archive_merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive_files.h"
#include "parquet_reader.h"
#include "radix_sort.h"

enum {
	MOST_HELD = 4000000,
	BATCH_RECORDS = 4096,
	MESSAGE_BYTES = 1024,
};

struct file {
	const char *path;
	struct archive_sampling sampling;
	// Kept open from the beginning where it is a .part, which soon goes by another name.
	struct archive_reader *reader;
};

struct group {
	uint64_t least_ticks; // no record of it ended before
	uint32_t file, group;
	uint32_t n_rows;
	uint64_t bytes;
};

struct archive_merge {
	struct archive_merge_config config;
	struct archive_merge_stats stats;
	struct file *files;
	struct group *groups;
	size_t n_groups, groups_size, next_group;
	uint32_t open_file; // whose reader is open, though it need not stay; or NO_FILE
	struct archive_sampling sampling; // of all that is held

	struct flow_record *records; // `size` places
	uint32_t *free_places;       // numbers of those that hold nothing
	uint32_t *order;             // numbers of those that hold a record, from `begin` to `end`
	uint32_t *spare_order;
	uint64_t *keys, *spare_keys;
	size_t size, n_free, begin, end;
	bool sorted;
	bool draining;        // too much is held, and leaves down to the half
	uint64_t least_ticks; // of all that is held
	uint64_t last_ticks;  // handed out

	struct flow_record *staged; // a row group as it is read
	size_t staged_size;
	struct flow_record batch[BATCH_RECORDS];
};

#define NO_FILE UINT32_MAX

static void complain(const struct archive_merge *merge, const char *path, const char *what) {
	char message[MESSAGE_BYTES];

	// The reader's own messages may begin with the file.
	if (strncmp(what, path, strlen(path)) == 0)
		snprintf(message, sizeof(message), "%s", what);
	else
		snprintf(message, sizeof(message), "%s: %s", path, what);
	merge->config.on_error(message, merge->config.arg);
}

static bool resize(void *array, size_t n, size_t value_bytes) {
	void **pointer = array, *grown = realloc(*pointer, n * value_bytes);
	if (grown == NULL)
		return false;
	*pointer = grown;
	return true;
}

static bool is_part(const char *path) {
	size_t n = strlen(path);
	return n > 5 && strcmp(path + n - 5, ".part") == 0;
}

// "100", or "random:100"; where the file does not say, what its first rows have.
static struct archive_sampling sampling_of(const struct parquet_reader *reader) {
	const char *text = parquet_reader_value(reader, "weir.sampling");
	struct archive_sampling sampling = {.interval = 1};

	if (text == NULL) {
		struct parquet_range range = {0};
		if (parquet_reader_row_groups(reader) > 0)
			parquet_reader_range(reader, 0, COLUMN_SAMPLING_RATE, &range);
		if (range.known && range.min > 0 && range.min <= UINT32_MAX)
			sampling.interval = (uint32_t)range.min;
		return sampling;
	}
	sampling.random = strncmp(text, "random:", 7) == 0;
	unsigned long interval = strtoul(sampling.random ? text + 7 : text, NULL, 10);
	if (interval > 0 && interval <= UINT32_MAX)
		sampling.interval = (uint32_t)interval;
	return sampling;
}

static uint64_t bytes_of(const struct parquet_reader *reader, unsigned group) {
	uint64_t bytes = 0;
	for (unsigned column = 0; column < FLOW_COLUMN_COUNT; column++)
		bytes += parquet_reader_column_bytes(reader, group, (enum flow_column)column);
	return bytes;
}

static int add_group(struct archive_merge *merge, uint32_t file, unsigned group) {
	const struct parquet_reader *reader = merge->files[file].reader->parquet;
	uint32_t n_rows = parquet_reader_group_rows(reader, group);
	struct parquet_range range;

	merge->stats.records += n_rows;
	if (n_rows == 0)
		return 0;
	parquet_reader_range(reader, group, COLUMN_TIME_FLOW_END_NS, &range);
	if (range.known
	    && (range.max < merge->config.from_ns || range.min >= merge->config.until_ns)) {
		merge->stats.outside += n_rows;
		return 0;
	}
	if (merge->n_groups == merge->groups_size) {
		size_t size = merge->groups_size * 2 + 64;
		if (!resize(&merge->groups, size, sizeof(struct group)))
			return -ENOMEM;
		merge->groups_size = size;
	}
	merge->stats.records_ahead += n_rows;
	merge->groups[merge->n_groups++] = (struct group){
		.least_ticks = range.known && range.min > 0 ? ticks_of_ns(range.min) : 0,
		.file = file,
		.group = group,
		.n_rows = n_rows,
		.bytes = bytes_of(reader, group),
	};
	merge->stats.bytes_total += merge->groups[merge->n_groups - 1].bytes;
	return 0;
}

static struct archive_reader *
open_file(struct archive_merge *merge, uint32_t file, bool pass_over_gone) {
	char error[ARCHIVE_ERROR_BYTES];
	struct file *it = &merge->files[file];

	if (it->reader == NULL)
		it->reader = archive_reader_open(it->path, error);
	if (it->reader != NULL)
		return it->reader;
	bool gone = errno == ENOENT;
	if (!gone || !pass_over_gone)
		complain(merge, it->path, error);
	merge->stats.files_gone += gone;
	return NULL;
}

static void close_file(struct file *file) {
	archive_reader_close(file->reader);
	file->reader = NULL;
}

static int look_at_file(struct archive_merge *merge, uint32_t file) {
	struct file *it = &merge->files[file];
	int rc = 0;

	if (open_file(merge, file, merge->config.pass_over_gone) == NULL) {
		merge->stats.files_failed++;
		return 0;
	}
	merge->stats.files++;
	it->sampling = sampling_of(it->reader->parquet);
	for (unsigned i = 0; i < parquet_reader_row_groups(it->reader->parquet) && rc == 0; i++)
		rc = add_group(merge, file, i);
	if (!is_part(it->path))
		close_file(it);
	return rc;
}

static int compare_groups(const void *left, const void *right) {
	const struct group *l = left, *r = right;

	if (l->least_ticks != r->least_ticks)
		return l->least_ticks < r->least_ticks ? -1 : 1;
	if (l->file != r->file)
		return l->file < r->file ? -1 : 1;
	return l->group < r->group ? -1 : l->group > r->group;
}

struct archive_merge *archive_merge_new(const struct archive_merge_config *config) {
	struct archive_merge *merge = calloc(1, sizeof(*merge));
	int rc = 0;

	if (merge == NULL)
		return NULL;
	merge->config = *config;
	if (merge->config.most_held == 0)
		merge->config.most_held = MOST_HELD;
	merge->open_file = NO_FILE;
	merge->sorted = true;
	merge->files = calloc(config->n_paths + 1, sizeof(*merge->files));
	if (merge->files == NULL)
		rc = -ENOMEM;
	for (uint32_t i = 0; i < config->n_paths && rc == 0; i++) {
		merge->files[i].path = config->paths[i];
		rc = look_at_file(merge, i);
	}
	if (rc < 0) {
		archive_merge_free(merge);
		errno = -rc;
		return NULL;
	}
	if (merge->n_groups > 0)
		qsort(merge->groups, merge->n_groups, sizeof(struct group), compare_groups);
	return merge;
}

void archive_merge_free(struct archive_merge *merge) {
	if (merge == NULL)
		return;
	for (size_t i = 0; merge->files != NULL && i < merge->config.n_paths; i++)
		archive_reader_close(merge->files[i].reader);
	free(merge->files);
	free(merge->groups);
	free(merge->records);
	free(merge->free_places);
	free(merge->order);
	free(merge->spare_order);
	free(merge->keys);
	free(merge->spare_keys);
	free(merge->staged);
	free(merge);
}

static size_t n_held(const struct archive_merge *merge) {
	return merge->end - merge->begin;
}

// Makes room for `n` records more.
static int make_room(struct archive_merge *merge, size_t n) {
	// What left stands before `begin`.
	if (merge->begin > 0)
		memmove(merge->order,
			merge->order + merge->begin,
			n_held(merge) * sizeof(*merge->order));
	merge->end -= merge->begin;
	merge->begin = 0;
	if (n <= merge->n_free)
		return 0;

	size_t size = merge->end + n + merge->size / 2;
	if (size > UINT32_MAX || !resize(&merge->records, size, sizeof(*merge->records))
	    || !resize(&merge->free_places, size, sizeof(uint32_t))
	    || !resize(&merge->order, size, sizeof(uint32_t))
	    || !resize(&merge->spare_order, size, sizeof(uint32_t))
	    || !resize(&merge->keys, size, sizeof(uint64_t))
	    || !resize(&merge->spare_keys, size, sizeof(uint64_t)))
		return -ENOMEM;
	for (size_t place = size; place-- > merge->size;)
		merge->free_places[merge->n_free++] = (uint32_t)place;
	merge->size = size;
	return 0;
}

static void hold(struct archive_merge *merge, const struct flow_record *record) {
	uint32_t place = merge->free_places[--merge->n_free];

	merge->records[place] = *record;
	merge->order[merge->end++] = place;
	if (n_held(merge) == 1 || record->last_ticks < merge->least_ticks)
		merge->least_ticks = record->last_ticks;
	merge->sorted = false;
}

// The reader of a group's file; that of another one is closed for it.
static struct archive_reader *reader_of(struct archive_merge *merge, const struct group *group) {
	if (merge->open_file != group->file && merge->open_file != NO_FILE)
		close_file(&merge->files[merge->open_file]);
	merge->open_file = is_part(merge->files[group->file].path) ? NO_FILE : group->file;
	return open_file(merge, group->file, false);
}

static int read_group(struct archive_merge *merge) {
	const struct group *group = &merge->groups[merge->next_group++];
	const struct archive_merge_config *config = &merge->config;
	char error[PARQUET_ERROR_BYTES];
	struct flow_source source;

	merge->stats.records_ahead -= group->n_rows;
	merge->stats.bytes_read += group->bytes;
	struct archive_reader *reader = reader_of(merge, group);
	if (reader == NULL
	    || parquet_reader_group_rows(reader->parquet, group->group) != group->n_rows) {
		if (reader != NULL)
			complain(merge, merge->files[group->file].path, "changed while being read");
		merge->stats.unreadable += group->n_rows;
		return 0;
	}
	if (merge->staged_size < group->n_rows) {
		if (!resize(&merge->staged, group->n_rows, sizeof(*merge->staged)))
			return -ENOMEM;
		merge->staged_size = group->n_rows;
	}
	int rc = make_room(merge, group->n_rows);
	if (rc < 0)
		return rc;
	rc = parquet_reader_records(reader->parquet, group->group, merge->staged, &source, error);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		complain(merge, merge->files[group->file].path, error);
		merge->stats.unreadable += group->n_rows;
		return 0;
	}
	if (n_held(merge) == 0)
		merge->sampling = merge->files[group->file].sampling;
	for (uint32_t i = 0; i < group->n_rows; i++) {
		time_ns_t end_ns = ns_of_ticks(merge->staged[i].last_ticks);
		if (end_ns < config->from_ns || end_ns >= config->until_ns)
			merge->stats.outside++;
		else
			hold(merge, &merge->staged[i]);
	}
	if (n_held(merge) > merge->stats.most_held)
		merge->stats.most_held = n_held(merge);
	return 0;
}

static void sort(struct archive_merge *merge) {
	size_t n = n_held(merge);

	if (merge->sorted)
		return;
	uint32_t *order = merge->order + merge->begin;
	for (size_t i = 0; i < n; i++)
		merge->keys[i] = merge->records[order[i]].last_ticks;
	radix_sort(order, merge->spare_order, merge->keys, merge->spare_keys, n);
	merge->sorted = true;
}

static bool is_other_sampling(const struct archive_merge *merge, const struct group *group) {
	const struct archive_sampling *sampling = &merge->files[group->file].sampling;
	return sampling->interval != merge->sampling.interval
	       || sampling->random != merge->sampling.random;
}

// Once full, half of it must go before more is read: to sort all of it for each row group would
// take longer than reading.
static bool is_full(struct archive_merge *merge) {
	size_t most = merge->config.most_held;

	merge->draining = n_held(merge) > (merge->draining ? most / 2 : most);
	return merge->draining;
}

// Reads until something can leave. `*bound_ticks`: what ended before this may.
static int read_ahead(struct archive_merge *merge, uint64_t *bound_ticks) {
	while (merge->next_group < merge->n_groups) {
		const struct group *group = &merge->groups[merge->next_group];
		if (n_held(merge) > 0) {
			*bound_ticks = group->least_ticks;
			if (merge->least_ticks < *bound_ticks)
				return 0;
			// Too much is held, or what comes must not be mixed with it: all may go.
			if (is_full(merge) || is_other_sampling(merge, group))
				break;
		}
		int rc = read_group(merge);
		if (rc < 0)
			return rc;
	}
	*bound_ticks = UINT64_MAX;
	return 0;
}

int archive_merge_next(
	struct archive_merge *merge,
	const struct flow_record **records,
	struct archive_sampling *sampling
) {
	uint64_t bound_ticks;
	int n = 0, rc = read_ahead(merge, &bound_ticks);

	if (rc < 0)
		return rc;
	sort(merge);
	while (n < BATCH_RECORDS && merge->begin < merge->end) {
		uint32_t place = merge->order[merge->begin];
		uint64_t last_ticks = merge->records[place].last_ticks;
		if (last_ticks >= bound_ticks)
			break;
		if (last_ticks < merge->last_ticks)
			merge->stats.out_of_order++;
		else
			merge->last_ticks = last_ticks;
		merge->batch[n++] = merge->records[place];
		merge->free_places[merge->n_free++] = place;
		merge->begin++;
	}
	if (merge->begin < merge->end)
		merge->least_ticks = merge->records[merge->order[merge->begin]].last_ticks;
	merge->stats.records_read += (unsigned)n;
	*records = merge->batch;
	*sampling = merge->sampling;
	return n;
}

void archive_merge_stats(const struct archive_merge *merge, struct archive_merge_stats *stats) {
	*stats = merge->stats;
	stats->records_held = n_held(merge);
}
