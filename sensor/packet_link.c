#include "packet_internal.h"

#include <stdbool.h>
#include <string.h>

#include <rte_branch_prediction.h>

#include "wire.h"

// Up to this value the field behind the MAC addresses is a length, not an EtherType
// (IEEE 802.3 section 3.2.6).
#define ETHERNET_LENGTH_MAX 1500

#define LLC_SNAP_BYTES 8
#define MPLS_LABEL_BYTES 4
#define PPPOE_HEADER_BYTES 6
#define SLL_HEADER_BYTES 16
#define SLL2_HEADER_BYTES 20
#define SLL_PROTOCOL_LLC 0x0004 // ETH_P_802_2: a frame with a length, so LLC follows

// Address family numbers of those who write LINKTYPE_NULL and LINKTYPE_LOOP. All agree on
// IPv4; for IPv6 NetBSD and OpenBSD, FreeBSD, Darwin and Linux each have their own.
enum {
	BSD_AF_INET = 2,
	LINUX_AF_INET6 = 10,
	NETBSD_AF_INET6 = 24,
	FREEBSD_AF_INET6 = 28,
	DARWIN_AF_INET6 = 30,
};

// PPP protocol numbers (RFC 1332, 5072, 3032).
enum {
	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057,
	PPP_MPLS = 0x0281,
	PPP_MPLS_MULTICAST = 0x0283,
};

// What is left of the frame. Each header is taken off the front once its octets are known to
// be there, so every walk ends after at most `left` steps.
struct cursor {
	const uint8_t *at;
	uint32_t left;
	unsigned n_tags;
	struct packet_link *link;
};

static inline void skip(struct cursor *cursor, uint32_t n_bytes) {
	cursor->at += n_bytes;
	cursor->left -= n_bytes;
}

static enum packet_verdict enter_ip(struct cursor *cursor, enum flow_family family) {
	cursor->link->family = family;
	return PACKET_METERED;
}

static enum packet_verdict enter_mpls(struct cursor *cursor) {
	bool bottom;

	if (cursor->left >= MPLS_LABEL_BYTES)
		cursor->link->label = cursor->at;
	do {
		if (unlikely(cursor->left < MPLS_LABEL_BYTES))
			return PACKET_LINK_TRUNCATED;
		bottom = cursor->at[2] & 1;
		skip(cursor, MPLS_LABEL_BYTES);
	} while (!bottom);

	// No label says what it carries: routers look at the first nibble too (RFC 4928).
	if (unlikely(cursor->left < 1))
		return PACKET_LINK_TRUNCATED;
	switch (cursor->at[0] >> 4) {
	case 4:
		return enter_ip(cursor, FLOW_IPV4);
	case 6:
		return enter_ip(cursor, FLOW_IPV6);
	default:
		return PACKET_NOT_IP;
	}
}

static enum packet_verdict enter_ppp_protocol(struct cursor *cursor) {
	uint16_t protocol;

	if (unlikely(cursor->left < 1))
		return PACKET_LINK_TRUNCATED;
	if (cursor->at[0] & 1) {
		// Only the last octet of a protocol number is odd, so this one is compressed
		// to a single octet (RFC 1661 section 6.5).
		protocol = cursor->at[0];
		skip(cursor, 1);
	} else {
		if (unlikely(cursor->left < 2))
			return PACKET_LINK_TRUNCATED;
		protocol = wire_get16(cursor->at);
		skip(cursor, 2);
	}
	switch (protocol) {
	case PPP_IPV4:
		return enter_ip(cursor, FLOW_IPV4);
	case PPP_IPV6:
		return enter_ip(cursor, FLOW_IPV6);
	case PPP_MPLS:
	case PPP_MPLS_MULTICAST:
		return enter_mpls(cursor);
	default:
		return PACKET_NOT_IP;
	}
}

static enum packet_verdict enter_pppoe(struct cursor *cursor) {
	if (unlikely(cursor->left < PPPOE_HEADER_BYTES))
		return PACKET_LINK_TRUNCATED;
	// Version 1, type 1, code 0: session data (RFC 2516 section 4). All else is discovery.
	if (unlikely(cursor->at[0] != 0x11 || cursor->at[1] != 0))
		return PACKET_NOT_IP;
	skip(cursor, PPPOE_HEADER_BYTES);
	return enter_ppp_protocol(cursor);
}

