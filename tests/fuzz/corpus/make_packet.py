#!/usr/bin/env python3
"""Writes the seed corpus of packet_fuzz: one file per frame, built by hand here.

An input is the link type (enum link_type), two octets by which the frame was longer on the
wire than captured, and the frame. The same files come out of every run.
"""

import pathlib
import struct

# In the order of enum link_type.
(UNKNOWN, ETHERNET, NULL, LOOP, PPP, PPPOE, CISCO_HDLC, RAW, RAW_IPV4, RAW_IPV6, SLL, SLL2) = range(12)

MACS = bytes.fromhex("020000000002020000000001")
SRC4, DST4 = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 2])
SRC6 = bytes.fromhex("20010db8000000000000000000000001")
DST6 = bytes.fromhex("20010db8000000000000000000000002")
HOP_BY_HOP, ICMP, IGMP, TCP, UDP, DCCP, ROUTING, FRAGMENT = 0, 1, 2, 6, 17, 33, 43, 44
GRE, AH, ICMPV6, DESTINATION, SCTP, MOBILITY, UDP_LITE = 47, 51, 58, 60, 132, 135, 136


def ipv4(proto, payload, options=b"", fragment=0, length=None, first=None):
    header_words = 5 + len(options) // 4
    if first is None:
        first = 0x40 | header_words
    if length is None:
        length = 4 * header_words + len(payload)
    fixed = struct.pack("!BBHHHBBH", first, 0x10, length, 7, fragment, 64, proto, 0)
    return fixed + SRC4 + DST4 + options + payload


def ipv6(proto, payload, length=None, version=6):
    if length is None:
        length = len(payload)
    return struct.pack("!IHBB", version << 28 | 0x0B812345, length, proto, 61) + SRC6 + DST6 + payload


def ethernet(ethertype, payload, tags=()):
    tagged = b"".join(struct.pack("!HH", tpid, tci) for tpid, tci in tags)
    return MACS + tagged + struct.pack("!H", ethertype) + payload


def tcp(flags=0x18):
    return struct.pack("!HHIIBBHHH", 8080, 54321, 1, 2, 0x50, flags, 65535, 0, 0) + b"data"


def udp():
    return struct.pack("!HHHH", 4660, 53, 14, 0) + b"answer"


