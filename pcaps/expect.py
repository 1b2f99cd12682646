#!/usr/bin/python3
"""What a flow meter must find in a capture, worked out by tshark.

    expect.py [-o DIR] CAPTURE...

writes DIR/NAME.csv, one line per flow, for each capture, and DIR/totals.tsv, one line per
capture (README.md says what the columns mean). Without -o the flows of one capture go to
standard output. Ends with 1, naming the capture, if one is beyond what is decided here.

tshark takes the packets apart; this script only picks the outermost header and adds up. It
shares no code with weir, so that the two can disagree. IP is not reassembled: each fragment
counts for itself. Fields read: see FIELDS.

Needs tshark 4.0 or later, and zstd where a capture is compressed with it.
"""

import argparse
import gzip
import hashlib
import ipaddress
import os
import re
import subprocess
import sys

FIELDS = """
    frame.time_epoch frame.protocols frame.encap_type
    ip.version ip.src ip.dst ip.proto ip.len ip.hdr_len ip.dsfield ip.frag_offset
    ipv6.version ipv6.src ipv6.dst ipv6.nxt ipv6.plen ipv6.tclass
    ipv6.hopopts.nxt ipv6.routing.nxt ipv6.dstopts.nxt ah.next_header
    ipv6.fraghdr.nxt ipv6.fraghdr.offset
    tcp.srcport tcp.dstport tcp.flags udp.srcport udp.dstport
    sctp.srcport sctp.dstport dccp.srcport dccp.dstport
    icmp.type icmp.code icmpv6.type icmpv6.code
""".split()

# Next headers that are not yet what the packet carries, and where tshark shows what follows.
EXTENSION_HEADERS = {
    0: "ipv6.hopopts.nxt",
    43: "ipv6.routing.nxt",
    44: "ipv6.fraghdr.nxt",
    51: "ah.next_header",
    60: "ipv6.dstopts.nxt",
}
# UDP-Lite's ports are UDP's fields in tshark, as its header is.
PORT_FIELDS = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udp"}
ICMP_FIELDS = {1: "icmp", 58: "icmpv6"}
TCP = 6
FRAGMENT = 44

HEADER = "srcip,dstip,proto,srcport,dstport,packets,bytes,first_ms,last_ms,tcpflags,tos"
TOTALS = (
    "file format linktypes scope status packets ip4 ip6 nonip malformed "
    "mal_T mal_V mal_H mal_L mal_Z v6_len0 later_frags ts_back flows ip_bytes "
    "first_ms last_ms flows_sha256"
).split()

MAGICS = {
    "a1b2c3d4": "pcap-be-us",
    "d4c3b2a1": "pcap-le-us",
    "a1b23c4d": "pcap-be-ns",
    "4d3cb2a1": "pcap-le-ns",
}
ETHERNET = 1  # WTAP_ENCAP_ETHERNET and LINKTYPE_ETHERNET are both 1


class Beyond(Exception):
    """The capture holds what this script cannot decide from tshark's fields."""


