#!/usr/bin/python3
"""--archive as users meet it: in a replay and live, in the sandbox, and with a disk that is full
or that nobody may write to."""

import collections
import contextlib
import os
import signal
import stat
import subprocess
import tempfile

from archive_crash import DUMP, dump, files_of
from collect import own, tap, until
from live import Line, Weir
from run_test import fails, ipv4_udp

NOBODY = 65534


@contextlib.contextmanager
def folder():
    """One that whoever weir becomes may look into."""
    with tempfile.TemporaryDirectory(prefix="weir-archive-") as name:
        os.chmod(name, 0o755)
        yield name


def sink_of(ledger, name):
    return next(s for s in ledger["sinks"] if s["name"].startswith(name))


def closed(name):
    return [path for path in files_of(name) if path.endswith(".parquet")]


def test_a_replay_keeps_what_it_prints_where_its_clock_says():
    with folder() as name:
        name = f"{name}/a"
        done = tap.weir("--archive", name, "--sensor=north", "--print=csv", "--ledger=json",
                        own("web.pcap"))
        printed = [line.split(",")[2] for line in done.stdout.decode().splitlines()[1:]]
        assert len(printed) > 10
        assert collections.Counter(dump(name)) == collections.Counter(printed)
        sink = sink_of(tap.ledger_of(done.stderr), "archive ")
        assert sink["records"] == sink["sent"] == len(printed), sink
        (path,) = files_of(name)
        first = int(done.stdout.decode().splitlines()[1].split(",")[0]) // 10**9
        assert "/date=20" in path and "/hour=" in path and "/north-20" in path, path
        # The name is of the time when the first record came, not before its first packet.
        date = subprocess.run(["date", "-u", f"-d@{first}", "+date=%Y-%m-%d"],
                              capture_output=True, check=True).stdout.decode().strip()
        assert date in path, (date, path)


def test_mistakes_in_the_options_are_told():
    for arguments, says in (
            (["--archive-rotate=1.5s", "--archive=x"], "whole seconds"),
            (["--archive-rotate=1h,5", "--archive=x"], "at least 1MiB"),
            (["--archive-flush=1", "--archive=x"], "such as 5s"),
            (["--archive-sync=often", "--archive=x"], "none, close or flush"),
            (["--archive-level=20", "--archive=x"], "from 1 to 19"),
            (["--retain=30d"], "add --archive"),
            (["--retain=5", "--archive=x"], "30d,500GiB"),
            (["--retain=1m", "--archive=x"], "shorter --archive-rotate"),
            (["--sensor=a/b", "--archive=x"], "such as ab"),
            (["--archive="], "name of a folder")):
        text = tap.weir(*arguments, own("ping.pcap"), status=2).stderr.decode()
        assert says in text, text
    assert not os.path.exists("x")


def test_a_folder_that_cannot_be_is_told():
    text = tap.weir("--archive=/nowhere/at/all", own("ping.pcap"), status=1).stderr.decode()
    assert "make the folder above it" in text, text
    with tempfile.NamedTemporaryFile() as file:
        text = tap.weir("--archive", file.name, own("ping.pcap"), status=1).stderr.decode()
        assert "Not a directory" in text, text


def test_two_names_share_a_folder_and_one_name_does_not():
    with folder() as name:
        fifo = f"{name}/capture"
        os.mkfifo(fifo)
        arguments = ["--archive", f"{name}/a", "--ledger=none"]
        with subprocess.Popen([tap.WEIR, "replay", *arguments, "--sensor=one", fifo],
                              stderr=subprocess.PIPE) as first:
            with open(fifo, "wb") as pipe:
                until(lambda: os.path.exists(f"{name}/a/.one.lock"), "the lock")
                text = tap.weir(*arguments, "--sensor=one", own("ping.pcap"), status=1).stderr
                assert f"another weir (process {first.pid}) writes there".encode() in text, text
                tap.weir(*arguments, "--sensor=two", own("ping.pcap"))
                with open(own("ping.pcap"), "rb") as capture:
                    pipe.write(capture.read())
            assert first.wait(60) == 0
        names = sorted(os.path.basename(path).split("-")[0] for path in files_of(f"{name}/a"))
        assert names == ["one", "two"], names


