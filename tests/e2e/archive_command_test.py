#!/usr/bin/python3
"""weir archive: what it says of files is so, damage is found and what can be read is saved, and
an hour that is compacted holds every record once."""

import collections
import csv
import fcntl
import json
import os
import random
import re
import signal
import stat
import subprocess
import threading

from archives import Archive, command, flip
from collect import tap


def counted(values):
    return collections.Counter(values)


def listed(archive, *options, status=0):
    done = command("archive", "ls", "--json", "--archive", archive.path, *options, status=status)
    return [json.loads(line) for line in done.stdout.splitlines()]


def snapshot(archive):
    """Every file and what is in it."""
    contents = {}
    for path in archive.files():
        with open(path, "rb") as file:
            contents[path] = file.read()
    return contents


def rows_of(lines):
    return list(csv.reader(lines))


def test_ls_says_what_the_files_hold():
    with Archive("mixed.pcap.gz", options=["-p"]) as archive:
        files = listed(archive)
        rows = rows_of(archive.csv())
        assert [f["state"] for f in files] == ["closed"] * (len(files) - 1) + ["open"]
        assert sum(f["records"] for f in files) == len(rows)
        assert sum(f["packets"] for f in files) == sum(int(row[8]) for row in rows)
        assert sum(f["octets"] for f in files) == sum(int(row[7]) for row in rows)
        assert min(f["first_ns"] for f in files) == min(int(row[0]) for row in rows)
        assert max(f["last_ns"] for f in files) == max(int(row[1]) for row in rows)
        for file in files:
            assert file["bytes"] == os.path.getsize(os.path.join(archive.path, file["path"]))


def test_ls_shows_a_table_with_a_total():
    with Archive("mixed.pcap.gz") as archive:
        lines = command("archive", "ls", archive.path).stdout.decode().splitlines()
        files = listed(archive)
    assert len(lines) == len(files) + 2 and "B/flow" in lines[0]
    assert len({line.index(word) + len(word) for line, word in
                [(lines[0], "bytes")] + [(lines[1], str(files[0]["bytes"]))]}) == 1, lines
    assert lines[-1].split()[:4] == [str(len(files)), "files", str(sum(f["records"] for f in files)),
                                     str(sum(f["bytes"] for f in files))]


def test_ls_of_a_damaged_file_says_so():
    with Archive("mixed.pcap.gz") as archive:
        os.truncate(archive.files()[0], 100)
        files = listed(archive, status=1)
    assert [f["state"] for f in files].count("damaged") == 1 and len(files) == 3


def test_verify_finds_every_page_of_an_archive_good():
    with Archive("mixed.pcap.gz", options=["-p"]) as archive:
        done = command("archive", "verify", "--json", "--archive", archive.path)
        files = [json.loads(line) for line in done.stdout.splitlines()]
        assert all(file["good"] for file in files)
        assert sum(file["records"] for file in files) == len(archive.csv())
        assert command("archive", "verify", "--quiet", archive.path).stdout == b""


def test_what_verify_finds_good_is_what_was_written():
    # A bit of a page is found by its checksum; of a page's head some bits mean nothing.
    with Archive("mixed.pcap.gz", rows=1000, group=100) as archive:
        [path] = archive.files()
        with open(path, "rb") as file:
            octets = file.read()
        footer = len(octets) - 8 - int.from_bytes(octets[-8:-4], "little")
        every = archive.csv()
        n_found = 0
        for offset in random.Random(1).sample(range(4, footer), 60):
            flip(path, offset)
            done = subprocess.run([tap.WEIR, "archive", "verify", path], capture_output=True,
                                  check=False, timeout=60)
            if done.returncode == 1:
                assert b"row group" in done.stderr, (offset, done.stderr)
                n_found += 1
            else:
                assert archive.csv() == every, offset
            flip(path, offset)
        assert n_found > 40, n_found
        command("archive", "verify", path)


def test_verify_holds_the_metadata_against_the_columns():
    with Archive("mixed.pcap.gz", rows=1000) as archive:
        [path] = archive.files()
        with open(path, "rb") as file:
            octets = file.read()
        for key, count in ((b"weir.records", "records"), (b"weir.ledger", "packets")):
            at = octets.rindex(key)
            digit = at + re.search(rb"[1-9]", octets[at + len(key) + 1:].split(b"packets")[-1]
                                   if count == "packets" else octets[at + len(key) + 1:]).start()
            digit = octets.index(b'"packets":', at) + 10 if count == "packets" else digit + len(key) + 1
            assert octets[digit:digit + 1].isdigit()
            flip(path, digit)
            done = command("archive", "verify", path, status=1)
            assert key in done.stderr and count.encode() in done.stderr, done.stderr
            flip(path, digit)


