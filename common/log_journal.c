#include "log_journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool log_journal_reads(int fd, const char *journal_stream) {
	unsigned long long device, inode;
	struct stat status;
	char rest;

	return journal_stream != NULL
	       && sscanf(journal_stream, "%llu:%llu%c", &device, &inode, &rest) == 2
	       && fstat(fd, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

int log_journal_open(const char *path) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	// Connected now: in the sandbox there are no addresses any more.
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int log_journal_send(int fd, const void *datagram, size_t n) {
	ssize_t sent = send(fd, datagram, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : 0;
}