def test_live_the_archive_is_written_from_inside_the_sandbox():
    with Line() as line, folder() as name:
        name = f"{name}/a"
        with Weir(line, "b", "--port=vb0", "--idle-timeout=1s", "--archive", name,
                  "--sensor=live", "--archive-rotate=1s", "--archive-flush=100ms",
                  "--filter=net 10.0.0.0/8") as weir:
            until(lambda: "sandbox: user" in weir.text("err"), "the sandbox")
            assert os.stat(name).st_uid == NOBODY
            for begin in (0, 100):
                line.send("a", "va0", [ipv4_udp(i) for i in range(begin, begin + 100)])
                until(lambda: len(dump(name)) == begin + 100, "the records")
                until(lambda: len(closed(name)) >= begin // 100 + 1, "a file to be closed")
            assert "archive" not in weir.text("err"), weir.text("err")
            ledger = weir.stop()
        sink = sink_of(ledger, "archive ")
        assert sink["records"] == sink["sent"] == 200, sink
        assert sorted(dump(name)) == sorted(f"10.0.0.{i}" for i in range(200))
        assert len(closed(name)) == len(files_of(name)) >= 2, files_of(name)
        assert all(os.stat(path).st_uid == NOBODY for path in files_of(name))


def test_live_a_folder_that_the_user_cannot_write_to_is_told_with_the_remedy():
    with Line() as line, folder() as name:
        fails(1, f"'chown -R {NOBODY} {name}' lets it", "--port=vb0", "--archive", name,
              line=line)
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o755
        # The lock that root made is all, and in nobody's way.
        assert [os.path.splitext(path)[1] for path in files_of(name)] == [".lock"]
        # And it is one.
        os.chown(name, NOBODY, NOBODY)
        with Weir(line, "b", "--port=vb0", "--archive", name) as weir:
            weir.stop()


def test_live_what_a_kill_leaves_the_next_start_closes():
    with Line() as line, folder() as name:
        arguments = ["--port=vb0", "--idle-timeout=1s", "--archive", f"{name}/a",
                     "--sensor=live", "--archive-flush=100ms", "--filter=net 10.0.0.0/8"]
        for round_ in range(3):
            with Weir(line, "b", *arguments) as weir:
                begin = round_ * 50
                line.send("a", "va0", [ipv4_udp(i) for i in range(begin, begin + 50)])
                until(lambda: len(dump(f"{name}/a")) == begin + 50, "the records")
                weir.process.send_signal(signal.SIGKILL)
                weir.process.wait(20)
            assert any(path.endswith(".part") for path in files_of(f"{name}/a"))
        with Weir(line, "b", *arguments) as weir:
            until(lambda: "50 records that an earlier run had flushed" in weir.text("err"),
                  "the recovery")
            weir.stop()
        assert sorted(dump(f"{name}/a")) == sorted(f"10.0.0.{i}" for i in range(150))
        assert len(closed(f"{name}/a")) == len(files_of(f"{name}/a")) == 3


@contextlib.contextmanager
def small_disk(where, size):
    os.mkdir(where)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "none", where],
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise tap.Skip(f"no file system can be mounted: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", where], check=True)


def fill(disk):
    with open(f"{disk}/filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)) > 0:
            pass


def test_live_a_full_disk_costs_no_packet_and_no_record_and_is_told_once():
    with Line() as line, folder() as name, small_disk(f"{name}/disk", "1m"):
        archive = f"{name}/disk/a"
        with Weir(line, "b", "--port=vb0", "--idle-timeout=1s", "--archive", archive,
                  "--archive-flush=50ms", "--filter=net 10.0.0.0/8") as weir:
            fill(f"{name}/disk")
            line.send("a", "va0", [ipv4_udp(i) for i in range(250)])
            until(lambda: "No space left on device; records wait" in weir.text("err"), "the disk")
            line.send("a", "va0", [ipv4_udp(i) for i in range(250, 500)])
            os.remove(f"{name}/disk/filler")
            until(lambda: "writing again; 0 records were lost" in weir.text("err"), "room")
            until(lambda: len(dump(archive)) == 500, "the records")
            ledger = weir.stop()
        sink = sink_of(ledger, "archive ")
        assert ledger["metered"]["packets"] == 500, ledger
        assert sink["records"] == sink["sent"] == 500, sink
        assert len(dump(archive)) == 500


def test_a_replay_to_a_disk_that_stays_full_ends_and_counts():
    if os.geteuid() != 0:
        raise tap.Skip("needs root")
    with folder() as name, small_disk(f"{name}/disk", "64k"):
        fill(f"{name}/disk")
        done = tap.weir("--archive", f"{name}/disk/a", "--ledger=json", own("web.pcap"), status=1)
        text = done.stderr.decode()
        assert "No space left on device" in text and "records lost; see the ledger" in text, text
        assert text.count("No space left") == 1, text
        sink = sink_of(tap.ledger_of(done.stdout), "archive ")
        assert sink["sent"] == 0 and sink["lost"]["write_error"] == sink["records"] > 0, sink


if __name__ == "__main__":
    assert DUMP
    tap.run_module(globals())
