#!/usr/bin/python3
"""tests/bench/peers, over a tiny capture: what it tells, and that its checks can fail."""

import csv
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
import tap

BUILD = os.environ.get("WEIR_BUILD", "build")
# A sanitizer's own memory is not weir's.
FIXED_MIB = os.environ.get("WEIR_FIXED_MIB", "48")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin"
PACKETS = 20_000

folder = tempfile.TemporaryDirectory(prefix="weir-peers-test-")
captures = os.path.join(folder.name, "captures")
bench_csv = os.path.join(folder.name, "rows.csv")


def bench(*arguments, peers="", status=0, path=PATH):
    """Runs the bench; returns its rows by program, and all that it printed."""
    if not {0, 1} <= os.sched_getaffinity(0):
        raise tap.Skip("needs two cores")
    if os.path.exists(bench_csv):
        os.remove(bench_csv)
    done = subprocess.run(
        [sys.executable, os.path.join(HERE, "peers"), "--build", BUILD, "--capture", "tiny",
         "--captures", captures, "--rounds", "1", "--peers", peers, "--csv", bench_csv,
         "--fixed-mib", FIXED_MIB, *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=60, env=os.environ | {"PATH": path})
    text = done.stdout.decode()
    assert done.returncode == status, f"ended with {done.returncode}: {text}"
    if status != 0:
        assert not os.path.exists(bench_csv), "a speed is told though the check failed"
        return {}, text
    with open(bench_csv, encoding="utf-8", newline="") as file:
        return {row["program"]: row for row in csv.DictReader(file)}, text


def truth_file():
    """Of the capture, which is made if need be."""
    path = os.path.join(captures, "tiny.json")
    if not os.path.exists(path):
        bench()
    return path


def with_wrong_truth(what):
    with open(truth_file(), encoding="ascii") as file:
        right = file.read()
    truth = json.loads(right)
    truth[what] += 1
    with open(truth_file(), "w", encoding="ascii") as file:
        json.dump(truth, file)
    try:
        _, text = bench(status=1)
    finally:
        with open(truth_file(), "w", encoding="ascii") as file:
            file.write(right)
    assert f"peers: weir: {truth[what] - 1} {what}, but tiny has {truth[what]}" in text, text


def with_fake_softflowd(script, *arguments):
    """The row of a program by that name that does something else."""
    programs = os.path.join(folder.name, "bin")
    os.makedirs(programs, exist_ok=True)
    fake = os.path.join(programs, "softflowd")
    with open(fake, "w", encoding="ascii") as file:
        file.write(f'#!/bin/sh\n[ "$1" != -h ] || exit 0\n{script}\n')
    os.chmod(fake, 0o755)
    rows, _ = bench(*arguments, peers="softflowd", path=f"{programs}:{PATH}")
    return rows["softflowd"]


def test_every_installed_peer_has_its_row():
    peers = ["softflowd", "nfpcapd"]
    rows, text = bench(peers=",".join(peers))
    installed = [name for name in peers if shutil.which(name, path=PATH)]
    assert list(rows) == ["weir", *installed], rows
    for name in set(peers) - set(installed):
        assert f"{name}: left out" in text, text
    for row in rows.values():
        assert float(row["ns_per_packet"]) > 0 and float(row["mib"]) > 1, row
        assert int(row["packets"]) == PACKETS and int(row["records"]) > 1000, row
    assert rows["weir"]["remarks"] == "packets and octets right; records right", rows
    if "softflowd" in installed:
        assert "softflowd takes" in text and "times weir's CPU time" in text, text


def test_wrong_octets_of_the_truth_make_it_fail():
    with_wrong_truth("octets")


def test_wrong_records_of_the_truth_make_it_fail():
    with_wrong_truth("records")


def test_more_memory_than_the_limit_makes_it_fail():
    _, text = bench("--fixed-mib", "-1000", status=1)
    assert "more than its limit" in text, text


def test_a_capture_that_is_not_whole_is_made_again():
    capture = truth_file().replace(".json", ".pcap")
    size = os.path.getsize(capture)
    os.truncate(capture, size // 2)
    bench()
    assert os.path.getsize(capture) == size


def test_a_peer_that_aborts_is_told():
    row = with_fake_softflowd("echo out of luck; kill -ABRT $$")
    assert row["remarks"] == "aborted: SIGABRT: out of luck" and not row["ns_per_packet"], row


def test_a_peer_that_takes_too_long_is_killed_and_told():
    row = with_fake_softflowd("sleep 100", "--timeout", "0.5")
    assert row["remarks"] == "killed after 0.5 s" and not row["ratio"], row


def test_a_peer_that_sends_nothing_has_lost_all():
    row = with_fake_softflowd("exit 0")
    assert row["remarks"].startswith(f"lost {PACKETS:,} packets; octets -100.0 %"), row


def test_the_time_of_a_child_left_behind_counts():
    row = with_fake_softflowd(
        "(sleep 0.2; i=0; while [ $i -lt 600000 ]; do i=$((i + 1)); done) & exit 0")
    assert float(row["ns_per_packet"]) * PACKETS > 150e6, row


def test_the_sink_reads_ipfix_with_fields_of_any_length():
    # RFC 7011: octetDeltaCount in 4 octets, an enterprise's field of variable length,
    # packetDeltaCount in 8.
    fields = struct.pack("!HHHHIHH", 1, 4, 0x8000 | 5, 65535, 29305, 2, 8)
    template = struct.pack("!HHHH", 2, 8 + len(fields), 256, 3) + fields
    records = b"".join((
        struct.pack("!IB3sQ", 1000, 3, b"abc", 7),
        struct.pack("!IBH300sQ", 70000, 255, 300, bytes(300), 9),
    ))
    data = struct.pack("!HH", 256, 4 + len(records)) + records
    unknown = struct.pack("!HHI", 300, 8, 0)
    body = template + data + unknown
    name = os.path.join(folder.name, "ipfix")
    with open(name, "wb") as file:
        file.write(struct.pack("!HHIII", 10, 16 + len(body), 0, 0, 0) + body)
    done = subprocess.run([os.path.join(BUILD, "tests/bench/udp_sink"), name],
                          stdout=subprocess.PIPE, check=True)
    got = json.loads(done.stdout)
    assert (got["records"], got["octets"], got["packets"]) == (2, 71000, 16), got
    assert got["undecodable"] == 1, got


if __name__ == "__main__":
    with folder:
        tap.run_module(globals())
