// weir archive: what stands in an archive, and its upkeep.

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive_command.h"
#include "commands.h"

// For the signal handler, which is given no argument.
static struct archive_command *running;

static void on_signal(int signal_number) {
	running->stop = 1;
	// The second one ends weir at once; what was begun is then cleaned up next time.
	signal(signal_number, SIG_DFL);
}

void archive_complain(struct archive_command *command, const char *format, ...) {
	va_list args;

	// Behind what standard output says of the files before it.
	fflush(stdout);
	va_start(args, format);
	fprintf(stderr, "weir archive: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	command->failed = true;
}

const char *archive_short_path(const struct archive_command *command, const char *path) {
	const char *archive = command->options.archive;
	size_t n = archive != NULL ? strlen(archive) : 0;

	if (n == 0 || strncmp(path, archive, n) != 0)
		return path;
	path += n;
	return path + strspn(path, "/");
}

static bool is_folder(const char *path) {
	struct stat status;
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

// The files that were named, as if an archive had been listed.
static bool take_named(struct archive_command *command) {
	struct archive_files *files = &command->files;
	const struct upkeep_options *options = &command->options;

	files->files = calloc(options->n_files, sizeof(*files->files));
	for (unsigned i = 0; files->files != NULL && i < options->n_files; i++) {
		const char *path = options->files[i], *slash = strrchr(path, '/');
		struct archive_file *file = &files->files[files->n];
		struct archive_name name;
		struct stat status;

		if (stat(path, &status) < 0) {
			archive_complain(command, "%s: %s", path, strerror(errno));
			continue;
		}
		*file = (struct archive_file
		){.path = strdup(path), .bytes = (uint64_t)status.st_size};
		if (file->path == NULL)
			break;
		if (archive_name_parse(slash != NULL ? slash + 1 : path, &name)) {
			file->begin_ns = name.begin_ns;
			file->open = strcmp(name.suffix, ".part") == 0;
		}
		files->n++;
	}
	return files->n > 0;
}

static bool find_files(struct archive_command *command) {
	struct upkeep_options *options = &command->options;
	char error[ARCHIVE_ERROR_BYTES];

	// `weir archive ls DIR` means the same.
	if (options->archive == NULL && options->n_files == 1 && is_folder(options->files[0])) {
		options->archive = options->files[0];
		options->n_files = 0;
	}
	if (options->archive == NULL)
		return take_named(command);
	if (archive_files_list(options->archive, &command->files, error) < 0) {
		archive_complain(command, "%s", error);
		return false;
	}
	return true;
}

int command_archive(int argc, char **argv) {
	struct archive_command command = {0};
	int rc = upkeep_options_parse(&command.options, argc, argv);

	if (rc != 0)
		return rc > 0 ? EXIT_OK : EXIT_USAGE;
	running = &command;
	const struct sigaction on_stop = {.sa_handler = on_signal};
	sigaction(SIGINT, &on_stop, NULL);
	sigaction(SIGTERM, &on_stop, NULL);
	bool found = find_files(&command);
	if (command.options.archive == NULL && command.options.action >= UPKEEP_REPAIR) {
		fprintf(stderr,
			"weir archive: %s: name the archive's folder, as in --archive DIR\n",
			command.options.files[0]);
		rc = EXIT_USAGE;
	} else if (found) {
		static void (*const actions[])(struct archive_command *) = {
			[UPKEEP_LS] = archive_ls,
			[UPKEEP_VERIFY] = archive_verify,
			[UPKEEP_REPAIR] = archive_repair,
			[UPKEEP_COMPACT] = archive_compact,
		};
		actions[command.options.action](&command);
		if (command.stop)
			archive_complain(&command, "interrupted");
	}
	if (fflush(stdout) != 0)
		archive_complain(&command, "standard output: %s", strerror(errno));
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	archive_files_free(&command.files);
	return rc != 0 ? rc : command.failed ? EXIT_FAILED : EXIT_OK;
}
