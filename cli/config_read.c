// The octets of a config file.

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_file.h"

static int cannot(int error, const char *remedy, config_mistake_fn on_mistake, void *arg) {
	char mistake[CONFIG_MISTAKE_BYTES];

	snprintf(mistake, sizeof(mistake), "cannot be read: %s; %s", strerror(error), remedy);
	on_mistake(mistake, arg);
	return -(error == EINVAL ? EIO : error);
}

static const char *remedy_of(int error) {
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return "'weir show-config --example' prints one to begin with";
	case EACCES:
		return "let this user read it, or become one who may";
	default:
		return "name a file of text";
	}
}

// Up to one octet more than is allowed, by which it shows. Returns how many, or a negative errno.
static ssize_t read_all(int fd, char *text) {
	size_t n = 0;

	while (n <= CONFIG_FILE_MOST_BYTES) {
		ssize_t got = read(fd, text + n, CONFIG_FILE_MOST_BYTES + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static int
parse(struct setting_values *values, int fd, char *text, config_mistake_fn on_mistake, void *arg) {
	ssize_t n = read_all(fd, text);

	if (n < 0)
		return cannot((int)-n, remedy_of((int)-n), on_mistake, arg);
	if (n > CONFIG_FILE_MOST_BYTES)
		return cannot(EFBIG, "a config file has 1MiB at most", on_mistake, arg);
	return config_file_parse(values, text, (size_t)n, on_mistake, arg);
}

int config_file_read(
	struct setting_values *values, const char *path, config_mistake_fn on_mistake, void *arg
) {
	struct stat facts;
	int rc = -ENOMEM;

	values->file = strdup(path);
	if (values->file == NULL)
		return -ENOMEM;
	// What is no file may make an open() or read() wait, for ever.
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return cannot(errno, remedy_of(errno), on_mistake, arg);
	if (fstat(fd, &facts) < 0 || !S_ISREG(facts.st_mode)) {
		on_mistake(
			S_ISDIR(facts.st_mode) ? "a folder; name the file in it"
					       : "no regular file; name one, since it is read "
						 "again whenever weir starts",
			arg
		);
		close(fd);
		return -ENODEV;
	}
	char *text = malloc(CONFIG_FILE_MOST_BYTES + 1);
	if (text != NULL)
		rc = parse(values, fd, text, on_mistake, arg);
	free(text);
	close(fd);
	return rc;
}
