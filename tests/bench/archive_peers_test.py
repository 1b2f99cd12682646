#!/usr/bin/python3
"""What tests/bench/archive_peers reads of others, and what it makes of it; and a tiny run."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
import archive_programs
import archive_table
import pinned
import tap

BUILD = os.environ.get("WEIR_BUILD", "build")
# As nfdump 1.7.1 prints it with -s srcip/bytes -o csv -N.
NFDUMP_TOP = """ts,te,td,pr,val,fl,flP,pkt,pktP,byt,bytP,pps,bps,bpp
2023-11-14 22:11:41,2023-11-14 22:16:36,295.492,any,2001:db8::8b,84501,4.2,808449,3.6,619258511,5.6,2735,16765489,765
2023-11-14 22:12:20,2023-11-14 22:16:36,256.538,any,43.20.138.20,88482,4.4,511526,2.3,363416592,3.3,1993,11332951,710

Summary
flows,bytes,packets,avg_bps,avg_pps,avg_bpp
2000000,11029747903,22591702,296944615,76027,488
"""


def raises(work, *arguments):
    try:
        work(*arguments)
    except pinned.Failed as failure:
        return str(failure)
    raise AssertionError("nothing was wrong with it")


def test_largest_senders_of_nfdump_are_those_of_weir():
    nfdump = archive_programs.top_of_csv(NFDUMP_TOP, "val", "byt")
    weir = archive_programs.top_of_csv(
        "src_addr,sum(bytes)\n2001:db8:0::8b,619258511\n43.20.138.20,363416592\n")
    assert nfdump == weir == [("2001:db8::8b", 619258511), ("43.20.138.20", 363416592)], nfdump
    assert "no answer" in raises(archive_programs.top_of_csv, "weir query: no archive\n")


def test_an_answer_of_no_rows_is_one():
    assert archive_programs.top_of_csv("src_addr,sum(bytes)\n") == []


def test_answers_may_differ_in_who_shares_the_last_place_alone():
    same = archive_programs.same_top
    assert same([("a", 9), ("b", 5)], [("a", 9), ("c", 5)])
    assert not same([("a", 9), ("b", 5)], [("c", 9), ("b", 5)])
    assert not same([("a", 9), ("b", 5)], [("a", 9), ("b", 4)])
    assert not same([("a", 9)], [])


def test_sums_of_nfdump_come_as_records_packets_octets():
    text = "Summary: total flows: 3, total bytes: 500, total packets: 7, avg bps: 1\n"
    assert archive_programs.sums_of_nfdump(text) == (3, 7, 500)
    raises(archive_programs.sums_of_nfdump, "No files to process\n")


def test_lines_of_the_benches_are_read():
    line = ("archive level 3, 2000000 records: flushed 1.12 (1.04) M flows/s, then closed 0.86 "
            "(0.74) M flows/s, 14.75 octets/flow, 397 MiB at most\n")
    assert archive_programs.line_of_archive_bench(line) == (2000000, 1.12e6, 0.86e6, 14.75)
    line = ("parquet_writer level 1, 19058 rows in groups of 19058: 512.5 ns/flow, 1.95 M flows/s, "
            "9.36 octets/flow\n")
    assert archive_programs.line_of_parquet_bench(line) == (19058, 9.36)


class Flows:
    name, records = "mix", 1_000_000


def table(octets, write_s, scan_s):
    made = archive_table.Table()
    for program, n in octets.items():
        made.add(Flows, "write", program, write_s, n)
    made.add(Flows, "start", "weir query", 0.05)
    made.add(Flows, "scan", "weir query", scan_s)
    for what in ("no time", "no address"):
        made.add(Flows, what, "weir query", 0.055)
    return made


def test_goals_are_told_as_reached_or_not():
    octets = {"weir": 60, "nfcapd lz4": 100, "nfcapd bz2": 61, "DuckDB zstd": 60}
    reached = [r for *_, r in archive_table.goals(table(octets, 0.5, 0.24), "mix")]
    # Equal to DuckDB is not less; the start does not count as a scan.
    assert reached == [True, True, False, True, True, True, True], reached
    slow = table({"weir": 61, "nfcapd lz4": 100}, 0.6, 0.3)
    reached = [r for *_, r in archive_table.goals(slow, "mix")]
    assert reached == [False, False, False, True, True], reached


def test_rounds_become_medians():
    made = archive_table.Table()
    for cpu_s in (0.9, 0.1, 0.3):
        made.add(Flows, "scan", "weir query", cpu_s)
    row = made.get("mix", "scan", "weir query")
    assert abs(row.ns() - 300) < 1e-6 and abs(row.ms() - 300) < 1e-6, row
    assert archive_table.spread(row) == "100-900", archive_table.spread(row)


def test_a_tiny_set_is_the_same_everywhere():
    if not {0, 1} <= os.sched_getaffinity(0):
        raise tap.Skip("needs two cores")
    with tempfile.TemporaryDirectory(prefix="weir-archive-peers-") as folder:
        path = os.path.join(folder, "rows.csv")
        done = subprocess.run(
            [sys.executable, os.path.join(HERE, "archive_peers"), "--build", BUILD, "--flows", "5000",
             "--rounds", "1", "--records", "mix,capture", "--no-duckdb", "--csv", path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=200)
        assert done.returncode == 0, done.stdout.decode()
        with open(path, encoding="utf-8", newline="") as file:
            rows = {(r["records"], r["what"], r["program"]): r for r in csv.DictReader(file)}
    assert int(rows["mix", "write", "weir"]["octets"]) > 5000, rows
    assert float(rows["capture", "scan", "weir query"]["cpu_ns_per_flow"]) > 0, rows
    assert (("mix", "scan", "nfdump lz4") in rows) == (shutil.which("nfcapd") is not None), rows


if __name__ == "__main__":
    tap.run_module(globals())
