#include "archive_internal.h"
#include "archive_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive_error.h"

struct found {
	struct archive *archive;
	char **paths; // of closed files that they belong to
	size_t n, room;
};

static int look(const struct archive_walk_file *file, void *arg) {
	struct found *found = arg;
	size_t stem = strlen(file->path) - strlen(file->name.suffix);

	if (strcmp(file->name.sensor, found->archive->place.sensor) != 0
	    || (strcmp(file->name.suffix, ".part") != 0 && strcmp(file->name.suffix, ".notes") != 0
		&& strcmp(file->name.suffix, ".new") != 0))
		return 0;
	if (found->n == found->room) {
		size_t room = found->room * 2 + 16;
		char **more = reallocarray(found->paths, room, sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		found->paths = more;
		found->room = room;
	}
	found->paths[found->n] = strndup(file->path, stem);
	return found->paths[found->n++] == NULL ? -ENOMEM : 0;
}

static int by_text(const void *a, const void *b) {
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int archive_recover(struct archive *archive, char *error) {
	struct found found = {.archive = archive};

	archive_error(error, 0, "%s", strerror(ENOMEM));
	int rc = archive_walk(archive->place.dir_fd, 1, look, &found, error);
	if (rc == 0 && found.n > 0)
		qsort(found.paths, found.n, sizeof(found.paths[0]), by_text);
	for (size_t i = 0; i < found.n && rc == 0; i++)
		if (i == 0 || strcmp(found.paths[i], found.paths[i - 1]) != 0)
			rc = archive_closer_add(&archive->closer, found.paths[i], true);
	for (size_t i = 0; i < found.n; i++)
		free(found.paths[i]);
	free(found.paths);
	return rc;
}
