// weir archive compact: the files of an hour that is over become one.
//
// The hour is made anew in a folder beside, with the new files, and second names of those that
// stay; then the two folders are exchanged, which file systems do as one step, and the old one is
// removed. So whoever lists the hour sees all old files or all new ones, a crash leaves one of
// the two, and every record is there exactly once.

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive_command.h"
#include "archive_rewrite.h"
#include "archive_upkeep.h"

#define HOUR_NS (3600 * NS_PER_S)

// A file of the hour.
struct member {
	const char *path;
	struct archive_name name;
	struct archive_facts facts;
	char sampler[FLOW_COLUMN_TEXT_BYTES];
	uint64_t bytes;
	bool replaced;
};

struct hour {
	struct archive_command *command;
	char folder[UPKEEP_PATH_BYTES]; // of the hour
	char made[UPKEEP_PATH_BYTES];   // beside it
	struct member *members;
	size_t n;
	const char **paths; // of one new file
	size_t n_paths;
	uint64_t n_new, n_replaced, records, old_bytes, new_bytes;
};

static int fail(const struct hour *hour, int rc, const char *what) {
	archive_complain(
		hour->command,
		"%s: %s: %s",
		archive_short_path(hour->command, hour->folder),
		what,
		strerror(-rc)
	);
	return rc;
}

static void on_fault(const char *what, void *arg) {
	const struct hour *hour = arg;
	archive_complain(
		hour->command, "%s: %s", archive_short_path(hour->command, hour->folder), what
	);
}

// Where all rows have one; the reader has it from the statistics.
static void take_sampler(const struct archive_reader *reader, char *sampler) {
	struct parquet_text_range range;

	sampler[0] = '\0';
	if (parquet_reader_row_groups(reader->parquet) > 0
	    && parquet_reader_text_range(reader->parquet, 0, COLUMN_SAMPLER_ADDRESS, &range)
	    && range.min_bytes < FLOW_COLUMN_TEXT_BYTES)
		snprintf(sampler, FLOW_COLUMN_TEXT_BYTES, "%.*s", (int)range.min_bytes, range.min);
}

// Takes a file that can be opened as one of the hour.
static int add_member(struct hour *hour, const struct archive_file *file) {
	struct member *member = &hour->members[hour->n];
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_reader *reader = archive_reader_open(file->path, error);

	if (reader == NULL) {
		archive_complain(hour->command, "%s (see weir archive repair)", error);
		return -EBADMSG;
	}
	*member = (struct member){.path = file->path, .bytes = file->bytes};
	archive_facts(reader, &member->facts);
	take_sampler(reader, member->sampler);
	archive_reader_close(reader);
	if (!archive_name_parse(strrchr(file->path, '/') + 1, &member->name))
		return -EBADMSG;
	hour->n++;
	return 0;
}

// Whether their records may be in one file.
static bool are_alike(const struct member *left, const struct member *right) {
	return strcmp(left->name.sensor, right->name.sensor) == 0
	       && left->facts.sampling_rate == right->facts.sampling_rate
	       && strcmp(left->sampler, right->sampler) == 0;
}

// A name of its own, by the oldest of the files it is made of.
static int new_path(const struct hour *hour, const struct member *oldest, char *path) {
	char name[ARCHIVE_NAME_BYTES], taken[UPKEEP_PATH_BYTES];

	for (time_ns_t begin_ns = oldest->name.begin_ns + NS_PER_MS;; begin_ns += NS_PER_MS) {
		archive_path(name, oldest->name.sensor, begin_ns);
		const char *file = strrchr(name, '/') + 1;
		if (snprintf(path, UPKEEP_PATH_BYTES, "%s/%s", hour->made, file)
			    >= UPKEEP_PATH_BYTES
		    || snprintf(taken, sizeof(taken), "%s/%s", hour->folder, file)
			       >= (int)sizeof(taken))
			return -ENAMETOOLONG;
		if (access(taken, F_OK) != 0 && access(path, F_OK) != 0)
			return 0;
	}
}

