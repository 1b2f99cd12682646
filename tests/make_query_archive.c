// Makes an archive for the end-to-end tests of `weir query`, and prints its records as CSV.
//
//   make_query_archive DIR FILES ROWS BEGIN_S
//
// Each file has ROWS records that begin within an hour, the first one BEGIN_S seconds after 1970,
// and is named as one begun an hour later.

#include <stdio.h>
#include <stdlib.h>

#include "archive_files.h"
#include "archive_maker.h"
#include "clock.h"
#include "print.h"

int main(int argc, char **argv) {
	struct random random = {9};
	const struct flow_source source = {1, "192.0.2.1"};

	if (argc != 5)
		return 2;
	uint32_t n_files = (uint32_t)atoi(argv[2]), n = (uint32_t)atoi(argv[3]);
	int64_t begin_ns = atoll(argv[4]) * NS_PER_S, hour_ns = 3600 * NS_PER_S;
	struct flow_record *records = calloc(n, sizeof(*records));
	struct print *print = print_new(PRINT_CSV, stdout);
	if (records == NULL || print == NULL)
		abort();
	for (uint32_t file = 0; file < n_files; file++) {
		char inner[ARCHIVE_NAME_BYTES], path[MADE_PATH_BYTES];
		for (uint32_t i = 0; i < n; i++) {
			records[i] = made_record(&random, begin_ns + file * hour_ns);
			print_add(print, &records[i], 1);
		}
		archive_path(inner, "test", begin_ns + (file + 1) * hour_ns);
		snprintf(path, sizeof(path), "%s/%s", argv[1], inner);
		made_file(path, &source, records, n, n / 3 + 1, 0);
	}
	print_flush(print);
	print_free(print);
	free(records);
	return 0;
}
