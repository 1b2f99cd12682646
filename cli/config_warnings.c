#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_checks.h"
#include "flow_cache.h"
#include "options.h"

struct warnings {
	const struct run_options *options;
	unsigned n;
	const struct setting_value *values[SINKS_MAX_COLLECTORS]; // collectors so far
	unsigned n_values;
};

[[gnu::format(printf, 3, 4)]] static void
warn(struct warnings *warnings, const char *key, const char *format, ...) {
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (key != NULL)
		config_place(warnings->options, key);
	options_mistake("warning: %s", text);
	warnings->n++;
}

// Whether the user of these ids may make files in a folder, by its permissions alone: 0 or a
// negative errno.
static int may_write(const char *folder, uid_t user, gid_t group) {
	struct stat status;

	if (stat(folder, &status) < 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	if (user == geteuid() || access(folder, W_OK | X_OK) < 0)
		return access(folder, W_OK | X_OK) < 0 ? -errno : 0;
	mode_t wanted = S_IWOTH | S_IXOTH;
	if (status.st_uid == user)
		wanted = S_IWUSR | S_IXUSR;
	else if (status.st_gid == group)
		wanted = S_IWGRP | S_IXGRP;
	return (status.st_mode & wanted) == wanted ? 0 : -EACCES;
}

// The folder above `path`, into `above` (4096).
static const char *above(const char *path, char *room) {
	snprintf(room, 4096, "%s", path);
	return dirname(room);
}

static void warn_of_archive(struct warnings *warnings) {
	const struct run_options *options = warnings->options;
	const char *dir = options->archive.dir;
	char room[4096];
	uid_t user;
	gid_t group;

	if (dir == NULL || dir[0] != '/' || !config_user(options, &user, &group))
		return;
	int rc = may_write(dir, user, group);
	if (rc == -ENOENT) { // then weir makes it, before it is another user
		const char *parent = above(dir, room);
		rc = may_write(parent, geteuid(), getegid());
		if (rc < 0)
			warn(warnings,
			     "archive.dir",
			     "%s: cannot be made in %s: %s; make the folder, and give it to the "
			     "user who runs weir",
			     dir,
			     parent,
			     strerror(-rc));
	} else if (rc < 0) {
		warn(warnings,
		     "archive.dir",
		     "%s: user %u, who weir becomes, may not write there: %s; 'chown %u %s', or "
		     "name another folder",
		     dir,
		     (unsigned)user,
		     strerror(-rc),
		     (unsigned)user,
		     dir);
	}
}

static void warn_of_socket(struct warnings *warnings) {
	const struct run_options *options = warnings->options;
	char room[4096];

	if (options->socket == NULL || options->socket_default)
		return;
	const char *parent = above(options->socket, room);
	int rc = may_write(parent, geteuid(), getegid());
	if (rc < 0)
		warn(warnings,
		     "serve.socket",
		     "%s: no socket can be made in %s: %s; make the folder, or name another",
		     options->socket,
		     parent,
		     strerror(-rc));
}

// Of a service the folder of the day is /.
static int warn_of_paths(const struct setting_value *value, bool is_default, void *arg) {
	struct warnings *warnings = arg;
	const char *key = value->setting->key;
	bool is_path = value->setting->type == SETTING_FILE || strcmp(key, "archive.dir") == 0
		       || strcmp(key, "serve.socket") == 0;

	if (is_default || !is_path || value->text[0] == '/' || setting_value_is_none(value))
		return 0;
	options_place(warnings->options->values.file, value->line, value->setting);
	warn(warnings,
	     NULL,
	     "%s: another place for each folder that weir is started in; write it from / on",
	     value->text);
	return 0;
}

static int warn_of_collectors(const struct setting_value *value, bool is_default, void *arg) {
	struct warnings *warnings = arg;

	if (is_default || strcmp(value->setting->key, "export.collectors") != 0
	    || setting_value_is_none(value))
		return 0;
	for (unsigned i = 0; i < warnings->n_values; i++)
		if (strcmp(warnings->values[i]->text, value->text) == 0) {
			options_place(warnings->options->values.file, value->line, value->setting);
			warn(warnings,
			     NULL,
			     "%s: given twice, and gets every record twice; remove one",
			     value->text);
			return 0;
		}
	if (warnings->n_values < SINKS_MAX_COLLECTORS)
		warnings->values[warnings->n_values++] = value;
	return 0;
}

// Whoever reads the key can be the sensor to a collector.
static void warn_of_key(struct warnings *warnings) {
	const char *path = warnings->options->send.tls.key_file;
	struct stat status;

	if (path != NULL && stat(path, &status) == 0 && S_ISREG(status.st_mode)
	    && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		warn(warnings,
		     "export.tls_key",
		     "%s: others than its owner may read or write it; 'chmod 600 %s'",
		     path,
		     path);
}

static void warn_of_machine(struct warnings *warnings) {
	const struct run_options *options = warnings->options;
	uint64_t has = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t takes = flow_cache_memory(options->n_flows);
	long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
	const struct setting *memory = setting_of_key("cache.memory");

	if (takes > has / 10 * 9)
		warn(warnings,
		     setting_values_given(&options->values, memory) ? "cache.memory"
								    : "cache.entries",
		     "%u flows take %.1f GiB, and this machine has %.1f GiB; use fewer",
		     options->n_flows,
		     (double)takes / (1 << 30),
		     (double)has / (1 << 30));
	if (options->n_cores > 0 && options->n_cores < options->n_workers)
		warn(warnings,
		     "threads.cores",
		     "%u cores for %u workers, who then wait for each other; name a core for each",
		     options->n_cores,
		     options->n_workers);
	else if (n_cores > 0 && options->n_workers > (unsigned long)n_cores)
		warn(warnings,
		     "threads.workers",
		     "%u, and this machine has %ld cores: they wait for each other; use fewer",
		     options->n_workers,
		     n_cores);
}

// What is said and has no effect, or none that anybody wants.
static void warn_of_sense(struct warnings *warnings) {
	const struct run_options *options = warnings->options;
	const struct send_options *send = &options->send;

	if (options->active_timeout_ns == 0 && options->idle_timeout_ns == 0)
		warn(warnings,
		     "cache.idle_timeout",
		     "0, as cache.active_timeout: flows are reported when the cache is full or "
		     "weir "
		     "ends; write a time such as 15s");
	if (send->scale_counters && options->sampling.interval == 1)
		warn(warnings,
		     "export.scale_counters",
		     "says nothing without capture.sample; add that, or remove this");
	if (send->distribution == DISTRIBUTE_BALANCE && send->n_collectors < 2)
		warn(warnings,
		     "export.distribute",
		     "says nothing with fewer than two collectors; add one, or remove this");
	if (options->user != NULL && options->no_sandbox)
		warn(warnings,
		     "security.user",
		     "says nothing with security.sandbox false; remove one of them");
	if (send->n_collectors == 0 && options->archive.dir == NULL && options->print == PRINT_NONE)
		warn(warnings,
		     "export.collectors",
		     "flow records go nowhere; add collectors, archive.dir or output.print");
}

unsigned config_warnings(const struct run_options *options) {
	struct warnings warnings = {.options = options};

	setting_values_each(&options->values, warn_of_paths, &warnings);
	setting_values_each(&options->values, warn_of_collectors, &warnings);
	warn_of_archive(&warnings);
	warn_of_socket(&warnings);
	warn_of_key(&warnings);
	warn_of_machine(&warnings);
	warn_of_sense(&warnings);
	options_place(NULL, 0, NULL);
	return warnings.n;
}
