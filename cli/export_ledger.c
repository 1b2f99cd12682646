#include "export_ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

#include "json.h"

// What was left when the export was interrupted.
static uint64_t left(const struct export_ledger *ledger) {
	return ledger->archive.records_ahead + ledger->archive.records_held + ledger->not_delivered;
}

static bool equal(uint64_t is, uint64_t wanted, const char *what, char *error) {
	if (is == wanted)
		return true;
	snprintf(error, LEDGER_ERROR_BYTES, "%s: %" PRIu64 " against %" PRIu64, what, is, wanted);
	return false;
}

int export_ledger_check(const struct export_ledger *ledger, char *error) {
	const struct archive_merge_stats *archive = &ledger->archive;

	error[0] = '\0';
	if (!equal(archive->records,
		   archive->outside + archive->unreadable + left(ledger) + ledger->exported,
		   "records in the files and accounted for",
		   error))
		return -EBADMSG;
	return ledger_check_sinks(ledger->sinks, ledger->n_sinks, ledger->exported, error);
}

static void text_records(FILE *out, const char *name, uint64_t records) {
	fprintf(out, "  %-24s %15" PRIu64 " records\n", name, records);
}

int export_ledger_print_text(const struct export_ledger *ledger, FILE *out) {
	const struct archive_merge_stats *archive = &ledger->archive;
	char error[LEDGER_ERROR_BYTES];
	bool balanced = export_ledger_check(ledger, error) == 0;

	fprintf(out,
		"%-26s %15" PRIu64 " records in %" PRIu64 " files",
		"archive",
		archive->records,
		archive->files);
	if (archive->files_failed > 0)
		fprintf(out, "; %" PRIu64 " could not be opened", archive->files_failed);
	fprintf(out, "\n");
	if (archive->outside > 0)
		text_records(out, "outside the time", archive->outside);
	if (archive->unreadable > 0)
		text_records(out, "unreadable", archive->unreadable);
	if (left(ledger) > 0)
		text_records(out, "left by an interrupt", left(ledger));
	fprintf(out,
		"  %-24s %15" PRIu64 " records %18" PRIu64 " bytes of IP in %" PRIu64 " packets\n",
		"exported",
		ledger->exported,
		ledger->octets,
		ledger->packets);
	for (unsigned i = 0; i < ledger->n_sinks; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];
		fprintf(out, "to %-23s %15" PRIu64 " records sent", sink->name, sink->sent);
		if (sink->datagrams > 0)
			fprintf(out,
				" %13" PRIu64 " bytes in %" PRIu64 " datagrams",
				sink->octets,
				sink->datagrams);
		fprintf(out, "\n");
		for (unsigned j = 0; j < sink->n_losses; j++)
			if (sink->losses[j].records > 0)
				fprintf(out,
					"  lost: %-18s %15" PRIu64 " records\n",
					sink->losses[j].name,
					sink->losses[j].records);
	}
	if (balanced)
		fprintf(out, "balance: every record is accounted for\n");
	else
		fprintf(out, "balance: BROKEN, %s\n", error);
	return ferror(out) ? -EIO : 0;
}

int export_ledger_print_json(const struct export_ledger *ledger, FILE *out) {
	const struct archive_merge_stats *archive = &ledger->archive;
	char error[LEDGER_ERROR_BYTES];

	fprintf(out,
		"{\"files\":%" PRIu64 ",\"files_failed\":%" PRIu64 ",\"records\":%" PRIu64
		",\"outside\":%" PRIu64 ",\"unreadable\":%" PRIu64 ",\"left\":%" PRIu64
		",\"exported\":%" PRIu64 ",\"packets\":%" PRIu64 ",\"octets\":%" PRIu64
		",\"out_of_order\":%" PRIu64 ",\"sinks\":[",
		archive->files,
		archive->files_failed,
		archive->records,
		archive->outside,
		archive->unreadable,
		left(ledger),
		ledger->exported,
		ledger->packets,
		ledger->octets,
		archive->out_of_order);
	for (unsigned i = 0; i < ledger->n_sinks; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		json_string(out, sink->name);
		fprintf(out,
			",\"records\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"lost\":{",
			sink->records,
			sink->sent);
		for (unsigned j = 0; j < sink->n_losses; j++) {
			if (j > 0)
				fputc(',', out);
			json_string(out, sink->losses[j].name);
			fprintf(out, ":%" PRIu64, sink->losses[j].records);
		}
		fprintf(out,
			"},\"datagrams\":%" PRIu64 ",\"octets\":%" PRIu64 "}",
			sink->datagrams,
			sink->octets);
	}
	fprintf(out,
		"],\"balanced\":%s}\n",
		export_ledger_check(ledger, error) == 0 ? "true" : "false");
	return ferror(out) ? -EIO : 0;
}