def test_verify_names_the_file_the_column_and_the_offset():
    with Archive("mixed.pcap.gz") as archive:
        path = archive.files()[1]
        flip(path, 300)
        done = command("archive", "verify", "--archive", archive.path, status=1)
    line = done.stderr.decode()
    assert os.path.basename(path) in line and re.search(r"column \w+, row group 0", line), line
    assert "offset" in line, line


def test_repair_saves_the_row_groups_that_are_good():
    with Archive("mixed.pcap.gz", rows=120, group=40) as archive:
        every = counted(archive.csv())
        path = archive.files()[0]
        with open(path, "rb") as file:
            damaged = file.read()
        flip(path, 500)
        damaged = damaged[:500] + bytes([damaged[500] ^ 1]) + damaged[501:]
        done = command("archive", "repair", "--archive", archive.path, status=1)
        assert b"80 records saved, 40 lost" in done.stdout, done.stdout
        with open(path + ".damaged", "rb") as file:
            assert file.read() == damaged
        saved = counted(archive.csv())
        assert saved <= every and saved.total() == every.total() - 40
        command("archive", "verify", "--archive", archive.path)
        assert command("archive", "repair", "--archive", archive.path).stdout == b""


def test_repair_puts_aside_what_has_no_footer():
    with Archive("mixed.pcap.gz") as archive:
        path = archive.files()[0]
        os.truncate(path, os.path.getsize(path) - 1)
        before = snapshot(archive)
        command("archive", "repair", "--archive", archive.path, status=1)
        after = snapshot(archive)
        assert path not in after and after.pop(path + ".damaged") == before.pop(path)
        assert after == before
        command("archive", "verify", "--archive", archive.path)


def test_repair_finishes_what_a_crash_left_open():
    with Archive("mixed.pcap.gz", options=["-p"]) as archive:
        every = counted(archive.csv())
        done = command("archive", "repair", archive.path)
        assert b"sensor test" in done.stdout and b"records recovered" in done.stdout, done.stdout
        assert [f["state"] for f in listed(archive)] == ["closed"] * 3
        assert counted(archive.csv()) == every
        assert all(path.endswith(".parquet") for path in archive.files()), archive.files()
        command("archive", "verify", archive.path)


def test_repair_finishes_what_was_whole_of_a_file_cut_anywhere():
    for cut in (1, 5000):
        with Archive("mixed.pcap.gz", rows=1000, options=["-p"]) as archive:
            every = counted(archive.csv())
            [part] = [path for path in archive.files() if path.endswith(".part")]
            os.truncate(part, os.path.getsize(part) - cut)
            left = counted(archive.csv())
            assert left < every and left.total() >= 40
            command("archive", "repair", archive.path, status=None)
            assert counted(archive.csv()) == left
            command("archive", "verify", archive.path)


