#include "archive_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "archive_error.h"

// Another sensor's files are its own to delete.
static bool is_own(const struct archive *archive, const struct archive_file *file) {
	const char *slash = strrchr(file->path, '/');
	struct archive_name name;

	return archive_name_parse(slash != NULL ? slash + 1 : file->path, &name)
	       && strcmp(name.sensor, archive->place.sensor) == 0;
}

// Folders that are empty now. Where the hour is not over, another file may be about to be made in
// it; who makes it makes the folder again.
static void remove_folders(const struct archive *archive, const char *path) {
	char folder[ARCHIVE_NAME_BYTES];

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *slash; (slash = strrchr(folder, '/')) != NULL;) {
		*slash = '\0';
		if (archive->place.io->unlink(archive->place.dir_fd, folder, AT_REMOVEDIR) < 0)
			return;
	}
}

static int delete_file(struct archive *archive, const struct archive_file *file, char *error) {
	int rc = archive_io_remove(archive->place.io, archive->place.dir_fd, file->path);

	if (rc < 0)
		return archive_error(error, rc, "cannot delete %s: %s", file->path, strerror(-rc));
	archive_count(&archive->deleted, 1);
	remove_folders(archive, file->path);
	return 0;
}

int archive_retain(struct archive *archive, time_ns_t now_ns, char *error) {
	time_ns_t retain_ns = archive_setting(archive, retain_ns);
	uint64_t retain_bytes = archive_setting(archive, retain_bytes);
	time_ns_t rotate_ns = archive_setting(archive, longest_rotate_ns);
	struct archive_files files;
	uint64_t bytes = 0;

	if (retain_ns == 0 && retain_bytes == 0)
		return 0;
	int rc = archive_files_list_at(archive->place.dir_fd, "", &files, error);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < files.n; i++)
		if (is_own(archive, &files.files[i]))
			bytes += files.files[i].bytes;
	for (size_t i = 0; i < files.n && rc == 0; i++) {
		const struct archive_file *file = &files.files[i];
		// The youngest of its records is older than the next rotation after it was begun.
		bool old = retain_ns > 0 && file->begin_ns + rotate_ns < now_ns - retain_ns;
		bool much = retain_bytes > 0 && bytes > retain_bytes;
		if (!old && !much)
			break;
		if (file->open || !is_own(archive, file))
			continue;
		rc = delete_file(archive, file, error);
		bytes -= file->bytes;
	}
	archive_files_free(&files);
	return rc;
}
