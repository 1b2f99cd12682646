// Own export: the export packets of this sensor, seen on a port that mirrors the line they go
// over. They are told by the addresses and ports of the collectors' sockets, so that what other
// exporters send to the same collector is metered as any traffic. Sessions over TCP take another
// local port each: of them all between this host and the collector's port is ours, both ways.
//
// Threads: read only once it is filled. Time: none.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	OWN_EXPORT_MAX = 32, // collectors, and those that are to take their places
};

struct own_export {
	struct own_export_way {
		uint8_t version;       // of IP
		uint8_t proto;         // UDP, or TCP for sessions, of which the source port is any
		uint8_t ports[4];      // source and destination, as on the wire
		uint8_t addresses[32]; // IPv4: source and destination in the first 8 octets
	} ways[OWN_EXPORT_MAX];
	unsigned n_ways;
};

// Returns 0, or -ENOSPC, or -EAFNOSUPPORT for what is no IP.
int own_export_add(
	struct own_export *own,
	const struct sockaddr_storage *source,
	const struct sockaddr_storage *destination
);

// The same for sessions over TCP: the source's port does not matter, and what comes back from the
// destination is ours too.
int own_export_add_sessions(
	struct own_export *own,
	const struct sockaddr_storage *source,
	const struct sockaddr_storage *destination
);

// Whether an Ethernet frame, with up to two VLAN tags, is one of ours. Hot path.
bool own_export_matches(const struct own_export *own, const uint8_t *frame, uint32_t bytes);
