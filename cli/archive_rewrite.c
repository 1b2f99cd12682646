#include "archive_rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	GROUP_RECORDS = 1 << 20,
};

struct rewriting {
	const struct archive_rewrite_config *config;
	struct archive_rewritten *done;
	char *error;
	int fd;
	uint64_t end;
	struct parquet_writer *writer; // once it is known what the files have in common
	struct flow_source source;
	struct flow_record *records;
	uint32_t n, size;
};

static int fail(const struct rewriting *rewriting, int rc) {
	snprintf(
		rewriting->error,
		ARCHIVE_ERROR_BYTES,
		"%s: %s",
		rewriting->config->path,
		strerror(-rc)
	);
	return rc;
}

static int put(struct rewriting *rewriting, const void *bytes, size_t n) {
	const uint8_t *at = bytes;

	for (size_t done = 0; done < n;) {
		ssize_t written = write(rewriting->fd, at + done, n - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return fail(rewriting, -errno);
		done += (size_t)written;
	}
	rewriting->end += n;
	return 0;
}

static int write_group(struct rewriting *rewriting) {
	struct parquet_bytes data, note;

	if (rewriting->n == 0)
		return 0;
	struct archive_sum sum = {0};
	archive_sum_records(&sum, rewriting->records, rewriting->n);
	int rc = parquet_writer_row_group(
		rewriting->writer, rewriting->records, rewriting->n, rewriting->end, &data, &note
	);
	if (rc < 0)
		return fail(rewriting, rc);
	archive_sum_add(&rewriting->done->sum, &sum);
	rewriting->n = 0;
	return put(rewriting, data.bytes, data.n);
}

// The first row group that can be read tells what the writer is to write beside the records.
static int make_writer(struct rewriting *rewriting, const struct flow_source *source) {
	if (rewriting->writer != NULL)
		return 0;
	rewriting->source = *source;
	rewriting->writer = parquet_writer_new(&(struct parquet_writer_config){
		.level = rewriting->config->level,
		.sort = true,
		.source = *source,
	});
	return rewriting->writer == NULL ? fail(rewriting, -errno) : 0;
}

static int make_room(struct rewriting *rewriting, uint32_t n) {
	if (rewriting->n + n > GROUP_RECORDS) {
		int rc = write_group(rewriting);
		if (rc < 0)
			return rc;
	}
	if (rewriting->n + n > rewriting->size) {
		// The size it will come to, unless there are few: it is a hundred megabytes.
		uint32_t size = rewriting->n + n + rewriting->size;
		struct flow_record *more = reallocarray(rewriting->records, size, sizeof(*more));
		if (more == NULL)
			return fail(rewriting, -ENOMEM);
		rewriting->records = more;
		rewriting->size = size;
	}
	return 0;
}

static int take_group(struct rewriting *rewriting, struct archive_reader *reader, unsigned group) {
	const struct archive_rewrite_config *config = rewriting->config;
	uint32_t n = parquet_reader_group_rows(reader->parquet, group);
	char error[PARQUET_ERROR_BYTES];
	struct flow_source source;

	if (n == 0)
		return 0;
	int rc = make_room(rewriting, n);
	if (rc < 0)
		return rc;
	rc = parquet_reader_records(
		reader->parquet, group, rewriting->records + rewriting->n, &source, error
	);
	if (rc == -ENOMEM)
		return fail(rewriting, rc);
	if (rc < 0) {
		config->on_fault(error, config->arg);
		rewriting->done->lost += n;
		return 0;
	}
	rewriting->n += n;
	return make_writer(rewriting, &source);
}

static int take_file(struct rewriting *rewriting, const char *path) {
	const struct archive_rewrite_config *config = rewriting->config;
	struct archive_reader *reader = archive_reader_open(path, rewriting->error);
	int rc = 0;

	if (reader == NULL)
		return -errno;
	for (unsigned i = 0; i < parquet_reader_row_groups(reader->parquet) && rc == 0; i++)
		rc = *config->stop != 0 ? fail(rewriting, -EINTR)
					: take_group(rewriting, reader, i);
	archive_reader_close(reader);
	return rc;
}

static int put_footer(struct rewriting *rewriting) {
	struct archive_metadata metadata;
	struct parquet_bytes footer;

	archive_metadata_make(
		&metadata,
		rewriting->config->sensor,
		rewriting->source.sampling_rate,
		&rewriting->done->sum
	);
	int rc = parquet_writer_footer(
		rewriting->writer, metadata.pairs, metadata.n_pairs, rewriting->end, &footer
	);
	return rc < 0 ? fail(rewriting, rc) : put(rewriting, footer.bytes, footer.n);
}

static int write_file(struct rewriting *rewriting) {
	const struct archive_rewrite_config *config = rewriting->config;
	int rc = put(rewriting, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);

	for (size_t i = 0; i < config->n_from && rc == 0; i++)
		rc = take_file(rewriting, config->from[i]);
	if (rc == 0)
		rc = write_group(rewriting);
	if (rc < 0 || rewriting->done->sum.records == 0)
		return rc;
	rc = put_footer(rewriting);
	if (rc == 0 && fsync(rewriting->fd) < 0)
		rc = fail(rewriting, -errno);
	rewriting->done->bytes = rewriting->end;
	return rc;
}

int archive_rewrite(
	const struct archive_rewrite_config *config, struct archive_rewritten *done, char *error
) {
	struct rewriting rewriting = {.config = config, .done = done, .error = error};

	*done = (struct archive_rewritten){0};
	rewriting.fd = open(config->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (rewriting.fd < 0)
		return fail(&rewriting, -errno);
	int rc = write_file(&rewriting);
	if (close(rewriting.fd) < 0 && rc == 0)
		rc = fail(&rewriting, -errno);
	if (rc < 0 || done->sum.records == 0)
		unlink(config->path);
	parquet_writer_free(rewriting.writer);
	free(rewriting.records);
	return rc;
}
