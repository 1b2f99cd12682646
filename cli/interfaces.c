#include "interfaces.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "port.h"
#include "replay.h"

// The alias that `ip link set NAME alias TEXT` gave; "" where there is none.
static void read_alias(const char *name, char *alias, int bytes) {
	char path[64];

	alias[0] = '\0';
	snprintf(path, sizeof(path), "/sys/class/net/%s/ifalias", name);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return;
	if (fgets(alias, bytes, file) == NULL)
		alias[0] = '\0';
	alias[strcspn(alias, "\n")] = '\0';
	fclose(file);
}

static void describe(const struct port *port, struct export_interface *interface) {
	const char *written = port_name(port);
	const char *name = strchr(written, ':');
	char device[IF_NAMESIZE], alias[256] = "";

	// A driver may stand before the interface, and its options behind.
	name = name != NULL ? name + 1 : written;
	snprintf(device, sizeof(device), "%.*s", (int)strcspn(name, ","), name);
	bool kernels = if_nametoindex(device) == port_in_if(port);
	if (kernels)
		read_alias(device, alias, sizeof(alias));
	*interface = (struct export_interface){.index = port_in_if(port)};
	export_text(interface->name, sizeof(interface->name), kernels ? device : name);
	export_text(
		interface->description,
		sizeof(interface->description),
		alias[0] != '\0' ? alias : written
	);
}

size_t interfaces_of_sensor(const struct sensor *sensor, struct export_interface *interfaces) {
	const struct port *port;
	unsigned n = 0;

	while ((port = sensor_port(sensor, n)) != NULL)
		describe(port, &interfaces[n++]);
	return n;
}

void interfaces_of_capture(const char *file, struct export_interface *interface) {
	const char *slash = strrchr(file, '/');
	const char *name = strcmp(file, "-") == 0 ? "stdin" : slash != NULL ? slash + 1 : file;

	*interface = (struct export_interface){.index = REPLAY_IN_IF};
	export_text(interface->name, sizeof(interface->name), name);
	export_text(interface->description, sizeof(interface->description), name);
}