// Reads the new file back: it must be good and hold what the old ones did.
static int check_new(struct hour *hour, const char *path, const struct archive_sum *wanted) {
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_check check = {0};
	struct archive_reader *reader = archive_reader_open(path, error);

	if (reader == NULL) {
		on_fault(error, hour);
		return -EIO;
	}
	archive_check(reader, &hour->command->stop, on_fault, hour, &check);
	archive_reader_close(reader);
	if (check.stopped)
		return -EINTR;
	if (check.faults > 0 || check.records != wanted->records || check.packets != wanted->packets
	    || check.octets != wanted->octets)
		return fail(hour, -EIO, "the new file is not as the old ones; they stay");
	return 0;
}

// Makes one file of all that are like member `first`, if there are others.
static int make_new(struct hour *hour, size_t first) {
	struct archive_command *command = hour->command;
	const struct member *oldest = &hour->members[first];
	char path[UPKEEP_PATH_BYTES], error[ARCHIVE_ERROR_BYTES];
	struct archive_rewritten done;
	struct archive_sum wanted = {0};

	hour->n_paths = 0;
	for (size_t i = first; i < hour->n; i++) {
		const struct member *member = &hour->members[i];
		if (member->replaced || !are_alike(oldest, member))
			continue;
		hour->paths[hour->n_paths++] = member->path;
		wanted.records += member->facts.records;
		wanted.packets += member->facts.packets;
		wanted.octets += member->facts.octets;
	}
	if (hour->n_paths < 2)
		return 0;
	int rc = new_path(hour, oldest, path);
	if (rc < 0)
		return fail(hour, rc, "no name for a new file");
	rc = archive_rewrite(
		&(struct archive_rewrite_config){
			.path = path,
			.from = hour->paths,
			.n_from = hour->n_paths,
			.sensor = oldest->name.sensor,
			.level = command->options.level,
			.stop = &command->stop,
			.on_fault = on_fault,
			.arg = hour,
		},
		&done,
		error
	);
	if (rc < 0 && rc != -EINTR)
		archive_complain(command, "%s", error);
	if (rc == 0)
		rc = check_new(hour, path, &wanted);
	if (rc < 0)
		return rc;
	for (size_t i = first; i < hour->n; i++) {
		struct member *member = &hour->members[i];
		if (member->replaced || !are_alike(oldest, member))
			continue;
		member->replaced = true;
		hour->old_bytes += member->bytes;
	}
	hour->n_new++;
	hour->n_replaced += hour->n_paths;
	hour->records += done.sum.records;
	hour->new_bytes += done.bytes;
	return 0;
}

static struct member *member_of(const struct hour *hour, const char *name) {
	for (size_t i = 0; i < hour->n; i++)
		if (strcmp(strrchr(hour->members[i].path, '/') + 1, name) == 0)
			return &hour->members[i];
	return NULL;
}

static int join(char *path, const char *folder, const char *name) {
	return snprintf(path, UPKEEP_PATH_BYTES, "%s/%s", folder, name) < UPKEEP_PATH_BYTES
		       ? 0
		       : -ENAMETOOLONG;
}

// Gives what stays in the hour a second name in the new folder.
static int link_name(const char *name, void *arg) {
	struct hour *hour = arg;
	const struct member *member = member_of(hour, name);
	char from[UPKEEP_PATH_BYTES], to[UPKEEP_PATH_BYTES];

	if (member != NULL && member->replaced)
		return 0;
	if (join(from, hour->folder, name) < 0 || join(to, hour->made, name) < 0)
		return -ENAMETOOLONG;
	if (link(from, to) == 0 || errno == ENOENT) // retention took it
		return 0;
	return -errno;
}

// Removes from the old folder what was replaced or is in the new one too; what has come since
// goes there.
static int clear_name(const char *name, void *arg) {
	struct hour *hour = arg;
	const struct member *member = member_of(hour, name);
	char from[UPKEEP_PATH_BYTES], to[UPKEEP_PATH_BYTES];
	struct stat left, right;

	if (join(from, hour->made, name) < 0 || join(to, hour->folder, name) < 0)
		return -ENAMETOOLONG;
	bool is_there = lstat(from, &left) == 0 && lstat(to, &right) == 0
			&& left.st_ino == right.st_ino && left.st_dev == right.st_dev;
	if (is_there || (member != NULL && member->replaced))
		return unlink(from) < 0 && errno != ENOENT ? -errno : 0;
	return rename(from, to) < 0 ? -errno : 0;
}

