// Runs a fuzz target over its corpus where there is no libFuzzer: every file that is named, or
// that lies in a folder that is named, goes through LLVMFuzzerTestOneInput() once. Fails where
// no input ran, since a corpus that is not found must not look like one that passes.

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static unsigned n_inputs;

static int fail(const char *path) {
	int error = errno;

	fprintf(stderr, "%s: %s\n", path, strerror(error));
	return -error;
}

static int replay_file(const char *path, size_t n_bytes) {
	// An exact block, so that a sanitizer sees the target read beyond its input.
	uint8_t *data = malloc(n_bytes > 0 ? n_bytes : 1);
	FILE *file = fopen(path, "rb");
	int rc = 0;

	if (data == NULL || file == NULL) {
		rc = fail(path);
	} else if (fread(data, 1, n_bytes, file) != n_bytes) {
		errno = EIO;
		rc = fail(path);
	} else {
		LLVMFuzzerTestOneInput(data, n_bytes);
		n_inputs++;
	}
	if (file != NULL)
		fclose(file);
	free(data);
	return rc;
}

static int replay(const char *path);

static int replay_folder(const char *path) {
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort); // sorted: a crash comes again at its place
	int rc = 0;

	if (n < 0)
		return fail(path);
	for (int i = 0; i < n; i++) {
		char *inner;

		if (names[i]->d_name[0] != '.' && rc == 0) {
			if (asprintf(&inner, "%s/%s", path, names[i]->d_name) < 0)
				abort();
			rc = replay(inner);
			free(inner);
		}
		free(names[i]);
	}
	free(names);
	return rc;
}

static int replay(const char *path) {
	struct stat status;

	if (stat(path, &status) < 0)
		return fail(path);
	if (S_ISDIR(status.st_mode))
		return replay_folder(path);
	return replay_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv) {
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) < 0)
			return EXIT_FAILURE;
	printf("%u inputs\n", n_inputs);
	return n_inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
