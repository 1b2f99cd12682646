#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan_internal.h"

// How far clocks may have been set back, and packets may be late, while a file was written.
#define NAME_SLACK_NS (3600 * NS_PER_S)

// The least time that rows must have to pass, or INT64_MIN.
static time_ns_t least_time(const struct scan_config *config) {
	time_ns_t least = INT64_MIN;

	for (unsigned i = 0; i < config->n_filters; i++) {
		const struct scan_filter *filter = &config->filters[i];
		if (filter->kind == SCAN_RANGE
		    && (filter->column == COLUMN_TIME_FLOW_START_NS
			|| filter->column == COLUMN_TIME_FLOW_END_NS)
		    && filter->min > least)
			least = filter->min;
	}
	return least;
}

// When the next file of a sensor was begun.
struct next_file {
	char sensor[ARCHIVE_SENSOR_BYTES];
	time_ns_t begin_ns;
};

static struct next_file *next_of(struct next_file **table, unsigned *n, const char *sensor) {
	struct next_file *grown;

	for (unsigned i = 0; i < *n; i++)
		if (strcmp((*table)[i].sensor, sensor) == 0)
			return &(*table)[i];
	grown = reallocarray(*table, *n + 1, sizeof(*grown));
	if (grown == NULL)
		return NULL;
	*table = grown;
	grown[*n] = (struct next_file){.begin_ns = TIME_NS_MAX};
	snprintf(grown[*n].sensor, sizeof(grown[*n].sensor), "%s", sensor);
	return &grown[(*n)++];
}

// A sensor begins a file when it has closed the one before it, and no packet is of the future:
// what a file holds is older than the sensor's next file. The other way round names say
// nothing, since captures of long ago may be replayed into an archive.
static void skip_by_name(struct scan_plan *plan) {
	time_ns_t least = least_time(plan->config);
	struct archive_files *files = &plan->files;
	struct next_file *table = NULL, *next;
	struct archive_name name;
	unsigned n = 0;

	if (least < INT64_MIN + NAME_SLACK_NS)
		return;
	for (size_t i = files->n; i-- > 0;) {
		const char *slash = strrchr(files->files[i].path, '/');
		if (slash == NULL || !archive_name_parse(slash + 1, &name))
			continue;
		next = next_of(&table, &n, name.sensor);
		if (next == NULL)
			break; // what is not skipped is looked at
		if (next->begin_ns <= least - NAME_SLACK_NS) {
			plan->skip[i] = true;
			plan->progress.files_skipped++;
		}
		next->begin_ns = files->files[i].begin_ns;
	}
	free(table);
}

int scan_plan_init(struct scan_plan *plan, const struct scan_config *config, char *error) {
	*plan = (struct scan_plan){.config = config};
	int rc = archive_files_list(config->dir, &plan->files, error);

	if (rc < 0)
		return rc;
	plan->skip = calloc(plan->files.n + 1, sizeof(*plan->skip));
	if (plan->skip == NULL) {
		snprintf(error, ARCHIVE_ERROR_BYTES, "%s", strerror(ENOMEM));
		archive_files_free(&plan->files);
		return -ENOMEM;
	}
	skip_by_name(plan);
	for (size_t i = 0; i < plan->files.n; i++)
		if (!plan->skip[i])
			plan->progress.bytes_total += plan->files.files[i].bytes;
	return 0;
}

void scan_file_leave(struct scan_file *file) {
	if (--file->n_users > 0)
		return;
	archive_reader_close(file->reader);
	free(file);
}

void scan_plan_done(struct scan_plan *plan) {
	if (plan->file != NULL)
		scan_file_leave(plan->file);
	plan->file = NULL;
	archive_files_free(&plan->files);
	free(plan->skip);
	plan->skip = NULL;
}

static void tell(struct scan_plan *plan, const char *line) {
	if (plan->config->on_error != NULL)
		plan->config->on_error(plan->config->arg, line);
}

void scan_file_tell(struct scan_plan *plan, struct scan_file *file, const char *error) {
	char line[ARCHIVE_ERROR_BYTES + PARQUET_ERROR_BYTES];

	if (file->told)
		return;
	file->told = true;
	snprintf(line, sizeof(line), "%s: %s", file->listed->path, error);
	tell(plan, line);
}

// Opens the next file, if that can be. -EAGAIN, or 0 where there is none.
static int next_file(struct scan_plan *plan) {
	char error[ARCHIVE_ERROR_BYTES];
	size_t i = plan->n_next;

	while (i < plan->files.n && plan->skip[i])
		i++;
	if (i == plan->files.n)
		return 0;
	plan->n_next = i + 1;
	struct scan_file *file = calloc(1, sizeof(*file));
	if (file == NULL)
		return -ENOMEM;
	file->listed = &plan->files.files[i];
	file->n_users = 1;
	file->reader = archive_reader_open(file->listed->path, error);
	plan->progress.bytes_done += file->listed->bytes;
	if (file->reader != NULL) {
		plan->file = file;
		plan->group = 0;
		return -EAGAIN;
	}
	// Retention may have taken it since it was listed, or `weir archive compact`, whose new
	// file is not in the list: then what is missing is for the user to know.
	if (errno == ENOENT)
		snprintf(
			error,
			sizeof(error),
			"%s: gone since the archive was listed, deleted or compacted; ask again",
			file->listed->path
		);
	tell(plan, error);
	free(file);
	return -EAGAIN;
}

int scan_plan_next(struct scan_plan *plan, struct scan_task *task) {
	const struct scan_config *config = plan->config;

	for (;;) {
		if (plan->file == NULL)
			return next_file(plan);
		struct parquet_reader *reader = plan->file->reader->parquet;
		if (plan->group == parquet_reader_row_groups(reader)) {
			scan_file_leave(plan->file);
			plan->file = NULL;
			continue;
		}
		unsigned group = plan->group++;
		uint32_t n_rows = parquet_reader_group_rows(reader, group);
		enum scan_verdict verdict = SCAN_EVERY_ROW;
		for (unsigned i = 0; i < config->n_filters && verdict != SCAN_NO_ROW; i++) {
			verdict = scan_filter_group(&config->filters[i], reader, group);
			task->filter[i] = verdict != SCAN_EVERY_ROW;
		}
		if (verdict == SCAN_NO_ROW) {
			plan->progress.rows_skipped += n_rows;
			continue;
		}
		plan->progress.rows += n_rows;
		plan->file->n_users++;
		task->file = plan->file;
		task->group = group;
		// 2^21 files of 2^20 row groups of 2^22 rows: more than any archive has.
		task->row_id = (uint64_t)plan->n_next << 42 | (uint64_t)group << 22;
		return 1;
	}
}
