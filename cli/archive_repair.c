// weir archive repair: what a crash left open is finished, and what can be read of a damaged file
// is saved.

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_command.h"
#include "archive_rewrite.h"
#include "archive_upkeep.h"

enum {
	MOST_DAMAGED = 100, // of one name
};

struct repairing {
	struct archive_command *command;
	const char *path; // as the user knows it
};

static void on_fault(const char *what, void *arg) {
	const struct repairing *repairing = arg;
	archive_complain(repairing->command, "%s: %s", repairing->path, what);
}

// Faults that are not complained of twice: reading tells them again.
static void ignore(const char *what, void *arg) {
	(void)what;
	(void)arg;
}

// Gives the damaged file a second name, which no reader of archives takes.
static int keep_damaged(const char *path, char *kept) {
	for (unsigned i = 1; i <= MOST_DAMAGED; i++) {
		int n = snprintf(
			kept, UPKEEP_PATH_BYTES, i == 1 ? "%s.damaged" : "%s.damaged%u", path, i
		);
		if (n >= UPKEEP_PATH_BYTES)
			return -ENAMETOOLONG;
		if (link(path, kept) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

// Puts the new file in the place of the damaged one, which at no time is nowhere.
static void
replace(struct repairing *repairing,
	const char *path,
	const char *made,
	const struct archive_rewritten *done) {
	struct archive_command *command = repairing->command;
	char kept[UPKEEP_PATH_BYTES];
	int rc = keep_damaged(path, kept);

	if (rc < 0) {
		archive_complain(command, "%s: cannot keep it: %s", path, strerror(-rc));
		unlink(made);
		return;
	}
	if (done->sum.records > 0)
		rc = rename(made, path) < 0 ? -errno : 0;
	else
		rc = unlink(path) < 0 ? -errno : 0;
	if (rc == 0)
		rc = upkeep_sync_folder(path);
	if (rc < 0) {
		archive_complain(command, "%s: %s", path, strerror(-rc));
		return;
	}
	printf("%s: %" PRIu64 " records saved, %" PRIu64 " lost; the damaged file is %s\n",
	       repairing->path,
	       done->sum.records,
	       done->lost,
	       archive_short_path(command, kept));
}

static void save(struct repairing *repairing, const char *path) {
	struct archive_command *command = repairing->command;
	char made[UPKEEP_PATH_BYTES], error[ARCHIVE_ERROR_BYTES];
	const char *slash = strrchr(path, '/');
	struct archive_rewritten done;
	struct archive_name name;

	if (!archive_name_parse(slash != NULL ? slash + 1 : path, &name)
	    || snprintf(made, sizeof(made), "%s.new", path) >= (int)sizeof(made))
		return;
	// Of a repair that was ended; the lock says that nobody makes it now.
	unlink(made);
	int rc = archive_rewrite(
		&(struct archive_rewrite_config){
			.path = made,
			.from = &path,
			.n_from = 1,
			.sensor = name.sensor,
			.level = command->options.level,
			.stop = &command->stop,
			.on_fault = on_fault,
			.arg = repairing,
		},
		&done,
		error
	);
	// Its footer: then nothing tells where its pages are.
	if (rc == -EBADMSG) {
		archive_complain(command, "%s", error);
		done = (struct archive_rewritten){0};
		rc = 0;
	}
	if (rc < 0)
		archive_complain(command, "%s", error);
	else
		replace(repairing, path, made, &done);
}

static void repair_file(struct archive_command *command, const char *path) {
	struct repairing repairing = {command, archive_short_path(command, path)};
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_check check = {0};
	struct archive_reader *reader = archive_reader_open(path, error);

	if (reader == NULL && errno != EBADMSG) {
		// One that is gone was taken by retention.
		if (errno != ENOENT)
			archive_complain(command, "%s", error);
		return;
	}
	if (reader != NULL)
		archive_check(reader, &command->stop, ignore, NULL, &check);
	bool good = reader != NULL && check.faults == 0;
	archive_reader_close(reader);
	if (!good && !command->stop)
		save(&repairing, path);
}

void archive_repair(struct archive_command *command) {
	int lock = upkeep_lock(command);

	if (lock < 0)
		return;
	upkeep_clean(command);
	upkeep_finish(command);
	for (size_t i = 0; i < command->files.n && !command->stop; i++)
		if (!command->files.files[i].open)
			repair_file(command, command->files.files[i].path);
	close(lock);
}
