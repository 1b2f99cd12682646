#include "own_export.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum {
	MAC_BYTES = 12,
	TYPE_BYTES = 2,
	VLAN_TAG_BYTES = 4,
	MAX_TAGS = 2,
	IPV4_BYTES = 20,
	IPV6_BYTES = 40,
	PORTS_BYTES = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
};

static void set_ipv4(struct own_export_way *way, const void *source, const void *destination) {
	way->version = 4;
	memcpy(way->addresses, source, 4);
	memcpy(way->addresses + 4, destination, 4);
}

// IPv6 sockets speak IPv4 to addresses that are mapped.
static void set_ipv6(
	struct own_export_way *way,
	const struct in6_addr *source,
	const struct in6_addr *destination
) {
	if (IN6_IS_ADDR_V4MAPPED(destination)) {
		set_ipv4(way, source->s6_addr + 12, destination->s6_addr + 12);
		return;
	}
	way->version = 6;
	memcpy(way->addresses, source, 16);
	memcpy(way->addresses + 16, destination, 16);
}

static int
add_way(struct own_export *own,
	uint8_t proto,
	const struct sockaddr_storage *source,
	const struct sockaddr_storage *destination) {
	struct own_export_way *way = &own->ways[own->n_ways];
	in_port_t ports[2];

	if (own->n_ways == OWN_EXPORT_MAX)
		return -ENOSPC;
	*way = (struct own_export_way){.proto = proto};
	if (source->ss_family == AF_INET && destination->ss_family == AF_INET) {
		struct sockaddr_in from, to;
		memcpy(&from, source, sizeof(from));
		memcpy(&to, destination, sizeof(to));
		set_ipv4(way, &from.sin_addr, &to.sin_addr);
		ports[0] = from.sin_port;
		ports[1] = to.sin_port;
	} else if (source->ss_family == AF_INET6 && destination->ss_family == AF_INET6) {
		struct sockaddr_in6 from, to;
		memcpy(&from, source, sizeof(from));
		memcpy(&to, destination, sizeof(to));
		set_ipv6(way, &from.sin6_addr, &to.sin6_addr);
		ports[0] = from.sin6_port;
		ports[1] = to.sin6_port;
	} else {
		return -EAFNOSUPPORT;
	}
	memcpy(way->ports, ports, sizeof(way->ports));
	own->n_ways++;
	return 0;
}

int own_export_add(
	struct own_export *own,
	const struct sockaddr_storage *source,
	const struct sockaddr_storage *destination
) {
	return add_way(own, PROTO_UDP, source, destination);
}

int own_export_add_sessions(
	struct own_export *own,
	const struct sockaddr_storage *source,
	const struct sockaddr_storage *destination
) {
	return add_way(own, PROTO_TCP, source, destination);
}

// What of a frame tells whose it is.
struct ends {
	unsigned version;
	uint8_t proto;
	const uint8_t *addresses; // source, destination
	const uint8_t *ports;
};

static bool is_way(const struct own_export_way *way, const struct ends *ends) {
	const size_t half = ends->version == 4 ? 4 : 16;

	if (way->version != ends->version || way->proto != ends->proto)
		return false;
	if (way->proto == PROTO_UDP)
		return memcmp(way->ports, ends->ports, PORTS_BYTES) == 0
		       && memcmp(way->addresses, ends->addresses, 2 * half) == 0;
	if (memcmp(way->ports + 2, ends->ports + 2, 2) == 0)
		return memcmp(way->addresses, ends->addresses, 2 * half) == 0;
	return memcmp(way->ports + 2, ends->ports, 2) == 0
	       && memcmp(way->addresses, ends->addresses + half, half) == 0
	       && memcmp(way->addresses + half, ends->addresses, half) == 0;
}

bool own_export_matches(const struct own_export *own, const uint8_t *frame, uint32_t bytes) {
	uint32_t at = MAC_BYTES;
	struct ends ends;
	unsigned header_bytes;

	for (unsigned tags = 0; tags < MAX_TAGS; tags++) {
		if (bytes < at + VLAN_TAG_BYTES)
			return false;
		bool tag = (frame[at] == 0x81 && frame[at + 1] == 0x00)
			   || (frame[at] == 0x88 && frame[at + 1] == 0xa8);
		if (!tag)
			break;
		at += VLAN_TAG_BYTES;
	}
	at += TYPE_BYTES;
	if (bytes < at + IPV4_BYTES)
		return false;
	ends.version = frame[at] >> 4;
	if (ends.version == 4 && frame[at - 2] == 0x08 && frame[at - 1] == 0x00) {
		// A fragment behind the first has no ports; ours are not fragmented.
		if ((frame[at + 6] & 0x1f) != 0 || frame[at + 7] != 0)
			return false;
		ends.proto = frame[at + 9];
		header_bytes = (frame[at] & 0xfU) * 4;
		ends.addresses = frame + at + 12;
	} else if (ends.version == 6 && frame[at - 2] == 0x86 && frame[at - 1] == 0xdd) {
		ends.proto = frame[at + 6];
		header_bytes = IPV6_BYTES;
		ends.addresses = frame + at + 8;
	} else {
		return false;
	}
	if ((ends.proto != PROTO_UDP && ends.proto != PROTO_TCP)
	    || bytes < at + header_bytes + PORTS_BYTES)
		return false;
	ends.ports = frame + at + header_bytes;
	for (unsigned i = 0; i < own->n_ways; i++)
		if (is_way(&own->ways[i], &ends))
			return true;
	return false;
}