// Takes an LLC header with SNAP extension off and sets `ethertype`.
static enum packet_verdict take_snap(struct cursor *cursor, uint16_t *ethertype) {
	static const uint8_t snap[] = {0xaa, 0xaa, 0x03, 0x00, 0x00};
	uint32_t n_bytes = cursor->left < sizeof(snap) ? cursor->left : sizeof(snap);

	// A short frame that is no SNAP as far as it goes (STP) is not IP, rather than cut.
	if (memcmp(cursor->at, snap, n_bytes) != 0)
		return PACKET_NOT_IP;
	// The last octet of the OUI: f8 is 802.1H, for what must not be taken for plain 802.3.
	if (cursor->left > sizeof(snap) && cursor->at[5] != 0x00 && cursor->at[5] != 0xf8)
		return PACKET_NOT_IP;
	if (unlikely(cursor->left < LLC_SNAP_BYTES))
		return PACKET_LINK_TRUNCATED;
	*ethertype = wire_get16(cursor->at + 6);
	skip(cursor, LLC_SNAP_BYTES);
	return PACKET_METERED;
}

static void note_tag(struct cursor *cursor, uint16_t vlan_id) {
	if (cursor->n_tags == 0)
		cursor->link->vlan_id = vlan_id;
	else if (cursor->n_tags == 1)
		cursor->link->inner_vlan_id = vlan_id;
	cursor->n_tags++;
}

static enum packet_verdict enter_ethertype(struct cursor *cursor, uint16_t ethertype) {
	enum packet_verdict verdict;

	for (;;) {
		switch (ethertype) {
		case ETHERTYPE_IPV4:
			return enter_ip(cursor, FLOW_IPV4);
		case ETHERTYPE_IPV6:
			return enter_ip(cursor, FLOW_IPV6);
		case ETHERTYPE_VLAN:
		case ETHERTYPE_VLAN_SERVICE:
		case ETHERTYPE_VLAN_9100:
		case ETHERTYPE_VLAN_9200:
		case ETHERTYPE_VLAN_9300:
			if (unlikely(cursor->left < VLAN_TAG_BYTES))
				return PACKET_LINK_TRUNCATED;
			note_tag(cursor, wire_get16(cursor->at) & VLAN_ID_MASK);
			ethertype = wire_get16(cursor->at + 2);
			skip(cursor, VLAN_TAG_BYTES);
			if (unlikely(ethertype <= ETHERNET_LENGTH_MAX)) {
				verdict = take_snap(cursor, &ethertype);
				if (verdict != PACKET_METERED)
					return verdict;
			}
			continue;
		case ETHERTYPE_MPLS:
		case ETHERTYPE_MPLS_UPSTREAM:
			return enter_mpls(cursor);
		case ETHERTYPE_PPPOE_SESSION:
			return enter_pppoe(cursor);
		default:
			return PACKET_NOT_IP;
		}
	}
}

static enum packet_verdict enter_ethernet(struct cursor *cursor) {
	enum packet_verdict verdict;
	uint16_t ethertype;

	if (unlikely(cursor->left < ETHERNET_HEADER_BYTES))
		return PACKET_LINK_TRUNCATED;
	memcpy(cursor->link->dst_mac, cursor->at, 6);
	memcpy(cursor->link->src_mac, cursor->at + 6, 6);
	ethertype = wire_get16(cursor->at + 12);
	skip(cursor, ETHERNET_HEADER_BYTES);
	if (ethertype <= ETHERNET_LENGTH_MAX) {
		verdict = take_snap(cursor, &ethertype);
		if (verdict != PACKET_METERED)
			return verdict;
	}
	return enter_ethertype(cursor, ethertype);
}

static enum packet_verdict enter_cisco_hdlc(struct cursor *cursor) {
	uint16_t ethertype;

	if (unlikely(cursor->left < 4))
		return PACKET_LINK_TRUNCATED;
	// Unicast or broadcast, then a control octet of 0 (RFC 1547 section 4.3.1).
	if ((cursor->at[0] != 0x0f && cursor->at[0] != 0x8f) || cursor->at[1] != 0)
		return PACKET_NOT_IP;
	ethertype = wire_get16(cursor->at + 2);
	skip(cursor, 4);
	return enter_ethertype(cursor, ethertype);
}

static enum packet_verdict enter_ppp(struct cursor *cursor) {
	uint8_t first;

