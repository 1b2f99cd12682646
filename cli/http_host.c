#include "http_host.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum {
	NAME_BYTES = 256, // RFC 1035 section 2.3.4
};

// Nothing, or ':' and digits.
static bool is_port(const char *text) {
	return *text == '\0' || (*text == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

static bool is_address6(const char *header) {
	const char *end = strchr(header, ']');
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (end == NULL || end - header > (ptrdiff_t)sizeof(text) || !is_port(end + 1))
		return false;
	size_t n = (size_t)(end - header - 1);
	memcpy(text, header + 1, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

bool http_host_allowed(const char *header, const char *own) {
	char name[NAME_BYTES];
	struct in_addr address;

	if (header == NULL)
		return false;
	if (*header == '[')
		return is_address6(header);
	size_t n = strcspn(header, ":");
	if (n == 0 || n >= sizeof(name) || !is_port(header + n))
		return false;
	memcpy(name, header, n);
	name[n] = '\0';
	return inet_pton(AF_INET, name, &address) == 1 || strcasecmp(name, "localhost") == 0
	       || strcasecmp(name, own) == 0;
}
