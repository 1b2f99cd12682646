#include "archive_options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "units.h"

#define LONGEST_ROTATE_NS (24 * 3600 * NS_PER_S)
#define LONGEST_FLUSH_NS (3600 * NS_PER_S)
#define LEAST_BYTES (UINT64_C(1) << 20)

void archive_options_init(struct archive_options *options) {
	char host[256] = "";

	*options = (struct archive_options){
		.rotate_ns = 3600 * NS_PER_S,
		.rotate_bytes = UINT64_C(1) << 30,
		.flush_ns = 5 * NS_PER_S,
		.sync = ARCHIVE_SYNC_FLUSH,
		.level = 3,
	};
	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	archive_sensor_name(options->sensor, host);
}

// "1h,1GiB", "1h", ",1GiB": what is not there is left as it is.
static int take_time_and_size(const char *text, time_ns_t *time_ns, uint64_t *bytes) {
	const char *comma = strchr(text, ',');
	size_t n = comma != NULL ? (size_t)(comma - text) : strlen(text);
	char time[32];
	int rc = 0;

	if (n >= sizeof(time) || text[0] == '\0' || (comma != NULL && comma[1] == '\0'))
		return -EINVAL;
	memcpy(time, text, n);
	time[n] = '\0';
	if (n > 0)
		rc = units_duration(time, time_ns);
	if (rc == 0 && comma != NULL)
		rc = units_bytes(comma + 1, bytes);
	return rc;
}

static int rotate(struct archive_options *options, const char *arg) {
	time_ns_t time_ns = options->rotate_ns;
	uint64_t bytes = options->rotate_bytes;

	if (take_time_and_size(arg, &time_ns, &bytes) < 0 || time_ns < NS_PER_S
	    || time_ns > LONGEST_ROTATE_NS || time_ns % NS_PER_S != 0 || bytes < LEAST_BYTES)
		return options_mistake(
			"--archive-rotate %s: use whole seconds up to 24h, and then as needed a "
			"size of at least 1MiB, such as 1h,1GiB",
			arg
		);
	options->rotate_ns = time_ns;
	options->rotate_bytes = bytes;
	return 0;
}

static int retain(struct archive_options *options, const char *arg) {
	time_ns_t time_ns = 0;
	uint64_t bytes = 0;

	if (take_time_and_size(arg, &time_ns, &bytes) < 0 || (time_ns == 0 && bytes == 0))
		return options_mistake(
			"--retain %s: use an age, a size behind a comma, or both: 30d or ,500GiB "
			"or 30d,500GiB",
			arg
		);
	options->retain_ns = time_ns;
	options->retain_bytes = bytes;
	return 0;
}

static int sensor(struct archive_options *options, const char *arg) {
	archive_sensor_name(options->sensor, arg);
	if (strcmp(options->sensor, arg) != 0)
		return options_mistake(
			"--sensor %s: use up to %d letters, digits, '-', '_' and '.', such as %s",
			arg,
			ARCHIVE_SENSOR_BYTES - 1,
			options->sensor
		);
	return 0;
}

int archive_options_take(struct archive_options *options, int id, const char *arg) {
	static const char *const syncs[] = {"none", "close", "flush", NULL};
	uint64_t value;
	int rc;

	switch (id) {
	case OPT_ARCHIVE:
		if (arg[0] == '\0')
			return options_mistake("--archive: use the name of a folder");
		options->dir = arg;
		return 0;
	case OPT_ARCHIVE_ROTATE:
		return rotate(options, arg);
	case OPT_ARCHIVE_FLUSH:
		if (units_duration(arg, &options->flush_ns) < 0
		    || options->flush_ns < 10 * NS_PER_MS || options->flush_ns > LONGEST_FLUSH_NS)
			return options_mistake(
				"--archive-flush %s: use a time from 10ms to 1h, such as 5s", arg
			);
		return 0;
	case OPT_ARCHIVE_SYNC:
		rc = options_one_of("archive-sync", arg, syncs, "none, close or flush");
		if (rc >= 0)
			options->sync = ARCHIVE_SYNC_NONE + (enum archive_sync)rc;
		return rc < 0 ? rc : 0;
	case OPT_ARCHIVE_LEVEL:
		rc = options_whole("archive-level", arg, 1, 19, &value);
		if (rc == 0)
			options->level = (int)value;
		return rc;
	case OPT_RETAIN:
		return retain(options, arg);
	case OPT_SENSOR:
		return sensor(options, arg);
	default:
		return -ENOENT;
	}
}

struct archive_config archive_options_config(const struct archive_options *options) {
	return (struct archive_config){
		.dir = options->dir,
		.sensor = options->sensor,
		.rotate_ns = options->rotate_ns,
		.rotate_bytes = options->rotate_bytes,
		.flush_ns = options->flush_ns,
		.sync = options->sync,
		.level = options->level,
		.retain_ns = options->retain_ns,
		.retain_bytes = options->retain_bytes,
	};
}

int archive_options_check(const struct archive_options *options) {
	if (options->dir == NULL && (options->retain_ns > 0 || options->retain_bytes > 0))
		return options_mistake("--retain says what an archive keeps; add --archive DIR");
	if (options->retain_ns > 0 && options->retain_ns < options->rotate_ns)
		return options_mistake(
			"--retain: a file is longer than that; use a shorter --archive-rotate"
		);
	return 0;
}
