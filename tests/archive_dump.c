// Prints the records of an archive, for tests in Python: "SRC_ADDR PACKETS" a line, file by file.
//
//   archive_dump DIR
//
// Ends with 1 where a file cannot be read or does not hold what its metadata tells.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive_files.h"

static int dump(const char *path) {
	char error[ARCHIVE_ERROR_BYTES], text[FLOW_COLUMN_TEXT_BYTES];
	struct archive_reader *reader = archive_reader_open(path, error);
	struct flow_source source;
	uint64_t packets = 0;
	int rc = 0;

	if (reader == NULL) {
		fprintf(stderr, "archive_dump: %s\n", error);
		return -1;
	}
	for (unsigned i = 0; i < parquet_reader_row_groups(reader->parquet) && rc == 0; i++) {
		uint32_t n = parquet_reader_group_rows(reader->parquet, i);
		struct flow_record *records = calloc(n, sizeof(*records));
		rc = records == NULL
			     ? -1
			     : parquet_reader_records(reader->parquet, i, records, &source, error);
		for (uint32_t k = 0; k < n && rc == 0; k++) {
			flow_column_text(&records[k], &source, COLUMN_SRC_ADDR, text);
			printf("%s %" PRIu64 "\n", text, records[k].packets);
			packets += records[k].packets;
		}
		free(records);
	}
	if (rc < 0)
		fprintf(stderr, "archive_dump: %s: %s\n", path, error);
	const char *ledger = parquet_reader_value(reader->parquet, "weir.ledger");
	snprintf(
		error,
		sizeof(error),
		"{\"records\":%" PRIu64 ",\"packets\":%" PRIu64 ",",
		parquet_reader_rows(reader->parquet),
		packets
	);
	if (rc == 0 && (ledger == NULL || strncmp(ledger, error, strlen(error)) != 0)) {
		fprintf(stderr, "archive_dump: %s: its ledger is %s\n", path, ledger);
		rc = -1;
	}
	archive_reader_close(reader);
	return rc;
}

int main(int argc, char **argv) {
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_files files;
	int status = 0;

	if (argc != 2)
		return 2;
	if (archive_files_list(argv[1], &files, error) < 0) {
		fprintf(stderr, "archive_dump: %s\n", error);
		return 1;
	}
	for (size_t i = 0; i < files.n; i++)
		if (dump(files.files[i].path) < 0)
			status = 1;
	archive_files_free(&files);
	return status;
}