// A folder with the mode and owner of the hour's.
static int make_folder(struct hour *hour) {
	char *slash = strrchr(hour->made, '/');
	struct stat status;

	*slash = '\0';
	int rc = mkdir(hour->made, 0700) < 0 && errno != EEXIST ? -errno : 0;
	*slash = '/';
	if (rc == 0 && (stat(hour->folder, &status) < 0 || mkdir(hour->made, 0700) < 0))
		rc = -errno;
	// Another owner only root can give; for others it is their own anyway.
	if (rc == 0
	    && ((chown(hour->made, status.st_uid, status.st_gid) < 0 && errno != EPERM)
		|| chmod(hour->made, status.st_mode & 07777) < 0))
		rc = -errno;
	return rc < 0 ? fail(hour, rc, "cannot make a folder to work in") : 0;
}

static int exchange(struct hour *hour) {
	int rc = upkeep_each(hour->folder, link_name, hour);

	if (rc < 0)
		return fail(hour, rc, "cannot give its files a second name");
	char inside[UPKEEP_PATH_BYTES];
	rc = join(inside, hour->made, "x");
	if (rc == 0)
		rc = upkeep_sync_folder(inside);
	if (rc < 0)
		return fail(hour, rc, "cannot sync the new folder");
	if (renameat2(AT_FDCWD, hour->made, AT_FDCWD, hour->folder, RENAME_EXCHANGE) < 0)
		return fail(
			hour,
			-errno,
			"cannot be exchanged for its new folder (the file system must know how, as "
			"ext4, XFS, Btrfs and tmpfs do)"
		);
	rc = upkeep_sync_folder(hour->folder);
	if (rc == 0)
		rc = upkeep_sync_folder(hour->made);
	if (rc == 0)
		rc = upkeep_each(hour->made, clear_name, hour);
	return rc < 0 ? fail(hour, rc, "was compacted, but its old files remain") : 0;
}

static void compact_hour(struct hour *hour) {
	int rc = make_folder(hour);

	for (size_t i = 0; i < hour->n && rc == 0; i++)
		if (!hour->members[i].replaced)
			rc = make_new(hour, i);
	if (rc == 0 && hour->n_new > 0)
		rc = exchange(hour);
	if (rc == 0 && hour->n_new > 0)
		printf("%s: %" PRIu64 " files of %" PRIu64 " records, %" PRIu64
		       " bytes, became %" PRIu64 " of %" PRIu64 " bytes\n",
		       archive_short_path(hour->command, hour->folder),
		       hour->n_replaced,
		       hour->records,
		       hour->old_bytes,
		       hour->n_new,
		       hour->new_bytes);
	upkeep_clean(hour->command);
}

static bool in_folder(const char *path, const char *folder) {
	size_t n = strlen(folder);
	return strncmp(path, folder, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

// Looks at the files of one hour, from file `first` of the list on. Returns how many there are.
static size_t take_hour(struct archive_command *command, size_t first, time_ns_t now_ns) {
	const struct archive_files *files = &command->files;
	struct hour hour = {.command = command};
	const char *path = files->files[first].path;
	// Files that are being written make the hour theirs.
	bool ready = files->files[first].begin_ns / HOUR_NS < now_ns / HOUR_NS;
	size_t n = 0;

	snprintf(hour.folder, sizeof(hour.folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	while (first + n < files->n && in_folder(files->files[first + n].path, hour.folder)) {
		ready = ready && !files->files[first + n].open;
		n++;
	}
	if (!ready || n < 2)
		return n;
	hour.members = calloc(n, sizeof(*hour.members));
	hour.paths = calloc(n, sizeof(*hour.paths));
	if (hour.members == NULL || hour.paths == NULL || upkeep_folder(command, hour.made) < 0)
		ready = false;
	for (size_t i = 0; i < n && ready; i++)
		ready = add_member(&hour, &files->files[first + i]) == 0;
	if (ready)
		compact_hour(&hour);
	free(hour.members);
	free(hour.paths);
	return n;
}

void archive_compact(struct archive_command *command) {
	int lock = upkeep_lock(command);
	struct timespec now;

	if (lock < 0)
		return;
	upkeep_clean(command);
	clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0, n; i < command->files.n && !command->stop; i += n) {
		n = take_hour(command, i, now.tv_sec * NS_PER_S + now.tv_nsec);
		if (n == 0)
			n = 1;
	}
	close(lock);
}
