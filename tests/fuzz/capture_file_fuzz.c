// Fuzz target of the capture reader: the input is a file, plain or compressed. It is read to
// its end twice, by the walker and by libpcap alone.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture_file.h"

#define MAX_FRAMES 100000 // a compressed bomb ends here

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// Not assert(): it must hold in a release build too.
static void require(bool holds) {
	if (!holds)
		abort();
}

// Written where the compiler cannot see that no one reads it.
static volatile uint64_t sink;

static void read_file(const char *path, bool no_walker) {
	char error[CAPTURE_ERROR_BYTES] = "";
	struct frame frames[5];
	uint64_t sum = 0, n_frames = 0;
	int n = 0;
	struct capture_file *file = capture_file_open(
		path,
		&(struct capture_file_config){.no_walker = no_walker, .filter = "ip or ip6"},
		error
	);

	if (file == NULL) {
		require(error[0] != '\0' && strlen(error) < sizeof(error)
			&& strchr(error, '\n') == NULL);
		return;
	}
	while (n_frames < MAX_FRAMES && (n = capture_file_read(file, frames, 5)) > 0)
		for (int i = 0; i < n; i++, n_frames++) {
			require(frames[i].captured_bytes <= 262144 && frames[i].time_ns >= 0);
			// Each octet is touched, so that a sanitizer sees one that is not ours.
			for (uint32_t j = 0; j < frames[i].captured_bytes; j++)
				sum = sum * 31 + frames[i].data[j];
		}
	require((n < 0) == (*capture_file_error(file) != '\0') || n > 0);
	require(strchr(capture_file_error(file), '\n') == NULL);
	capture_file_close(file);
	sink = sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
	char path[64];
	int fd = memfd_create("capture", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, data, n_bytes) == (ssize_t)n_bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_file(path, false);
	read_file(path, true);
	close(fd);
	return 0;
}
