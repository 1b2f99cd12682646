#!/usr/bin/python3
"""From a capture to what nfdump says of it, through nfcapd: every record, every field that
nfdump 1.7.1 knows, times to the millisecond."""

import collections
import csv
import datetime
import json
import os

from collect import Nfcapd, own, printed, tap

FLAGS = "CEUAPRSF"


def ms_of_text(text):
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
    return round(moment.timestamp() * 1000)


def of_nfdump(r):
    ports = (r.get("src_port", 0), r.get("dst_port", 0))
    if "icmp_type" in r:
        ports = (0, r["icmp_type"] * 256 + r["icmp_code"])
    return (
        r.get("src4_addr") or r["src6_addr"], r.get("dst4_addr") or r["dst6_addr"], r["proto"],
        *ports, r["in_packets"], r["in_bytes"], ms_of_text(r["first"]), ms_of_text(r["last"]),
        r.get("tcp_flags", "........"), r["src_tos"], r["src_vlan"], r["in_src_mac"],
        r["in_dst_mac"], r["input_snmp"], r["output_snmp"], r["sampled"], r["export_sysid"],
    )


def of_weir(r):
    flags = "".join(c if r["tcp_flags"] & 0x80 >> i else "." for i, c in enumerate(FLAGS))
    return (
        r["src_addr"], r["dst_addr"], r["proto"], r["src_port"], r["dst_port"], r["packets"],
        r["bytes"], r["time_flow_start_ns"] // 1000000, r["time_flow_end_ns"] // 1000000,
        flags, r["ip_tos"], r["vlan_id"], r["src_mac"], r["dst_mac"], 1, 1, 1, 1,
    )


def compare(host, capture, *options):
    with Nfcapd(host) as collector:
        done = tap.weir("--collector", collector.destination, "--ledger=json", *options, own(capture))
        got = collector.stop()
    ledger = tap.ledger_of(done.stdout)
    assert ledger["balanced"] and ledger["sinks"][0]["sent"] == ledger["records"]
    wanted = (
        f"Flows: {ledger['records']}, Packets: {ledger['metered']['packets']}, "
        f"Bytes: {ledger['metered_octets']}, Sequence Errors: 0, Bad Packets: 0"
    )
    assert wanted in collector.log, (wanted, collector.log)
    records = collections.Counter(map(of_nfdump, got))
    expected = collections.Counter(map(of_weir, printed(*options, own(capture))))
    assert records == expected, (list((records - expected))[:3], list((expected - records))[:3])
    return got


def expected_flows(capture):
    with open(own(f"expected/{capture}.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {tuple(row[:5]): tuple(map(int, row[5:9])) for row in rows}


def make_tests():
    names = sorted(n for n in os.listdir(tap.CAPTURES) if ".pcap" in n)
    assert len(names) >= 6, names

    def whole(name):
        """Without timeouts a flow is a record, save that an ended TCP flow may begin anew."""
        flows = {}
        for r in compare("127.0.0.1", name, "--active-timeout=0", "--idle-timeout=0"):
            v = of_nfdump(r)
            # Two VLANs with one address pair are two flows of weir, and one of the oracle.
            n, octets, first, last = flows.get(v[:5], (0, 0, v[7], v[8]))
            flows[v[:5]] = (n + v[5], octets + v[6], min(first, v[7]), max(last, v[8]))
        flows = {tuple(map(str, key)): value for key, value in flows.items()}
        assert flows == expected_flows(name)

    for name in names:
        yield f"{name} arrives as expected", lambda name=name: whole(name)
        yield (f"{name} arrives over IPv6 with the default timeouts",
               lambda name=name: compare("::1", name))
    yield ("records of three workers arrive",
           lambda: compare("127.0.0.1", "mixed.pcap.gz", "--workers=3"))
    yield ("records of a small cache arrive",
           lambda: compare("127.0.0.1", "scan.pcap", "--cache-entries=64"))


if __name__ == "__main__":
    tap.run(list(make_tests()))
