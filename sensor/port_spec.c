#include "port_spec.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// Skips `least` to `most` hexadecimal digits; NULL where they are not there.
static const char *hex_digits(const char *text, unsigned least, unsigned most) {
	unsigned n = 0;
	while (n < most && isxdigit((unsigned char)text[n]))
		n++;
	return n < least ? NULL : text + n;
}

// "03:00.0": bus, device and function.
static bool is_short_pci(const char *text) {
	const char *at = hex_digits(text, 2, 2);
	if (at == NULL || *at != ':')
		return false;
	at = hex_digits(at + 1, 2, 2);
	return at != NULL && *at == '.' && at[1] >= '0' && at[1] <= '7' && at[2] == '\0';
}

// The same behind a domain of four to eight digits.
static bool is_long_pci(const char *text) {
	const char *at = hex_digits(text, 4, 8);
	return at != NULL && *at == ':' && is_short_pci(at + 1);
}

// What the kernel allows (dev_valid_name()).
static bool is_interface(const char *name) {
	size_t length = strlen(name);
	if (length == 0 || length >= IF_NAMESIZE || strcmp(name, ".") == 0
	    || strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] == '/' || name[i] == ':' || isspace((unsigned char)name[i]))
			return false;
	return true;
}

static int wrong(char *error, const char *text, const char *why) {
	snprintf(error, PORT_ERROR_BYTES, "port '%s': %s", text, why);
	return -EINVAL;
}

static int
interface(struct port_spec *spec, enum port_driver driver, const char *name, char *error) {
	if (!is_interface(name))
		return wrong(
			error,
			spec->name,
			"no name of an interface; use af_packet:eth1, af_xdp:eth1, eth1, a PCI "
			"address such as 0000:03:00.0, or vdev:NAME,ARGUMENTS"
		);
	spec->driver = driver;
	snprintf(spec->device, sizeof(spec->device), "%s", name);
	return 0;
}

static int virtual_device(struct port_spec *spec, const char *text, char *error) {
	size_t length = strcspn(text, ",");

	if (length <= strlen("net_") || strncmp(text, "net_", strlen("net_")) != 0)
		return wrong(
			error,
			spec->name,
			"the name of DPDK's virtual device begins with its driver, such as "
			"vdev:net_ring0"
		);
	spec->driver = PORT_VDEV;
	snprintf(spec->device, sizeof(spec->device), "%.*s", (int)length, text);
	if (text[length] == ',')
		snprintf(spec->arguments, sizeof(spec->arguments), "%s", text + length + 1);
	return 0;
}

// What stands behind `prefix` in `text`, NULL where it begins otherwise.
static const char *behind(const char *text, const char *prefix) {
	size_t length = strlen(prefix);
	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

int port_spec_parse(struct port_spec *spec, const char *text, char *error) {
	const char *rest;

	*spec = (struct port_spec){0};
	if (strlen(text) >= sizeof(spec->name))
		return wrong(error, text, "too long");
	snprintf(spec->name, sizeof(spec->name), "%s", text);

	if ((rest = behind(text, "af_packet:")) != NULL)
		return interface(spec, PORT_AF_PACKET, rest, error);
	if ((rest = behind(text, "af_xdp:")) != NULL)
		return interface(spec, PORT_AF_XDP, rest, error);
	if ((rest = behind(text, "vdev:")) != NULL)
		return virtual_device(spec, rest, error);
	if (is_short_pci(text) || is_long_pci(text)) {
		spec->driver = PORT_PCI;
		snprintf(
			spec->device,
			sizeof(spec->device),
			"%s%.*s",
			is_short_pci(text) ? "0000:" : "",
			PORT_SPEC_BYTES - 8,
			text
		);
		return 0;
	}
	if (strchr(text, ':') != NULL)
		return wrong(
			error,
			text,
			"driver not known; there are af_packet:, af_xdp:, vdev: and PCI addresses "
			"such as 0000:03:00.0"
		);
	return interface(spec, PORT_CHOOSE, text, error);
}
