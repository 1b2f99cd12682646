// weir archive ls and verify: what the files say of themselves, and whether it is so.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "archive_check.h"
#include "archive_command.h"
#include "json.h"
#include "moment.h"

// Sums over all files.
struct total {
	uint64_t files, damaged, records, bytes;
};

// Of the column of paths.
static int path_width(const struct archive_command *command) {
	size_t width = strlen("file");

	for (size_t i = 0; i < command->files.n; i++) {
		size_t n = strlen(archive_short_path(command, command->files.files[i].path));
		width = n > width ? n : width;
	}
	return (int)width;
}

static double bytes_a_flow(uint64_t bytes, uint64_t records) {
	return records > 0 ? (double)bytes / (double)records : 0;
}

static const char *state_of(const struct archive_file *file, bool damaged) {
	return damaged ? "damaged" : file->open ? "open" : "closed";
}

static void print_json(
	const struct archive_command *command,
	const struct archive_file *file,
	const struct archive_facts *facts,
	bool damaged
) {
	printf("{\"path\":");
	json_string(stdout, archive_short_path(command, file->path));
	printf(",\"state\":\"%s\",\"begin_ns\":%" PRIi64 ",\"first_ns\":%" PRIi64
	       ",\"last_ns\":%" PRIi64 ",\"records\":%" PRIu64 ",\"row_groups\":%" PRIu32
	       ",\"bytes\":%" PRIu64 ",\"packets\":%" PRIu64 ",\"octets\":%" PRIu64
	       ",\"sampling_rate\":%" PRIu32 "}\n",
	       state_of(file, damaged),
	       file->begin_ns,
	       facts->begin_ns,
	       facts->end_ns,
	       facts->records,
	       facts->row_groups,
	       file->bytes,
	       facts->packets,
	       facts->octets,
	       facts->sampling_rate);
}

static void print_text(
	const struct archive_command *command,
	const struct archive_file *file,
	const struct archive_facts *facts,
	bool damaged
) {
	char first[MOMENT_TEXT_BYTES] = "-", last[MOMENT_TEXT_BYTES] = "-";

	if (facts->records > 0) {
		moment_text(first, facts->begin_ns);
		moment_text(last, facts->end_ns);
	}
	printf("%-*s %-24s %-24s %12" PRIu64 " %14" PRIu64 " %8.1f  %s\n",
	       path_width(command),
	       archive_short_path(command, file->path),
	       first,
	       last,
	       facts->records,
	       file->bytes,
	       bytes_a_flow(file->bytes, facts->records),
	       state_of(file, damaged));
}

static void
ls_file(struct archive_command *command, const struct archive_file *file, struct total *total) {
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_facts facts = {0};
	struct archive_reader *reader = archive_reader_open(file->path, error);

	if (reader == NULL && errno == ENOENT && command->options.archive != NULL)
		return; // retention took it
	if (reader == NULL)
		archive_complain(command, "%s", error);
	else
		archive_facts(reader, &facts);
	archive_reader_close(reader);
	(command->options.json ? print_json : print_text)(command, file, &facts, reader == NULL);
	total->files++;
	total->damaged += reader == NULL;
	total->records += facts.records;
	total->bytes += file->bytes;
}

void archive_ls(struct archive_command *command) {
	struct total total = {0};

	if (!command->options.json)
		printf("%-*s %-24s %-24s %12s %14s %8s  %s\n",
		       path_width(command),
		       "file",
		       "first packet (UTC)",
		       "last packet (UTC)",
		       "records",
		       "bytes",
		       "B/flow",
		       "state");
	for (size_t i = 0; i < command->files.n && !command->stop; i++)
		ls_file(command, &command->files.files[i], &total);
	if (!command->options.json)
		printf("%" PRIu64 " files%*s %12" PRIu64 " %14" PRIu64 " %8.1f\n",
		       total.files,
		       path_width(command) + 50
			       - snprintf(NULL, 0, "%" PRIu64 " files", total.files),
		       "",
		       total.records,
		       total.bytes,
		       bytes_a_flow(total.bytes, total.records));
}

// The file that is being verified.
struct verifying {
	struct archive_command *command;
	const char *path;
};

static void on_fault(const char *what, void *arg) {
	const struct verifying *verifying = arg;
	archive_complain(verifying->command, "%s: %s", verifying->path, what);
}

static void
verify_file(struct archive_command *command, const struct archive_file *file, struct total *total) {
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_check check = {0};
	struct verifying verifying = {command, archive_short_path(command, file->path)};
	struct archive_reader *reader = archive_reader_open(file->path, error);

	if (reader == NULL && errno == ENOENT && command->options.archive != NULL)
		return; // retention took it
	if (reader != NULL)
		archive_check(reader, &command->stop, on_fault, &verifying, &check);
	else
		archive_complain(command, "%s", error);
	bool damaged = reader == NULL || check.faults > 0;
	archive_reader_close(reader);
	if (command->stop)
		return;
	total->files++;
	total->damaged += damaged;
	total->records += check.records;
	total->bytes += check.bytes;
	if (command->options.json) {
		printf("{\"path\":");
		json_string(stdout, verifying.path);
		printf(",\"good\":%s,\"records\":%" PRIu64 ",\"faults\":%u}\n",
		       damaged ? "false" : "true",
		       check.records,
		       check.faults);
	} else if (!command->options.quiet) {
		printf("%-*s %12" PRIu64 " records  %s\n",
		       path_width(command),
		       verifying.path,
		       check.records,
		       damaged ? "DAMAGED" : "good");
	}
}

void archive_verify(struct archive_command *command) {
	struct total total = {0};

	for (size_t i = 0; i < command->files.n && !command->stop; i++)
		verify_file(command, &command->files.files[i], &total);
	if (!command->options.json && !command->options.quiet)
		printf("%" PRIu64 " files, %" PRIu64 " damaged; %" PRIu64 " records in %" PRIu64
		       " bytes of pages read\n",
		       total.files,
		       total.damaged,
		       total.records,
		       total.bytes);
}
