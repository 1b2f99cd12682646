// NetFlow v9 (RFC 3954): the limits of its export packets. datagrams.h makes them.

#pragma once

enum {
	NETFLOW9_MAX_DATAGRAM_BYTES = 8952, // 9000-octet MTU
	NETFLOW9_DEFAULT_DATAGRAM_BYTES = 1400,
	NETFLOW9_MIN_DATAGRAM_BYTES = 512, // templates, options and one record fit
};
