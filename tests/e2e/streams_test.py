#!/usr/bin/python3
"""weir without a terminal, with a poor one, and with standard streams that fail: closed, a full disk,
a reader that goes away. Every command ends with a status and a line that says why."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import tempfile
import termios

from collect import own, tap


def start(*arguments, **options):
    return subprocess.Popen([tap.WEIR, *arguments], **{"stdin": subprocess.DEVNULL} | options)


def run(*arguments, **options):
    """(status, standard error) of weir whose standard output goes elsewhere."""
    process = start(*arguments, stderr=subprocess.PIPE, **options)
    _, err = process.communicate(timeout=60)
    return process.returncode, err.decode()


def closed(*fds):
    def close():
        for fd in fds:
            os.close(fd)
    return close


@contextlib.contextmanager
def archive():
    with tempfile.TemporaryDirectory(prefix="weir-streams-") as folder:
        assert run("replay", "--archive", folder, "--ledger=none", own("web.pcap"))[0] == 0
        yield folder


def printing(folder):
    """Of every command one that prints."""
    config = os.path.join(folder, "weir.yaml")
    with open(config, "w", encoding="utf-8") as file:
        file.write("capture:\n  ports: [eth1]\n")
    own_archive = ("--archive", folder)
    return [
        ("--help",), ("--version",), ("help", "run"), ("version",), ("version", "--json"),
        ("run", "--help=all"), ("show-config", "--example"), ("show-config", "--json"),
        ("check-config", config), ("doctor",), ("doctor", "--json"), ("top", "--help"),
        ("replay", own("web.pcap")), ("replay", "--ledger=none", "--print=json", own("web.pcap")),
        ("archive", "ls", *own_archive), ("archive", "verify", *own_archive),
        ("query", *own_archive, "--top=src_addr"),
        ("query", *own_archive, "--format=csv", "SELECT * FROM flows"),
        ("query", *own_archive, "--timeseries=1s", "--format=chart"),
        ("export", *own_archive, "--to=csv"), ("export", *own_archive, "--to=text"),
    ]


def test_a_full_disk_behind_standard_output_is_an_error():
    with archive() as folder, open("/dev/full", "wb") as full:
        for arguments in printing(folder):
            status, err = run(*arguments, stdout=full)
            assert status == 1 and ("No space left" in err or "not all" in err), (arguments, err)


def test_a_reader_that_goes_away_is_an_error_and_no_crash():
    with archive() as folder:
        for arguments in printing(folder):
            reader, writer = os.pipe()
            os.close(reader)
            status, err = run(*arguments, stdout=writer)
            os.close(writer)
            assert status == 1 and ("Broken pipe" in err or "not all" in err), (arguments, err)


def test_closed_streams_are_no_place_for_files():
    with archive() as folder:
        for arguments in printing(folder):
            status, err = run(*arguments, stdout=subprocess.PIPE, preexec_fn=closed(1))
            assert status == 1 and err, (arguments, err)
            status, _ = run(*arguments, stdout=subprocess.DEVNULL, preexec_fn=closed(0, 2))
            assert status == 0 or (arguments[0] == "doctor" and status == 1), arguments
        # What is printed must not be in the archive, which is opened next.
        other = os.path.join(folder, "other")
        run("replay", "--archive", other, own("web.pcap"), preexec_fn=closed(0, 1, 2))
        assert run("archive", "verify", "--archive", other, stdout=subprocess.DEVNULL) == (0, "")


@contextlib.contextmanager
def sensor():
    with tempfile.TemporaryDirectory(prefix="weir-streams-") as folder:
        path = os.path.join(folder, "weir.sock")
        process = start("run", "--port=vdev:net_ring0", "--socket", path, "--http=none",
                        "--cache-entries=1000", "--no-sandbox", stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE)
        try:
            for line in process.stderr:
                if b"metering" in line:
                    break
            yield path
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()


def on_terminal(rows, cols, *arguments, keys=b"", **environment):
    """(status, what is on the terminal) of weir on a terminal of its own."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("TERM", "NO_COLOR", "LC_ALL", "LANG")}
    process = start(*arguments, stdin=slave, stdout=slave, stderr=slave, env=kept | environment,
                    start_new_session=True)
    os.close(slave)
    said = b""
    try:
        while True:
            said += os.read(master, 65536)
            if keys and len(said) > 20:
                os.write(master, keys)
                keys = b""
    except OSError:  # EIO: nobody has it open any more
        pass
    finally:
        os.close(master)
        process.wait(timeout=60)
    return process.returncode, said.decode(errors="replace")


def test_a_terminal_that_cannot_do_it_is_told_so():
    with sensor() as path:
        for environment in ({}, {"TERM": "dumb"}, {"TERM": "no-such-terminal"}):
            status, said = on_terminal(24, 80, "top", "--socket", path, **environment)
            assert status == 1 and "set TERM, or use --once" in said, (environment, said)
        for out in (subprocess.PIPE, subprocess.DEVNULL):
            status, err = run("top", "--socket", path, stdout=out)
            assert status == 2 and "needs a terminal" in err, err


def test_top_is_at_home_on_every_size_and_in_every_locale():
    with sensor() as path:
        for rows, cols in ((1, 1), (2, 10), (24, 80), (200, 500), (0, 0)):
            for environment in ({"LANG": "C"}, {"LC_ALL": "C.UTF-8"},
                                {"LC_ALL": "no_SUCH.locale", "NO_COLOR": "1"}):
                status, said = on_terminal(rows, cols, "top", "--socket", path, keys=b"q",
                                           TERM="xterm-256color", **environment)
                assert status == 0, (rows, cols, environment, status, said)
                if "LC_ALL" not in environment or "NO_COLOR" in environment:
                    assert said.isascii(), (environment, said)
                if "NO_COLOR" in environment:
                    assert not re.search("\x1b\\[[0-9;]*[34][0-7]m", said), said
        for arguments in (("--once",), ("--json", "--once")):
            with open("/dev/full", "wb") as full:
                status, err = run("top", "--socket", path, *arguments, stdout=full)
                assert status == 1 and "standard output" in err, err


def test_charts_and_progress_need_no_more_than_a_carriage_return():
    with archive() as folder:
        for rows, cols in ((1, 1), (2, 10), (24, 80), (0, 0)):
            for environment in ({}, {"TERM": "dumb"}, {"TERM": "xterm", "LC_ALL": "C.UTF-8"}):
                for arguments in (("--timeseries=1s",), ("--top=src_addr",)):
                    status, said = on_terminal(rows, cols, "query", "--archive", folder,
                                               "--progress=always", *arguments, **environment)
                    assert status == 0 and "\x1b" not in said, (rows, cols, said)
        status, said = on_terminal(24, 80, "replay", own("web.pcap"))
        assert status == 0 and "\x1b" not in said, said


if __name__ == "__main__":
    tap.run_module(globals())
