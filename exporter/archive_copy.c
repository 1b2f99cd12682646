// A part written anew, in large sorted row groups.

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive_finish.h"
#include "parquet_reader.h"

struct copy {
	struct finish *finish;
	struct parquet_reader *reader;
	struct parquet_writer *writer;
	struct flow_record *records;
	uint32_t n_records, size;
	int fd;
	uint64_t end;
	uint64_t n_written;
};

static int write_group(struct copy *copy) {
	struct parquet_bytes data, note;

	if (copy->n_records == 0)
		return 0;
	int rc = parquet_writer_row_group(
		copy->writer, copy->records, copy->n_records, copy->end, &data, &note
	);
	if (rc == 0)
		rc = archive_io_write(
			copy->finish->place->io, copy->fd, data.bytes, data.n, copy->end
		);
	if (rc < 0)
		return archive_finish_fail(copy->finish, rc, "write", copy->finish->copy);
	copy->end += data.n;
	copy->n_written += copy->n_records;
	copy->n_records = 0;
	return 0;
}

static bool in_too_much_of_a_hurry(const struct copy *copy) {
	const struct archive_finish_config *config = copy->finish->config;

	// Relaxed: a flag by itself, seen a little sooner or later.
	return config->hurry != NULL && atomic_load_explicit(config->hurry, memory_order_relaxed)
	       && copy->finish->sum.records - copy->n_written > config->hurry_records;
}

static int copy_groups(struct copy *copy) {
	struct flow_source source;
	int rc = 0;

	for (unsigned i = 0; i < parquet_reader_row_groups(copy->reader) && rc == 0; i++) {
		uint32_t n = parquet_reader_group_rows(copy->reader, i);
		if (in_too_much_of_a_hurry(copy))
			return -ECANCELED;
		if (copy->n_records + n > copy->size)
			rc = write_group(copy);
		if (rc == 0)
			rc = parquet_reader_records(
				copy->reader,
				i,
				copy->records + copy->n_records,
				&source,
				copy->finish->error
			);
		copy->n_records += n;
	}
	return rc < 0 ? rc : write_group(copy);
}

// Room for the largest row group of the part at least.
static int make_room(struct copy *copy) {
	copy->size = copy->finish->config->group_records;
	for (unsigned i = 0; i < parquet_reader_row_groups(copy->reader); i++)
		if (parquet_reader_group_rows(copy->reader, i) > copy->size)
			copy->size = parquet_reader_group_rows(copy->reader, i);
	if (copy->size > copy->finish->sum.records)
		copy->size = (uint32_t)copy->finish->sum.records;
	copy->records = malloc((size_t)copy->size * sizeof(*copy->records));
	return copy->records == NULL
		       ? archive_finish_fail(copy->finish, -ENOMEM, "copy", copy->finish->part)
		       : 0;
}

static int make_writer(struct copy *copy) {
	struct flow_source source;
	int rc = parquet_reader_records(
		copy->reader, 0, copy->records, &source, copy->finish->error
	);

	if (rc < 0)
		return rc;
	copy->writer = parquet_writer_new(&(struct parquet_writer_config){
		.level = copy->finish->config->level,
		.sort = true,
		.source = source,
	});
	return copy->writer == NULL
		       ? archive_finish_fail(copy->finish, -errno, "copy", copy->finish->part)
		       : 0;
}

static int write_copy(struct copy *copy) {
	struct finish *finish = copy->finish;
	struct parquet_bytes footer = {0};
	int rc = make_room(copy);

	if (rc == 0)
		rc = make_writer(copy);
	if (rc < 0)
		return rc;
	copy->fd = finish->place->io->open(
		finish->place->dir_fd, finish->copy, O_WRONLY | O_CREAT | O_TRUNC, 0644
	);
	if (copy->fd < 0)
		return archive_finish_fail(finish, -errno, "make", finish->copy);
	rc = archive_io_write(finish->place->io, copy->fd, PARQUET_MAGIC, PARQUET_MAGIC_BYTES, 0);
	if (rc < 0)
		return archive_finish_fail(finish, rc, "write", finish->copy);
	copy->end = PARQUET_MAGIC_BYTES;
	rc = copy_groups(copy);
	if (rc == 0)
		rc = archive_finish_footer(finish, copy->writer, copy->end, &footer);
	if (rc < 0)
		return rc;
	rc = archive_io_write(finish->place->io, copy->fd, footer.bytes, footer.n, copy->end);
	if (rc < 0)
		return archive_finish_fail(finish, rc, "write", finish->copy);
	copy->end += footer.n;
	return archive_finish_sync(finish, copy->fd, finish->copy);
}

int archive_copy(struct finish *finish, uint64_t *n_bytes) {
	struct copy copy = {.finish = finish, .fd = -1};
	int rc = 0;

	copy.reader = parquet_reader_open_footer(
		finish->fd, finish->footer.bytes, finish->footer.n, finish->error
	);
	if (copy.reader == NULL)
		rc = -errno;
	if (rc == 0)
		rc = write_copy(&copy);
	if (copy.fd >= 0)
		close(copy.fd);
	parquet_writer_free(copy.writer);
	parquet_reader_close(copy.reader);
	free(copy.records);
	*n_bytes = copy.end;
	return rc;
}