def extension(following, data):
    """An extension header with `data` behind its first two octets, padded to 8n."""
    data += bytes(-(len(data) + 2) % 8)
    return bytes([following, (len(data) + 2) // 8 - 1]) + data


def fragment(following, offset_and_flags):
    return struct.pack("!BBHI", following, 0, offset_and_flags, 9)


def jumbo(n_bytes):
    return struct.pack("!BBI", 0xC2, 4, n_bytes)


def label(value, bottom):
    return struct.pack("!I", value << 12 | bottom << 8 | 64)


def pppoe(ppp, code=0):
    return struct.pack("!BBHH", 0x11, code, 1, len(ppp)) + ppp


def snap(ethertype, payload, oui=bytes(3)):
    llc = b"\xaa\xaa\x03" + oui + struct.pack("!H", ethertype) + payload
    return ethernet(len(llc), llc)


V4, V6 = ipv4(TCP, tcp()), ipv6(UDP, udp())
ECHO = struct.pack("!BBHHH", 8, 0, 0, 1, 1)

FRAMES = {
    "empty": (ETHERNET, b""),
    "ethernet_ipv4_tcp": (ETHERNET, ethernet(0x0800, V4)),
    "ethernet_ipv4_udp": (ETHERNET, ethernet(0x0800, ipv4(UDP, udp()))),
    "ethernet_ipv4_udp_empty": (ETHERNET, ethernet(0x0800, ipv4(UDP, udp()[:8]))),
    "ethernet_ipv4_icmp": (ETHERNET, ethernet(0x0800, ipv4(ICMP, ECHO))),
    "ethernet_ipv4_igmp": (ETHERNET, ethernet(0x0800, ipv4(IGMP, bytes(8), b"\x94\x04\0\0"))),
    "ethernet_ipv4_gre": (ETHERNET, ethernet(0x0800, ipv4(GRE, b"\0\0\x08\0" + V4))),
    "ethernet_ipv4_ah": (ETHERNET, ethernet(0x0800, ipv4(AH, b"\x06\x01" + bytes(10) + tcp()))),
    "ethernet_ipv4_sctp": (ETHERNET, ethernet(0x0800, ipv4(SCTP, udp()))),
    "ethernet_ipv4_dccp": (ETHERNET, ethernet(0x0800, ipv4(DCCP, tcp()))),
    "ethernet_ipv4_udp_lite": (ETHERNET, ethernet(0x0800, ipv4(UDP_LITE, udp()))),
    "ethernet_ipv4_options": (ETHERNET, ethernet(0x0800, ipv4(TCP, tcp(), b"\x01" * 40))),
    "ethernet_ipv4_first_fragment": (ETHERNET, ethernet(0x0800, ipv4(UDP, udp(), fragment=0x2000))),
    "ethernet_ipv4_later_fragment": (ETHERNET, ethernet(0x0800, ipv4(UDP, udp(), fragment=0x00B9))),
    "ethernet_ipv4_length_0": (ETHERNET, ethernet(0x0800, ipv4(TCP, tcp(), length=0)), 5000),
    "ethernet_ipv4_length_19": (ETHERNET, ethernet(0x0800, ipv4(TCP, tcp(), length=19))),
    "ethernet_ipv4_length_33": (ETHERNET, ethernet(0x0800, ipv4(TCP, tcp(), length=33))),
    "ethernet_ipv4_length_65535": (ETHERNET, ethernet(0x0800, ipv4(TCP, tcp(), length=65535))),
    "ethernet_ipv4_short_header": (ETHERNET, ethernet(0x0800, ipv4(TCP, tcp(), first=0x44))),
    "ethernet_ipv4_options_cut": (ETHERNET, ethernet(0x0800, ipv4(TCP, tcp(), first=0x4F))),
    "ethernet_ipv4_version_6": (ETHERNET, ethernet(0x0800, V6)),
    "ethernet_ipv4_cut": (ETHERNET, ethernet(0x0800, V4)[:30], 40),
    "ethernet_ipv4_cut_in_ports": (ETHERNET, ethernet(0x0800, V4)[:36], 40),
    "ethernet_ipv4_padded": (ETHERNET, ethernet(0x0800, ipv4(TCP, b"") + tcp())),
    "ethernet_ipv6_udp": (ETHERNET, ethernet(0x86DD, V6)),
    "ethernet_ipv6_tcp": (ETHERNET, ethernet(0x86DD, ipv6(TCP, tcp()))),
    "ethernet_ipv6_icmpv6": (ETHERNET, ethernet(0x86DD, ipv6(HOP_BY_HOP, extension(ICMPV6, b"\x05\x02\0\0") + ECHO))),
    "ethernet_ipv6_headers": (ETHERNET, ethernet(0x86DD, ipv6(
        HOP_BY_HOP,
        extension(DESTINATION, b"\x01\x04" + bytes(4)) + extension(ROUTING, bytes(14))
        + extension(FRAGMENT, bytes(22)) + fragment(AH, 0) + b"\x06\x04" + bytes(22) + tcp()))),
    "ethernet_ipv6_mobility": (ETHERNET, ethernet(0x86DD, ipv6(MOBILITY, extension(59, bytes(6))))),
    "ethernet_ipv6_atomic_fragment": (ETHERNET, ethernet(0x86DD, ipv6(FRAGMENT, fragment(TCP, 0) + tcp()))),
    "ethernet_ipv6_first_fragment": (ETHERNET, ethernet(0x86DD, ipv6(FRAGMENT, fragment(UDP, 1) + udp()))),
    "ethernet_ipv6_later_fragment": (ETHERNET, ethernet(0x86DD, ipv6(FRAGMENT, fragment(DESTINATION, 0x5A9) + udp()))),
    "ethernet_ipv6_header_cut": (ETHERNET, ethernet(0x86DD, ipv6(ROUTING, b"\x06", 40)), 39),
    "ethernet_ipv6_header_beyond": (ETHERNET, ethernet(0x86DD, ipv6(ROUTING, b"\x06\xff" + tcp()))),
    "ethernet_ipv6_jumbogram": (ETHERNET, ethernet(0x86DD, ipv6(HOP_BY_HOP, extension(TCP, jumbo(70000)) + tcp(), 0)), 65000),
    "ethernet_ipv6_jumbogram_small": (ETHERNET, ethernet(0x86DD, ipv6(HOP_BY_HOP, extension(TCP, jumbo(100)) + tcp(), 0))),
    "ethernet_ipv6_jumbogram_behind_padding": (ETHERNET, ethernet(0x86DD, ipv6(
        HOP_BY_HOP, extension(TCP, b"\0\x01\x02\0\0" + jumbo(2**32 - 1)) + tcp(), 0))),
    "ethernet_ipv6_length_0": (ETHERNET, ethernet(0x86DD, ipv6(TCP, tcp(), 0)), 60000),
    "ethernet_ipv6_version_4": (ETHERNET, ethernet(0x86DD, ipv6(TCP, tcp(), version=4))),
    "ethernet_arp": (ETHERNET, ethernet(0x0806, bytes(28))),
    "ethernet_cut": (ETHERNET, MACS),
    "vlan_8100": (ETHERNET, ethernet(0x0800, V4, [(0x8100, 0xE064)])),
    "vlan_88a8": (ETHERNET, ethernet(0x86DD, V6, [(0x88A8, 4095)])),
    "vlan_qinq": (ETHERNET, ethernet(0x0800, V4, [(0x88A8, 10), (0x8100, 20)])),
    "vlan_five_deep": (ETHERNET, ethernet(0x86DD, V6, [(0x8100, 1), (0x9100, 2), (0x9200, 3), (0x9300, 4), (0x88A8, 5)])),
    "vlan_cut": (ETHERNET, ethernet(0x8100, b"\0\x01\x08")),
    "vlan_llc_snap": (ETHERNET, ethernet(0x8100, b"\0\x05" + snap(0x0800, V4)[12:])),
    "mpls_one_label": (ETHERNET, ethernet(0x8847, label(16, 1) + V4)),
    "mpls_three_labels": (ETHERNET, ethernet(0x8848, label(16, 0) + label(17, 0) + label(18, 1) + V6)),
    "mpls_pseudowire": (ETHERNET, ethernet(0x8847, label(16, 1) + bytes(4) + ethernet(0x0800, V4))),
    "mpls_no_bottom": (ETHERNET, ethernet(0x8847, label(16, 0) * 9)),
    "pppoe_ipv4": (ETHERNET, ethernet(0x8864, pppoe(b"\0\x21" + V4))),
    "pppoe_ipv6_compressed": (ETHERNET, ethernet(0x8864, pppoe(b"\x57" + V6), [(0x8100, 7)])),
    "pppoe_mpls": (ETHERNET, ethernet(0x8864, pppoe(b"\x02\x81" + label(16, 1) + V4))),
    "pppoe_lcp": (ETHERNET, ethernet(0x8864, pppoe(b"\xc0\x21" + bytes(8)))),
    "pppoe_discovery_code": (ETHERNET, ethernet(0x8864, pppoe(b"\0\x21" + V4, 9))),
    "pppoe_link": (PPPOE, pppoe(b"\0\x21" + V4)),
    "snap_ipv4": (ETHERNET, snap(0x0800, V4)),
    "snap_8021h_vlan_ipv6": (ETHERNET, snap(0x8100, b"\0\x09\x86\xdd" + V6, b"\0\0\xf8")),
    "snap_cisco": (ETHERNET, snap(0x2000, bytes(20), b"\0\0\x0c")),
    "llc_spanning_tree": (ETHERNET, ethernet(38, b"\x42\x42\x03" + bytes(35))),
    "null_little": (NULL, struct.pack("<I", 2) + V4),
    "null_big": (NULL, struct.pack(">I", 28) + V6),
    "null_other": (NULL, struct.pack("<I", 23) + V4),
    "loop_ipv4": (LOOP, struct.pack(">I", 2) + V4),
    "loop_ipv6": (LOOP, struct.pack(">I", 24) + V6),
    "ppp_framed": (PPP, b"\xff\x03\0\x21" + V4),
    "ppp_bare": (PPP, b"\0\x57" + V6),
    "ppp_compressed": (PPP, b"\x21" + V4),
    "ppp_cisco": (PPP, b"\x0f\0\x08\0" + V4),
    "cisco_hdlc": (CISCO_HDLC, b"\x8f\0\x86\xdd" + V6),
    "cisco_hdlc_keepalive": (CISCO_HDLC, b"\x8f\0\x80\x35" + bytes(14)),
    "raw_ipv4": (RAW, V4),
    "raw_ipv6": (RAW, V6),
    "raw_version_5": (RAW, b"\x55" + V4[1:]),
    "raw_ipv4_only": (RAW_IPV4, V4),
    "raw_ipv4_fragment": (RAW_IPV4, ipv4(UDP, udp(), fragment=1)),
    "raw_ipv6_only": (RAW_IPV6, V6),
    "raw_ipv6_fragment": (RAW_IPV6, ipv6(FRAGMENT, fragment(UDP, 8) + udp())),
    "sll_ipv4": (SLL, struct.pack("!HHH", 0, 1, 6) + MACS[6:] + bytes(2) + b"\x08\0" + V4),
    "sll_llc": (SLL, struct.pack("!HHH", 0, 1, 6) + MACS[6:] + bytes(2) + b"\0\x04" + snap(0x0800, V4)[14:]),
    "sll2_ipv6": (SLL2, struct.pack("!HHIHBB", 0x86DD, 0, 2, 1, 0, 6) + MACS[6:] + bytes(2) + V6),
    "unknown": (UNKNOWN, V4),
}

def main():
    folder = pathlib.Path(__file__).parent / "packet"
    folder.mkdir(exist_ok=True)
    for name, (link, frame, *more) in FRAMES.items():
        cut = more[0] if more else 0
        (folder / name).write_bytes(struct.pack("!BH", link, cut) + frame)


if __name__ == "__main__":
    main()
