// Files that a sensor which is no more left open are finished as that sensor itself would.

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"
#include "archive_upkeep.h"
#include "archive_walk.h"

enum {
	MOST_SENSORS = 256, // with files that are not finished; for more, repair again
};

// The sensors that have files which are not finished.
struct sensors {
	char names[MOST_SENSORS][ARCHIVE_SENSOR_BYTES];
	unsigned n;
};

static int take_sensor(const struct archive_walk_file *file, void *arg) {
	struct sensors *sensors = arg;
	const struct archive_name *name = &file->name;

	if (strcmp(name->suffix, ".part") != 0 && strcmp(name->suffix, ".notes") != 0)
		return 0;
	for (unsigned i = 0; i < sensors->n; i++)
		if (strcmp(sensors->names[i], name->sensor) == 0)
			return 0;
	if (sensors->n < MOST_SENSORS)
		memcpy(sensors->names[sensors->n++], name->sensor, sizeof(name->sensor));
	return 0;
}

static void on_message(const char *message, bool bad, void *arg) {
	struct archive_command *command = arg;

	if (bad)
		archive_complain(command, "%s", message);
}

static void finish(struct archive_command *command, const char *sensor) {
	char error[ARCHIVE_ERROR_BYTES];
	struct archive_stats stats;
	// What a sensor does before it takes its first record, and nothing else.
	struct archive *archive = archive_open(
		&(struct archive_config){
			.dir = command->options.archive,
			.sensor = sensor,
			.sampling_rate = 1,
			.rotate_ns = 3600 * NS_PER_S,
			.rotate_bytes = UINT64_C(1) << 30,
			.flush_ns = NS_PER_S,
			.sync = ARCHIVE_SYNC_CLOSE,
			.level = command->options.level,
			.wait = true,
			.owner = ARCHIVE_KEEP_OWNER,
			.on_message = on_message,
			.arg = command,
		},
		error
	);

	if (archive == NULL && (errno == EBUSY || errno == EWOULDBLOCK)) {
		printf("sensor %s: a running weir has its files open; left alone\n", sensor);
		return;
	}
	if (archive == NULL || archive_start(archive, error) < 0) {
		archive_complain(command, "%s", error);
		archive_free(archive);
		return;
	}
	archive_stop(archive);
	archive_stats(archive, &stats);
	archive_free(archive);
	printf("sensor %s: %" PRIu64 " records recovered in %" PRIu64 " files\n",
	       sensor,
	       stats.recovered,
	       stats.files);
	if (stats.damaged > 0)
		archive_complain(
			command,
			"sensor %s: %" PRIu64 " records that were flushed cannot be read back",
			sensor,
			stats.damaged
		);
}

void upkeep_finish(struct archive_command *command) {
	char error[ARCHIVE_ERROR_BYTES];
	struct sensors sensors = {0};
	int dir_fd = open(command->options.archive, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0) {
		archive_complain(command, "%s: %s", command->options.archive, strerror(errno));
		return;
	}
	if (archive_walk(dir_fd, 1, take_sensor, &sensors, error) < 0)
		archive_complain(command, "%s", error);
	close(dir_fd);
	for (unsigned i = 0; i < sensors.n && !command->stop; i++)
		finish(command, sensors.names[i]);
}
