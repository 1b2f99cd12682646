#!/usr/bin/python3
"""What tests/bench/live_peers and tests/bench/soak read of others, and what they make of it; and a
tiny run of each."""

import csv
import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..")]
import live_meters
import pinned
import tap
from live import need_namespaces

BUILD = os.environ.get("WEIR_BUILD", "build")


def script(name):
    """A script without .py, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(HERE, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.modules[name] = module  # dataclasses look there
    loader.exec_module(module)
    return module


live_peers = script("live_peers")
soak = script("soak")


def raises(work, *arguments):
    try:
        work(*arguments)
    except pinned.Failed as failure:
        return str(failure)
    raise AssertionError("nothing was wrong with it")


def test_proc_stat_is_read_whatever_the_name():
    line = ("4242 (a) (b c) S 1 777 777 0 -1 4194560 100 0 0 0 150 50 7 7 20 0 1 0 100 1000 "
            "200 18446744073709551615")
    group, state, spent = live_meters.stat_fields(line)
    assert (group, state) == (777, "S")
    assert abs(spent - 200 / live_meters.TICKS_PER_S) < 1e-9, spent


def test_cpu_time_is_of_the_whole_group():
    process = subprocess.Popen(
        ["sh", "-c", "(i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; sleep 60) & wait"],
        start_new_session=True)
    try:
        live_meters.wait_until(lambda: live_meters.cpu_s(process.pid) > 0.03, 20, "CPU time")
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def test_reports_of_weir_are_added_up():
    line = ("weir run: 17.4M packets/s, 8.9G bit/s, 0 flows, 0 new flows/s, 0 records/s; "
            "not metered: not_ip 17400000, own_export 3; records lost: ring_full 9\n")
    assert soak.unmetered_in(line) == 17400003
    assert soak.unmetered_in("weir run: metering; Ctrl-C or SIGTERM stops\n") == 0


def ledger(received=10, metered=7, reason=3, balanced=True):
    return {"balanced": balanced, "received": {"packets": received}, "cached_flows": 0,
            "metered": {"packets": metered}, "not_metered": {"not_ip": {"packets": reason}}}


def test_a_ledger_that_does_not_add_up_is_refused():
    assert soak.balance(ledger()) == 10
    assert "11 received" in raises(soak.balance, ledger(received=11))
    raises(soak.balance, ledger(balanced=False))


def told(value, offered=10):
    usage = pinned.Usage(0, 0, 0, "weir run: metering\n" + json.dumps(value) + "\n")
    return live_peers.weir_told(usage, offered)


def test_what_weir_says_of_itself_is_checked_and_told():
    assert told(ledger()) == "not_ip 3"
    assert "2 of those offered" in told(ledger(), offered=12)
    raises(told, ledger(metered=8))
    raises(told, ledger(balanced=False))


def rows(**lost):
    return [live_peers.Row("full", name, "1", "", 1, lost_most=n, cpu_ns=100.0 * i)
            for i, (name, n) in enumerate(lost.items(), 1)]


def test_the_leanest_is_one_that_lost_nothing():
    said = live_peers.claim(rows(weir=0, sparing=5, careful=0, costly=0))
    assert "careful, takes 3.00 times" in said, said
    assert "every peer lost some" in live_peers.claim(rows(weir=0, sparing=5))


def test_rounds_become_medians_and_the_worst():
    rounds = [live_peers.Round(100, rate, metered, 1, cpu)
              for rate, metered, cpu in ((5.0, 100, 30.0), (7.0, 90, 10.0), (6.0, 99, 20.0))]

    class Fake:
        name, how = "fake", "NetFlow v9"

        def version(self):
            return "1"

    row = live_peers.row_of(0, Fake(), rounds, None)
    assert (row.rate, row.lost, row.lost_most) == ("full", 1, 10), row
    assert (row.cpu_ns, row.cpu_ns_min, row.cpu_ns_max) == (20.0, 10.0, 30.0), row
    failed = live_peers.row_of(1000, Fake(), [], "ended")
    assert (failed.rate, failed.cpu_ns, failed.remarks) == ("1,000", None, "ended"), failed


def test_the_sink_reads_netflow_5():
    if not {0, 1} <= os.sched_getaffinity(0):
        raise tap.Skip("needs two cores")
    import socket
    import struct
    records = b"".join(struct.pack("!16x2I24x", packets, octets)
                       for packets, octets in ((3, 300), (5, 70000)))
    with pinned.Sink(os.path.join(BUILD, "tests/bench/udp_sink")) as sink, \
         socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(struct.pack("!HH20x", 5, 2) + records, ("127.0.0.1", sink.port))
        sender.sendto(struct.pack("!HH20x", 5, 3) + records, ("127.0.0.1", sink.port))
        counts = sink.count()
    assert (counts["records"], counts["packets"], counts["octets"]) == (2, 8, 70300), counts
    assert counts["undecodable"] == 1, counts


def run(name, *arguments):
    done = subprocess.run([sys.executable, os.path.join(HERE, name), "--build", BUILD, *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=100)
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


def test_a_tiny_line_is_metered_to_the_packet():
    need_namespaces()
    if not {0, 1} <= os.sched_getaffinity(0):
        raise tap.Skip("needs two cores")
    with tempfile.TemporaryDirectory(prefix="weir-live-peers-") as folder:
        path = os.path.join(folder, "rows.csv")
        run("live_peers", "--part", "peers,start", "--rates", "5000", "--packets", "5000",
            "--rounds", "1", "--peers", "softflowd", "--csv", path)
        with open(path, encoding="utf-8", newline="") as file:
            got = {row["program"]: row for row in csv.DictReader(file)}
        assert got["weir"]["lost_most"] == "0" and float(got["weir"]["cpu_ns"]) > 0, got
        assert ("softflowd" in got) == bool(shutil.which("softflowd", path=live_meters.PATH)), got
        with open(path + ".goals", encoding="utf-8", newline="") as file:
            assert "first packet metered" in next(csv.DictReader(file))["what"]


def test_a_short_soak_balances():
    said = run("soak", "--packets", "200000", "--only", "null")
    assert "= 0 metered + {'not_ip':" in said, said


if __name__ == "__main__":
    tap.run_module(globals())
