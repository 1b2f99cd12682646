#include "host_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *host_port_split(const char *destination, char *host, const char **port) {
	const char *begin = destination, *end;

	if (*begin == '[') {
		end = strchr(++begin, ']');
		if (end == NULL || end[1] != ':')
			return "not [ADDRESS]:PORT";
		*port = end + 2;
	} else {
		end = strrchr(begin, ':');
		if (end == NULL)
			return "no port";
		if (memchr(begin, ':', (size_t)(end - begin)) != NULL)
			return "an IPv6 address must stand in brackets";
		*port = end + 1;
	}
	if (end == begin || end - begin >= HOST_PORT_HOST_BYTES)
		return "no host that could be one";

	char *rest;
	errno = 0;
	unsigned long number = strtoul(*port, &rest, 10);
	if (**port < '0' || **port > '9' || *rest != '\0')
		return "the port is not a number";
	if (number < 1 || number > 65535 || errno == ERANGE)
		return "the port must be from 1 to 65535";
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	return NULL;
}