	if (unlikely(cursor->left < 1))
		return PACKET_LINK_TRUNCATED;
	first = cursor->at[0];
	if (first == 0xff || first == 0x0f || first == 0x8f) {
		if (unlikely(cursor->left < 2))
			return PACKET_LINK_TRUNCATED;
		// Serial lines carry Cisco's framing under the same link type. Its addresses
		// are no protocol numbers, so there is no mistaking it.
		if (first != 0xff && cursor->at[1] == 0)
			return enter_cisco_hdlc(cursor);
		// Otherwise address and control, which may be left out (RFC 1661 section 6.6).
		if (first == 0xff && cursor->at[1] == 0x03)
			skip(cursor, 2);
	}
	return enter_ppp_protocol(cursor);
}

static enum packet_verdict enter_loopback(struct cursor *cursor, bool either_order) {
	uint32_t family;

	if (unlikely(cursor->left < 4))
		return PACKET_LINK_TRUNCATED;
	family = wire_get32(cursor->at);
	// Families are small numbers, so a large one was written in the other order.
	if (either_order && family > UINT16_MAX)
		family = rte_bswap32(family);
	skip(cursor, 4);
	switch (family) {
	case BSD_AF_INET:
		return enter_ip(cursor, FLOW_IPV4);
	case LINUX_AF_INET6:
	case NETBSD_AF_INET6:
	case FREEBSD_AF_INET6:
	case DARWIN_AF_INET6:
		return enter_ip(cursor, FLOW_IPV6);
	default:
		return PACKET_NOT_IP;
	}
}

// Behind either cooked header: the sender's address, then what `protocol` says.
static enum packet_verdict enter_cooked(
	struct cursor *cursor,
	uint32_t header_bytes,
	uint16_t protocol,
	uint16_t address_bytes,
	const uint8_t *address
) {
	enum packet_verdict verdict;

	if (address_bytes == 6)
		memcpy(cursor->link->src_mac, address, 6);
	skip(cursor, header_bytes);
	if (protocol == SLL_PROTOCOL_LLC) {
		verdict = take_snap(cursor, &protocol);
		if (verdict != PACKET_METERED)
			return verdict;
	}
	return enter_ethertype(cursor, protocol);
}

static enum packet_verdict enter_sll(struct cursor *cursor) {
	const uint8_t *at = cursor->at;

	if (unlikely(cursor->left < SLL_HEADER_BYTES))
		return PACKET_LINK_TRUNCATED;
	return enter_cooked(
		cursor, SLL_HEADER_BYTES, wire_get16(at + 14), wire_get16(at + 4), at + 6
	);
}

static enum packet_verdict enter_sll2(struct cursor *cursor) {
	const uint8_t *at = cursor->at;

	if (unlikely(cursor->left < SLL2_HEADER_BYTES))
		return PACKET_LINK_TRUNCATED;
	return enter_cooked(cursor, SLL2_HEADER_BYTES, wire_get16(at), at[11], at + 12);
}

static enum packet_verdict enter_link(struct cursor *cursor, enum link_type type) {
	switch (type) {
	case LINK_ETHERNET:
		return enter_ethernet(cursor);
	case LINK_NULL:
		return enter_loopback(cursor, true);
	case LINK_LOOP:
		return enter_loopback(cursor, false);
	case LINK_PPP:
		return enter_ppp(cursor);
	case LINK_PPPOE:
		return enter_pppoe(cursor);
	case LINK_CISCO_HDLC:
		return enter_cisco_hdlc(cursor);
	case LINK_RAW:
		return PACKET_METERED; // family 0: the version decides
	case LINK_RAW_IPV4:
		return enter_ip(cursor, FLOW_IPV4);
	case LINK_RAW_IPV6:
		return enter_ip(cursor, FLOW_IPV6);
	case LINK_SLL:
		return enter_sll(cursor);
	case LINK_SLL2:
		return enter_sll2(cursor);
	case LINK_UNKNOWN:
		break;
	}
	return PACKET_NOT_IP;
}

enum packet_verdict packet_link_walk(
	struct packet_link *link, enum link_type type, const uint8_t *frame, uint32_t captured_bytes
) {
	struct cursor cursor = {.at = frame, .left = captured_bytes, .link = link};
	enum packet_verdict verdict;

	*link = (struct packet_link){};
	verdict = enter_link(&cursor, type);
	link->ip_offset = captured_bytes - cursor.left;
	return verdict;
}
