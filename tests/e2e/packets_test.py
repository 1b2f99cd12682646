#!/usr/bin/python3
"""weir replay on what a mirror port makes of real traffic: second copies, in the same and in
another VLAN, near and far; and packets left out by sampling, with collectors told of it."""

import collections
import gzip
import os
import struct
import subprocess
import tempfile

from collect import own, printed, tap

CAPTURES = ("web.pcap", "dns.pcap", "ping.pcap", "scan.pcap", "vlan.pcap", "fragments.pcap",
            "tcp-end.pcap.zst", "mixed.pcap.gz")
MS = 10**6
# Whole conversations, so that no timeout depends on which copy came last.
NO_TIMEOUTS = ("--active-timeout=0", "--idle-timeout=0")


def records_of(name):
    """(time in ns, octets on the wire, captured octets) of a classic pcap."""
    path = own(name)
    if name.endswith(".gz"):
        octets = gzip.open(path).read()
    elif name.endswith(".zst"):
        octets = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
    else:
        octets = open(path, "rb").read()
    unit = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}[struct.unpack_from("<I", octets)[0]]
    at, records = 24, []
    while at < len(octets):
        seconds, fraction, captured, wire = struct.unpack_from("<IIII", octets, at)
        at += 16
        records.append((seconds * 10**9 + fraction * unit, wire, octets[at:at + captured]))
        at += captured
    return records


def write(path, records):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for time_ns, wire, octets in sorted(records, key=lambda r: r[0]):
            file.write(struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9, len(octets), wire))
            file.write(octets)


def flows(*arguments):
    """Flows without their times, which second copies may not change but VLANs of them do."""
    return collections.Counter(
        tuple(sorted(r.items())) for r in printed(*NO_TIMEOUTS, *arguments))


def ledger(*arguments):
    found = tap.ledger_of(tap.weir("--ledger=json", *NO_TIMEOUTS, *arguments).stdout)
    assert found["balanced"]
    return found


def in_vlan(octets, vlan):
    return octets[:12] + struct.pack(">HH", 0x8100, vlan) + octets[12:]


def routed(octets):
    """What a router makes of an untagged frame; None where it would make nothing."""
    out = bytearray(b"\x02\0\0\0\0\x77\x02\0\0\0\0\x78" + octets[12:])
    if octets[12:14] == b"\x86\xdd":
        out[21] -= 1
        return bytes(out)
    if octets[12:14] != b"\x08\0":
        return None
    out[22] -= 1
    out[24:26] = b"\0\0"
    total = sum(struct.unpack_from(">H", out, 14 + i)[0] for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into(">H", out, 24, ~(total + (total >> 16)) & 0xFFFF)
    return bytes(out)


def test_captures_without_copies_lose_nothing():
    for name in CAPTURES + ("download.pcapng",):
        for options in (("-d5ms",), ("-d5ms,routed",)):
            assert "duplicate" in ledger(own(name))["not_metered"]
            with_it = ledger(*options, own(name))
            assert with_it["not_metered"]["duplicate"]["packets"] == 0, (name, options)
            assert flows(*options, own(name)) == flows(own(name)), (name, options)


def doubled(name, change, shift_ns=MS):
    """The records of a capture, each metered one followed by what `change` makes of it."""
    records, copies = records_of(name), []
    for time_ns, wire, octets in records:
        copy = change(octets)
        if copy is not None:
            copies.append((time_ns + shift_ns, wire + len(copy) - len(octets), copy))
    return records, copies


def check_copies(name, change, option, packets_of_ip=True):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "copies.pcap")
        records, copies = doubled(name, change)
        write(path, records + copies)
        before, after = ledger(own(name)), ledger(option, path)
        assert flows(option, path) == flows(own(name)), name
        assert after["received"]["packets"] == len(records) + len(copies)
        assert after["metered"] == before["metered"]
        if packets_of_ip:
            metered = before["metered"]["packets"]
            assert after["not_metered"]["duplicate"]["packets"] == metered, name
        pairs = after["duplicates"]
        assert [(p["first_if"], p["second_if"]) for p in pairs] == [(1, 1)]
        assert pairs[0]["packets"] == after["not_metered"]["duplicate"]["packets"]
        # Without being asked, every copy is a packet.
        assert ledger(path)["not_metered"]["duplicate"]["packets"] == 0
        # Nor is one beyond the window a copy.
        assert ledger("-d500us", path)["not_metered"]["duplicate"]["packets"] == 0


def test_a_capture_merged_with_itself_gives_its_own_flows():
    for name in CAPTURES:
        check_copies(name, lambda octets: octets, "--deduplicate=5ms")


def test_copies_in_another_vlan_count_for_the_first():
    for name in ("web.pcap", "dns.pcap", "fragments.pcap"):
        check_copies(name, lambda octets: in_vlan(octets, 77), "--deduplicate=5ms")


def test_routed_copies_count_only_where_asked_for():
    for name in ("web.pcap", "ping.pcap"):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "routed.pcap")
            records, copies = doubled(name, routed)
            write(path, records + copies)
            assert ledger("-d5ms", path)["not_metered"]["duplicate"]["packets"] == 0
        check_copies(name, routed, "--deduplicate=5ms,routed", packets_of_ip=False)


def test_copies_are_the_same_for_any_number_of_workers_and_every_time():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "copies.pcap")
        records, copies = doubled("mixed.pcap.gz", lambda octets: octets)
        write(path, records + copies)
        wanted = flows("-d5ms", path)
        for _ in range(3):
            for workers in (1, 2, 3):
                assert flows("-d5ms", f"--workers={workers}", path) == wanted


def test_the_same_capture_twice_is_two_captures():
    # 18 s: what goes back by less than one would be late and no more.
    once = ledger("-d5ms", own("mixed.pcap.gz"))["metered"]["packets"]
    twice = ledger("-d5ms", own("mixed.pcap.gz"), own("mixed.pcap.gz"))
    assert twice["metered"]["packets"] == 2 * once


def test_sampling_takes_one_of_n_and_says_so():
    received = 4492
    for option, rate in (("10", 10), ("random:10", 10), ("1", 1), ("random:7", 7)):
        counts = ledger(f"--sample={option}", own("mixed.pcap.gz"))
        left_out = counts["not_metered"]["not_sampled"]["packets"]
        assert abs(received - left_out - received / rate) < 1, (option, left_out)
        records = printed(f"--sample={option}", own("mixed.pcap.gz"))
        assert {r["sampling_rate"] for r in records} == {rate}
        assert sum(r["packets"] for r in records) == counts["metered"]["packets"]
        assert printed(f"--sample={option}", own("mixed.pcap.gz")) == records


def test_wrong_options_say_what_would_do():
    for arguments, said in ((("-d5", "f"), "such as 5ms"), (("-d5ms,fast", "f"), "routed"),
                            (("--sample=0", "f"), "random:N"), (("-severy", "f"), "random:N")):
        done = tap.weir(*arguments, status=2)
        assert said in done.stderr.decode() and not done.stdout, done.stderr


if __name__ == "__main__":
    tap.run_module(dict(globals()))