def octets(path, count):
    """The first `count` octets of a capture, decompressed."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        with gzip.open(path) as file:
            return file.read(count)
    if start == b"\x28\xb5\x2f\xfd":
        with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as zstd:
            start = zstd.stdout.read(count)
            zstd.stdout.close()
        return start
    with open(path, "rb") as file:
        return file.read(count)


def format_of(path):
    start = octets(path, 12)
    if start[:4].hex() == "0a0d0d0a":
        return "pcapng-be" if start[8:12].hex() == "1a2b3c4d" else "pcapng-le"
    try:
        return MAGICS[start[:4].hex()]
    except KeyError:
        raise Beyond("neither pcap nor pcapng") from None


def packets_of(path):
    """Yields, for each packet in file order, {field: [value, ...]}, outermost value first."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=/t"]
    command += ["-E", "occurrence=a", "-E", "aggregator=;"]
    for setting in ("ip.defragment", "ipv6.defragment", "ip.tso_support"):
        command += ["-o", setting + ":FALSE"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Beyond("tshark: " + done.stderr.strip().splitlines()[-1])
    for line in done.stdout.splitlines():
        values = [value.split(";") if value else [] for value in line.split("\t")]
        yield dict(zip(FIELDS, values, strict=True))


def first_number(packet, field):
    values = packet[field]
    return int(values[0], 0) if values else None


def time_ms(packet):
    """Milliseconds since 1970, rounded down, without a detour through floating point."""
    time = re.fullmatch(r"(\d+)\.(\d{9})", "".join(packet["frame.time_epoch"]))
    if time is None:
        raise Beyond("a packet without a time after 1970")
    return int(time[1]) * 1000 + int(time[2]) // 1_000_000


def ip4(packet):
    """(source, destination, protocol, is later fragment, octets, TOS) of an IPv4 packet."""
    total = first_number(packet, "ip.len")
    header = first_number(packet, "ip.hdr_len")
    if first_number(packet, "ip.version") != 4 or not packet["ip.src"]:
        raise Beyond("malformed IPv4")
    if total is None or header is None or total < header or header < 20:
        raise Beyond("malformed IPv4")
    return (
        packet["ip.src"][0],
        packet["ip.dst"][0],
        first_number(packet, "ip.proto"),
        first_number(packet, "ip.frag_offset") > 0,
        total,
        first_number(packet, "ip.dsfield"),
    )


def ip6(packet):
    """The same of an IPv6 packet; octets without payload are 40."""
    if first_number(packet, "ipv6.version") != 6 or not packet["ipv6.src"]:
        raise Beyond("malformed IPv6")
    proto = first_number(packet, "ipv6.nxt")
    if first_number(packet, "ipv6.plen") == 0 and proto == 0:
        raise Beyond("an IPv6 jumbogram")
    later_fragment = False
    seen = dict.fromkeys(EXTENSION_HEADERS.values(), 0)
    while proto in EXTENSION_HEADERS and not later_fragment:
        field = EXTENSION_HEADERS[proto]
        if seen[field] == len(packet[field]):
            break  # cut short: the header's own number is all there is
        later_fragment = proto == FRAGMENT and first_number(packet, "ipv6.fraghdr.offset") > 0
        proto = int(packet[field][seen[field]], 0)
        seen[field] += 1
    return (
        packet["ipv6.src"][0],
        packet["ipv6.dst"][0],
        proto,
        later_fragment,
        40 + first_number(packet, "ipv6.plen"),
        first_number(packet, "ipv6.tclass"),
    )


def ports_of(packet, proto):
    """Ports, or for ICMP 0 and type*256+code. 0 and 0 where the packet has none."""
    if proto in PORT_FIELDS:
        name = PORT_FIELDS[proto]
        return tuple(first_number(packet, f"{name}.{end}port") or 0 for end in ("src", "dst"))
    if proto in ICMP_FIELDS:
        name = ICMP_FIELDS[proto]
        kind = first_number(packet, name + ".type") or 0
        return (0, kind * 256 + (first_number(packet, name + ".code") or 0))
    return (0, 0)


def expect(path):
    """(flow lines, totals) of the capture at `path`."""
    totals = dict.fromkeys(TOTALS, 0)
    totals.update(file=os.path.basename(path), format=format_of(path), linktypes=ETHERNET)
    totals.update(scope="core", status="ok")
    flows = {}
    times = []
    for packet in packets_of(path):
        if first_number(packet, "frame.encap_type") != ETHERNET:
            raise Beyond("link type other than Ethernet")
        times.append(time_ms(packet))
        protocols = packet["frame.protocols"][0].split(":")
        outermost = next((name for name in protocols if name in ("ip", "ipv6")), None)
        if outermost is None:
            totals["nonip"] += 1
            continue
        totals["ip4" if outermost == "ip" else "ip6"] += 1
        source, destination, proto, later_fragment, length, tos = (
            ip4(packet) if outermost == "ip" else ip6(packet)
        )
        totals["v6_len0"] += outermost == "ipv6" and length == 40
        totals["later_frags"] += later_fragment
        ports = (0, 0) if later_fragment else ports_of(packet, proto)
        # Octet 13 only: tshark's field takes in the bits before it.
        flags = first_number(packet, "tcp.flags") if proto == TCP and not later_fragment else 0
        key = (str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination)))
        key += (proto, *ports)
        # packets, octets, first ms, last ms, TCP flags, TOS of the first packet
        flow = flows.setdefault(key, [0, 0, times[-1], times[-1], 0, tos])
        flow[0] += 1
        flow[1] += length
        flow[2] = min(flow[2], times[-1])
        flow[3] = max(flow[3], times[-1])
        flow[4] |= (flags or 0) & 0xFF
    lines = sorted(",".join(map(str, key + tuple(flow))) + "\n" for key, flow in flows.items())
    totals["packets"] = len(times)
    totals["ts_back"] = sum(later < earlier for earlier, later in zip(times, times[1:]))
    totals["flows"] = len(lines)
    totals["ip_bytes"] = sum(flow[1] for flow in flows.values())
    totals["first_ms"] = min(times, default="")
    totals["last_ms"] = max(times, default="")
    totals["flows_sha256"] = hashlib.sha256("".join(lines).encode()).hexdigest()
    return lines, totals


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", dest="folder", help="folder for NAME.csv and totals.tsv")
    parser.add_argument("captures", nargs="+", metavar="CAPTURE")
    arguments = parser.parse_args()
    if arguments.folder is None and len(arguments.captures) > 1:
        parser.error("several captures need -o DIR")
    rows = []
    for path in arguments.captures:
        try:
            lines, totals = expect(path)
        except Beyond as reason:
            sys.exit(f"{path}: {reason}")
        rows.append("\t".join(str(totals[column]) for column in TOTALS) + "\n")
        if arguments.folder is None:
            sys.stdout.write(HEADER + "\n" + "".join(lines))
            continue
        name = os.path.join(arguments.folder, os.path.basename(path) + ".csv")
        with open(name, "w", encoding="ascii") as file:
            file.write(HEADER + "\n" + "".join(lines))
    if arguments.folder is not None:
        name = os.path.join(arguments.folder, "totals.tsv")
        with open(name, "w", encoding="ascii") as file:
            file.write("\t".join(TOTALS) + "\n" + "".join(sorted(rows)))


if __name__ == "__main__":
    main()