def test_repair_leaves_alone_what_a_running_sensor_has_open():
    with Archive("mixed.pcap.gz", options=["-p"]) as archive:
        before = snapshot(archive)
        with open(os.path.join(archive.path, ".test.lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = command("archive", "repair", archive.path)
        assert b"left alone" in done.stdout, done.stdout + done.stderr
        assert snapshot(archive) == before


def test_repair_leaves_a_good_archive_as_it_is():
    with Archive("mixed.pcap.gz") as archive:
        before = snapshot(archive)
        command("archive", "repair", "--archive", archive.path)
        assert snapshot(archive) == before


def test_compact_makes_one_file_of_an_hour_with_every_record_once():
    with Archive("mixed.pcap.gz", "scan.pcap", rows=40, group=20) as archive:
        every = counted(archive.csv())
        n_files = len(archive.files())
        done = command("archive", "compact", "--archive", archive.path)
        assert len(archive.files()) == 1 < n_files, archive.files()
        assert f"{n_files} files of {every.total()} records".encode() in done.stdout
        assert counted(archive.csv()) == every
        command("archive", "verify", "--archive", archive.path)
        assert command("archive", "compact", "--archive", archive.path).stdout == b""
        assert not os.path.exists(os.path.join(archive.path, ".compact"))


def test_compact_keeps_sensors_and_sampling_apart():
    with Archive("mixed.pcap.gz") as archive:
        archive.add("mixed.pcap.gz", options=["-s", "other"])
        archive.add("mixed.pcap.gz", options=["-r", "100"])
        every = counted(archive.csv())
        command("archive", "compact", "--archive", archive.path)
        files = listed(archive)
        assert counted(archive.csv()) == every
    assert sorted((os.path.basename(f["path"]).split("-")[0], f["sampling_rate"]) for f in files) \
        == [("other", 1), ("test", 1), ("test", 100)]


def test_compact_leaves_an_hour_that_is_being_written():
    with Archive("mixed.pcap.gz", options=["-p"]) as archive:
        before = snapshot(archive)
        command("archive", "compact", "--archive", archive.path)
        assert snapshot(archive) == before


def test_compact_keeps_what_else_lies_in_the_hour_and_its_mode():
    with Archive("mixed.pcap.gz") as archive:
        folder = os.path.dirname(archive.files()[0])
        with open(os.path.join(folder, "note.txt"), "w", encoding="utf-8") as file:
            file.write("kept")
        os.chmod(folder, 0o750)
        command("archive", "compact", "--archive", archive.path)
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o750
        with open(os.path.join(folder, "note.txt"), encoding="utf-8") as file:
            assert file.read() == "kept"
        assert len(archive.files()) == 2


def test_compact_leaves_an_hour_with_a_damaged_file():
    with Archive("mixed.pcap.gz") as archive:
        flip(archive.files()[1], 500)
        before = snapshot(archive)
        command("archive", "compact", "--archive", archive.path, status=1)
        assert snapshot(archive) == before
        assert not os.path.exists(os.path.join(archive.path, ".compact"))


def test_compact_that_was_killed_loses_nothing_and_leaves_nothing():
    with Archive("mixed.pcap.gz", "scan.pcap", rows=10, group=5) as archive:
        every = counted(archive.csv())
        chance = random.Random(1)
        for _ in range(12):
            process = subprocess.Popen([tap.WEIR, "archive", "compact", archive.path],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            killer = threading.Timer(chance.uniform(0, 0.05), process.kill)
            killer.start()
            assert process.wait(60) in (0, -signal.SIGKILL)
            killer.join()
            assert counted(archive.csv()) == every
        command("archive", "compact", archive.path)
        assert counted(archive.csv()) == every
        assert not os.path.exists(os.path.join(archive.path, ".compact"))


def test_an_export_while_an_hour_is_compacted_has_every_record_once():
    for _ in range(5):
        with Archive("mixed.pcap.gz", "scan.pcap", rows=10, group=5) as archive:
            every = counted(archive.csv())
            process = subprocess.Popen([tap.WEIR, "archive", "compact", archive.path],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            n = 0
            while process.poll() is None or n == 0:
                done = subprocess.run(
                    [tap.WEIR, "export", "--archive", archive.path, "--to=csv", "--ledger=none"],
                    capture_output=True, check=False, timeout=60,
                )
                # A file that goes between its footer and its pages is an error that is told.
                if done.returncode == 0:
                    n += 1
                    assert counted(done.stdout.decode().splitlines()[1:]) == every
                else:
                    assert b"No such file" in done.stderr, done.stderr
            assert process.returncode == 0


def test_one_repair_or_compact_works_at_a_time():
    with Archive("mixed.pcap.gz") as archive:
        with open(os.path.join(archive.path, ".upkeep.lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for action in ("repair", "compact"):
                done = command("archive", action, archive.path, status=1)
                assert b"another repair or compact" in done.stderr
        assert len(archive.files()) == 3


def test_mistakes_say_what_would_do():
    for arguments, wanted in (
        ((), b"ls, verify, repair or compact"),
        (("list",), b"did you mean ls?"),
        (("compact", "--level=20", "x"), b"1 to 19"),
        (("repair", "/dev/null"), b"--archive DIR"),
    ):
        done = command("archive", *arguments, status=2)
        assert wanted in done.stderr, (arguments, done.stderr)
    assert b"/nonexistent" in command("archive", "ls", "--archive=/nonexistent", status=1).stderr


def test_help_fits_a_screen():
    for name in ("archive", "export"):
        lines = command(name, "--help").stdout.decode().splitlines()
        assert 0 < len(lines) <= 24 and max(map(len, lines)) <= 80, (name, len(lines))


if __name__ == "__main__":
    tap.run_module(globals())
