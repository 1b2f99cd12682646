#!/usr/bin/python3
"""weir query as users meet it, over an archive that the Parquet writer made. What it should
answer is worked out here, from the same records as CSV."""

import atexit
import collections
import csv
import glob
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile

from collect import tap, until

BEGIN = 1795514400  # 2026-11-24T10:00:00Z
FOLDER = tempfile.mkdtemp(prefix="weir-query-")
atexit.register(shutil.rmtree, FOLDER)
ARCHIVE = os.path.join(FOLDER, "archive")
FLOWS = [
    {name: int(value) if value.isdigit() else value for name, value in row.items()}
    for row in csv.DictReader(
        io.StringIO(
            subprocess.run(
                [os.environ["WEIR_MAKE_QUERY_ARCHIVE"], ARCHIVE, "3", "1000", str(BEGIN)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
    )
]
FOREVER = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "


def run(*arguments, status=0, archive=ARCHIVE, **options):
    done = subprocess.run(
        [tap.WEIR, "query", "--archive", archive, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done


def rows(*arguments):
    done = run("--format=csv", *arguments)
    assert done.stderr == "", done.stderr
    return list(csv.reader(io.StringIO(done.stdout)))


def sums(key, flows=None):
    """{key: [bytes, packets, flows]}"""
    total = collections.defaultdict(lambda: [0, 0, 0])
    for flow in FLOWS if flows is None else flows:
        total[key(flow)][0] += flow["bytes"]
        total[key(flow)][1] += flow["packets"]
        total[key(flow)][2] += 1
    return total


def test_sql_answers_what_the_records_say():
    expected = sorted(
        ([str(k), str(v[0])] for k, v in sums(lambda f: f["src_addr"]).items()),
        key=lambda row: (-int(row[1]), row[0]),
    )[:5]
    answer = rows(
        "SELECT src_addr, sum(bytes) FROM flows GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5"
    )
    assert answer == [["src_addr", "sum(bytes)"], *expected], answer


def test_json_is_one_object_a_line():
    done = run("--format=json", "SELECT proto, count(*) AS n FROM flows GROUP BY 1")
    answer = [json.loads(line) for line in done.stdout.splitlines()]
    expected = sums(lambda f: f["proto"])
    assert {row["proto"]: row["n"] for row in answer} == {k: v[2] for k, v in expected.items()}


def test_the_largest_are_named_by_every_measure():
    for by, place in (("bytes", 0), ("packets", 1), ("flows", 2)):
        expected = sorted(
            ([k, *map(str, v)] for k, v in sums(lambda f: f["dst_addr"]).items()),
            key=lambda row: (-int(row[1 + place]), row[0]),
        )[:7]
        answer = rows("--top", "dst_addr,7", "--by", by)
        assert answer == [["dst_addr", "bytes", "packets", "flows"], *expected], (by, answer)


def test_conversations_have_both_addresses():
    expected = sums(lambda f: (f["src_addr"], f["dst_addr"]))
    answer = rows("--top", "conversations")[1:]
    assert len(answer) == 10
    for src, dst, *numbers in answer:
        assert [str(n) for n in expected[src, dst]] == numbers
    assert int(answer[0][2]) == max(v[0] for v in expected.values())


def test_every_key_of_top_answers():
    for key in (
        "src_addr dst_addr src_port dst_port proto conversations flows src_mac dst_mac vlan_id "
        "in_if ip_tos flow_end_reason"
    ).split():
        answer = rows("--top", key + ",1000000")
        assert sum(int(row[-1]) for row in answer[1:]) == len(FLOWS), key


def test_times_and_conditions_select():
    for arguments, flows in (
        (("--from", BEGIN + 3600), lambda f: f["time_flow_start_ns"] >= (BEGIN + 3600) * 10**9),
        (
            ("--to", "2026-11-24T11:30:00Z"),
            lambda f: f["time_flow_start_ns"] < (BEGIN + 5400) * 10**9,
        ),
        (
            ("--where", "ip_in(src_addr, '10.0.0.0/8') OR dst_port = 53"),
            lambda f: f["src_addr"].startswith("10.") or f["dst_port"] == 53,
        ),
        (("--where", "proto = 6 -- and no more", "--from", 0), lambda f: f["proto"] == 6),
        (("--last", "1s"), lambda f: False),
    ):
        expected = sums(lambda f: 0, [f for f in FLOWS if flows(f)])[0]
        answer = rows(*arguments)
        assert answer[0] == ["flows", "packets", "bytes", "first_ns", "last_ns"], answer
        assert answer[1][0] == str(expected[2]), (arguments, answer, expected)
        assert answer[1][2] == (str(expected[0]) if expected[2] else ""), (arguments, answer)


def test_a_time_series_adds_up_by_step():
    expected = sums(lambda f: f["time_flow_start_ns"] // (600 * 10**9) * 600 * 10**9)
    answer = rows("--timeseries", "10m", "--by", "packets")
    assert answer[0] == ["time", "packets"]
    assert answer[1:] == [[str(k), str(v[1])] for k, v in sorted(expected.items())]


def test_a_chart_fits_the_terminal_and_its_locale():
    for locale, mark in (("C.UTF-8", "┤"), ("C", "+")):
        done = run(
            "--timeseries=1m",
            "--format=chart",
            env=os.environ | {"LC_ALL": locale},
        )
        lines = done.stdout.splitlines()
        assert lines[0] == "bytes" and mark in lines[1], lines
        assert max(map(len, lines)) < 80 and len(lines) <= 24, lines
        assert done.stdout.isascii() == (locale == "C")


def test_a_time_series_on_a_terminal_is_a_chart():
    terminal, theirs = pty.openpty()
    done = subprocess.run(
        [tap.WEIR, "query", "--archive", ARCHIVE, "--timeseries=1m"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=60,
        check=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    os.close(theirs)
    assert done.stderr == b""
    text = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert "┤" in text, text


def test_tables_are_for_people():
    done = run("--top", "src_addr,2")
    head, first, _ = done.stdout.splitlines()
    assert head.split() == ["src_addr", "bytes", "packets", "flows"]
    assert "KiB" in first and len(head) == len(first), done.stdout


def test_every_mistake_names_itself_and_the_remedy():
    for arguments, said in (
        ((), ("nothing to ask", "--top")),
        (("--top", "colour"), ("--top colour", "src_addr")),
        (("--top", "src_addr,0"), ("--top 0", "1 to")),
        (("--top", "src_addr", "--timeseries", "1m"), ("one report",)),
        (("--by", "weight", "--top", "proto"), ("--by weight", "packets")),
        (("--last", "5"), ("--last 5", "1h")),
        (("--from", "yesterday"), ("--from yesterday", "-1h")),
        (("--from", "-1h", "--last", "1h"), ("--from",)),
        (("--from", "-1h", "--to", "-2h"), ("--to",)),
        (("--timeseries", "0"), ("--timeseries 0", "1m")),
        (("--format", "xml", "SELECT 1"), ("--format xml", "csv")),
        (("--top", "proto", "--format", "chart"), ("chart", "--timeseries")),
        (("--top", "proto", "SELECT 1"), ("either",)),
        (("SELECT 1", "SELECT 2"), ("SELECT 2", "one SQL statement")),
        (("--threads", "0", "SELECT 1"), ("--threads 0",)),
        (("--colour", "SELECT 1"), ("--colour", "--help")),
        (("--top",), ("--top", "needs a value")),
        (("SELECT wrong FROM flows",), ("no such column: wrong", "columns: time_flow_start_ns")),
        (("SELECT 1 FROM elsewhere",), ("no such table: elsewhere", "flows", "live")),
        (("DROP TABLE flows",), ("can only read",)),
        (("--where", "x = 1", "--top", "proto"), ("no such column: x",)),
    ):
        done = run(*arguments, status=2)
        assert done.stdout == "", arguments
        assert done.stderr.startswith("weir query: "), done.stderr
        for text in said:
            assert text in done.stderr, (arguments, text, done.stderr)


def test_what_is_not_there_is_named():
    done = run("SELECT count(*) FROM flows", archive=FOLDER + "/none", status=1)
    assert done.stderr == f"weir query: {FOLDER}/none: No such file or directory\n", done.stderr
    done = run("--socket", FOLDER + "/none.sock", "SELECT * FROM live", status=1)
    assert f"no sensor runs at {FOLDER}/none.sock" in done.stderr and done.stdout == ""


def test_a_damaged_file_is_told_and_the_others_are_read():
    copy = os.path.join(FOLDER, "damaged")
    shutil.copytree(ARCHIVE, copy)
    first = sorted(glob.glob(copy + "/*/*/*.parquet"))[0]
    with open(first, "r+b") as file:
        file.truncate(os.path.getsize(first) - 1)
    done = run("--format=csv", "SELECT count(*) FROM flows", archive=copy, status=1)
    assert done.stdout == "count(*)\n2000\n", done.stdout
    assert done.stderr.startswith(f"weir query: {first}: "), done.stderr
    assert len(done.stderr.splitlines()) == 1


def catches(process, number):
    """Whether the process has a handler for the signal."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("SigCgt:"))
    return int(line.split()[1], 16) >> (number - 1) & 1 != 0


def start(*arguments):
    return subprocess.Popen(
        [tap.WEIR, "query", "--archive", ARCHIVE, *arguments],
        bufsize=0,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_an_interrupt_ends_it_without_a_part():
    for how in ("--format=table", "--format=csv", "--format=chart"):
        process = start(how, FOREVER + "SELECT count(*) AS n, 1 AS m FROM c")
        until(lambda p=process: catches(p, signal.SIGINT), "the handler")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, (process.returncode, err)
        assert out == b"" and err == b"", (out, err)


def test_an_interrupted_stream_ends_with_a_whole_line():
    process = start("--format=csv", FOREVER + "SELECT n FROM c")
    head = process.stdout.read(100000)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == b"", (process.returncode, err)
    lines = (head + out).split(b"\n")
    assert lines[-1] == b""
    assert lines[1:-1] == [b"%d" % n for n in range(1, len(lines) - 1)]


def test_a_reader_that_goes_away_is_an_error():
    process = start("--format=csv", FOREVER + "SELECT n FROM c")
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 1
    assert err == b"weir query: cannot write: Broken pipe\n", err
    process.stderr.close()


def test_help_names_every_option_of_the_manual():
    text = run("--help=all").stdout
    manual = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/weir-query.1")
    with open(manual, encoding="utf-8") as file:
        named = [
            line.split("Fl -")[1].split()[0] for line in file if line.startswith(".It Fl -")
        ]
    assert len(named) >= 11
    for option in named:
        assert "--" + option in text, option


if __name__ == "__main__":
    tap.run_module(globals())
