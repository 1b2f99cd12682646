#!/usr/bin/python3
"""The whole of weir replay against the flows that others worked out of public captures, and
against those that tshark works out of our own: packets, bytes, first, last, flags and TOS of
each flow, to the unit. With the timeouts off, with the default ones, and with two workers.

A corpus that is not there is reported as skipped, not passed over.
"""

import csv
import io
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap

MODES = {
    "without timeouts": ("--active-timeout=0", "--idle-timeout=0"),
    "with the default timeouts": (),
    "with two workers": ("--workers=2",),
}


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def expected_flows(folder, name):
    tso = os.path.join(folder, "expected", "tso", name + ".csv")
    path = tso if os.path.exists(tso) else os.path.join(folder, "expected", name + ".csv")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:7] == ["srcip", "dstip", "proto", "srcport", "dstport", "packets", "bytes"]
    return {tuple(row[:5]): [int(value) for value in row[5:]] for row in rows[1:]}


def flows_of(records):
    """Adds up the records of each key."""
    flows = {}
    for r in records:
        key = (r["src_addr"], r["dst_addr"], r["proto"], r["src_port"], r["dst_port"])
        first = int(r["time_flow_start_ns"]) // 1000000
        last = int(r["time_flow_end_ns"]) // 1000000
        packets, octets = int(r["packets"]), int(r["bytes"])
        flags, tos = int(r["tcp_flags"]), int(r["ip_tos"])
        assert packets > 0 and first <= last, r
        flow = flows.setdefault(key, [0, 0, first, last, 0, tos])
        if first < flow[2]:
            flow[5] = tos
        flow[0] += packets
        flow[1] += octets
        flow[2], flow[3] = min(flow[2], first), max(flow[3], last)
        flow[4] |= flags
    return flows


def compare(folder, totals, libpcap_records, options):
    """One capture, one set of options."""
    name, packets = totals["file"], int(totals["packets"])
    whole = libpcap_records == packets
    done = tap.weir(
        "--print=csv",
        "--ledger=json",
        *options,
        os.path.join(folder, name),
        status=0 if whole and totals["status"] == "ok" else 1,
    )
    if done.returncode != 0:
        assert name.encode() in done.stderr, done.stderr
    ledger = tap.ledger_of(done.stderr)
    received = ledger["received"]["packets"]
    assert received == libpcap_records, (received, libpcap_records)
    records = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    flows, expected = flows_of(records), expected_flows(folder, name)
    if not whole:
        # libpcap gives up where the interfaces of a file differ; what it gave is all there.
        assert sum(flow[0] for flow in flows.values()) == ledger["metered"]["packets"]
        assert set(flows) <= set(expected)
        for key, flow in flows.items():
            assert flow[0] <= expected[key][0], key
        return
    if int(totals["ts_back"]) > 0:
        # "Of the first packet in file order": of several records that is not known.
        for side in (flows, expected):
            for flow in side.values():
                flow[5] = 0
    differ = {
        key: (flows.get(key), expected.get(key))
        for key in set(flows) | set(expected)
        if flows.get(key) != expected.get(key)
    }
    assert not differ, f"{len(differ)} flows differ (weir, expected): {dict(list(differ.items())[:3])}"
    malformed = {"ip_truncated": "mal_T", "ip_version": "mal_V", "ip_header_len": "mal_H",
                 "ip_total_len": "mal_L"}
    reasons = ledger["not_metered"]
    for reason, column in malformed.items():
        assert reasons[reason]["packets"] == int(totals[column]), (reason, reasons)
    not_ip = reasons["not_ip"]["packets"] + reasons["link_truncated"]["packets"]
    assert not_ip == int(totals["nonip"]), (not_ip, totals["nonip"])


def refuse(folder, name):
    done = tap.weir(os.path.join(folder, name), status=1)
    lines = [line for line in done.stderr.decode().splitlines() if name in line]
    assert len(lines) == 1, done.stderr


def tests_of(folder, manifest):
    tests = []
    records = {row["file"]: int(row["libpcap_records"]) for row in manifest}
    for row in table(os.path.join(folder, "expected", "totals.tsv")):
        name = row["file"]
        n = records.get(name, int(row["packets"]))
        if row["scope"] not in ("core", "ext"):
            tests.append((f"{name} is refused by name", lambda name=name: refuse(folder, name)))
            continue
        modes = list(MODES.items())
        if os.environ.get("WEIR_SANITIZED") == "1":  # takes its time: each capture in one way
            modes = [modes[len(tests) % len(modes)]]
        for mode, options in modes:
            tests.append((f"{name} {mode}",
                          lambda row=row, n=n, options=options: compare(folder, row, n, options)))
    return tests


def main():
    tests = tests_of(tap.CAPTURES, [])
    if os.path.exists(os.path.join(tap.CORPUS, "MANIFEST.tsv")):
        tests += tests_of(tap.CORPUS, table(os.path.join(tap.CORPUS, "MANIFEST.tsv")))
    else:
        def skip():
            raise tap.Skip(f"no public captures in {tap.CORPUS}")
        tests.append(("public captures", skip))
    tap.run(tests)


if __name__ == "__main__":
    main()
