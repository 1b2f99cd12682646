#!/usr/bin/python3
"""softflowd as a reference: its flows of a capture, through nfcapd, beside weir's through another.
The same flows with the same packets, octets, TCP flags and, from IPFIX, times. Where softflowd has
it otherwise, what is folded on both sides to compare the rest says how."""

import os
import subprocess
import tempfile

import readers
from records import Nfcapd, need, own, tap

ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "MALLOC_PERTURB_"} | {"TZ": "UTC"}
QINQ_VLAN = 200  # of vlan.pcap
VERSIONS = {9: "netflow9://", 10: "ipfix://"}


def plain(name, folder):
    """The capture as softflowd's libpcap reads it."""
    for suffix, program in ((".gz", "gzip"), (".zst", "zstd")):
        if name.endswith(suffix):
            path = os.path.join(folder, name.removesuffix(suffix))
            with open(path, "wb") as file:
                subprocess.run([program, "-dc", own(name)], stdout=file, check=True)
            return path
    return own(name)


def of_softflowd(name, version):
    with Nfcapd() as collector, tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [need("softflowd"), "-r", plain(name, folder), "-n", collector.destination, "-v",
             str(version), *(["-A", "milli"] if version == 10 else []), "-d", "-6", "-a", "-c",
             "none", "-p", os.path.join(folder, "pid")],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True,
            env=ENVIRONMENT)
        return list(map(readers.of_nfdump, collector.stop()))


def of_weir(name, version):
    with Nfcapd() as collector:
        tap.weir("--collector", VERSIONS[version] + collector.destination, "--ledger=none",
                 own(name))
        return list(map(readers.of_nfdump, collector.stop()))


def key_of(r, name, version):
    key = [r.get(f) for f in ("src_addr", "dst_addr", "proto", "src_port", "dst_port",
                              "icmp_type", "icmp_code")]
    ipv6 = ":" in r["src_addr"]
    if version == 9 and r["proto"] == 58:
        # It has the type of ICMPv6 in element 139, which nfdump knows in IPFIX alone.
        key[5:] = []
    if name == "fragments.pcap" and ipv6:
        # Fragments of IPv6 behind the first are of protocol 0 to it; weir knows it of each.
        key[2:] = []
    return tuple(key)


def flows_of(records, name, version):
    """What is known of each flow: the two cut them otherwise."""
    flows = {}
    for r in records:
        value = (r["packets"], r["bytes"], r["tcp_flags"], r["start_ms"], r["end_ms"])
        key = key_of(r, name, version)
        if key in flows:
            n, octets, flags, start, end = flows[key]
            value = (n + value[0], octets + value[1], flags | value[2], min(start, value[3]),
                     max(end, value[4]))
        flows[key] = value
    return flows


def of_conversations(flows):
    """With the times of both directions together."""
    times = {}
    for key, value in flows.items():
        both = tuple(sorted([key, reverse(key)], key=str))
        start, end = times.get(both, value[3:])
        times[both] = min(start, value[3]), max(end, value[4])
    return {k: (*v[:3], *times[tuple(sorted([k, reverse(k)], key=str))]) for k, v in flows.items()}


def reverse(key):
    if len(key) < 5 or key[3] is None:
        return key
    return (key[1], key[0], key[2], key[4], key[3], *key[5:])


def compare(name, version):
    theirs = flows_of(of_softflowd(name, version), name, version)
    # It reads no service tags (88a8): nothing of what is in QinQ.
    ours = flows_of((r for r in of_weir(name, version) if r["vlan"] != QINQ_VLAN), name, version)
    if version == 9:
        # Its first uptime is 0, which nfdump reads as absent, and its seconds are another clock's
        # than its uptime: no time of its v9 is worth a comparison.
        ours, theirs = ({k: v[:3] for k, v in flows.items()} for flows in (ours, theirs))
    else:
        # It has one time for both directions.
        ours, theirs = of_conversations(ours), of_conversations(theirs)
    differ = [(k, ours.get(k), theirs.get(k)) for k in ours | theirs if ours.get(k) != theirs.get(k)]
    assert not differ, differ[:5]


def make_tests():
    for name in sorted(n for n in os.listdir(tap.CAPTURES) if ".pcap" in n):
        for version, what in ((9, "v9"), (10, "IPFIX")):
            yield (f"softflowd over {what} has the same flows of {name}",
                   lambda name=name, version=version: compare(name, version))


if __name__ == "__main__":
    tap.run(list(make_tests()))
