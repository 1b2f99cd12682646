#!/usr/bin/python3
"""weir top beside a real weir run: what it prints equals the ledger, what it shows on a terminal
(tmux) at several sizes, how it ends, and that nobody who asks at the socket harms the sensor."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from collect import need, tap, until
from live import Line, Weir
from run_test import ipv4_udp

FRAMES = 300


def top(path, *arguments, status=0, **options):
    done = subprocess.run([tap.WEIR, "top", "--socket", path, *arguments], check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, **options)
    assert done.returncode == status, (arguments, done)
    return done


def once(path, *arguments):
    return json.loads(top(path, "--once", "--json", "--interval=100ms", *arguments).stdout)


@contextlib.contextmanager
def sensor(*arguments):
    with tempfile.TemporaryDirectory(prefix="weir-top-") as folder, Line() as line:
        path = f"{folder}/weir.sock"
        with Weir(line, "b", "--port=vb0", "--socket", path, "--http=none",
                  "--filter=net 10.0.0.0/8", *arguments) as weir:
            yield line, weir, path


def send(line, n=FRAMES, **options):
    line.send("a", "va0", [ipv4_udp(i % 30) for i in range(n)], **options)


@contextlib.contextmanager
def traffic(line):
    """Packets all the time."""
    stop = threading.Event()

    def run():
        while not stop.is_set():
            send(line, 200, rate=2000)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_what_it_prints_equals_the_ledger():
    with sensor("--workers=2", "--idle-timeout=1s", "--print=json") as (line, weir, path):
        send(line)
        told = {}
        until(lambda: told.update(once(path)) or told["sinks"][0]["sent"] == 30, "the records")
        assert told["cached_flows"] == 0 and told["cache_capacity"] == 1048576, told
        ledger = weir.stop()
        for name in ("metered", "metered_octets", "records", "records_by_end", "records_lost",
                     "record_packets", "record_octets", "lateness"):
            assert told[name] == ledger[name], (name, told[name], ledger[name])
        assert told["metered"]["packets"] == FRAMES
        # Other hosts' chatter may come later.
        assert told["received"]["packets"] >= FRAMES
        assert told["not_metered"].keys() == ledger["not_metered"].keys()
        assert [s["sent"] for s in told["sinks"]] == [s["sent"] for s in ledger["sinks"]] == [30]
        assert sum(w["packets"] for w in told["workers"]) == FRAMES
        assert told["version"] in subprocess.run([tap.WEIR, "version"], capture_output=True,
                                                 check=True).stdout.decode()


def test_rates_and_tables_are_of_what_moves():
    with sensor() as (line, weir, path), traffic(line):
        told = {}
        until(lambda: told.update(once(path, "--interval=300ms")) or told["packets_per_s"] > 500,
              "packets")
        assert 500 < told["metered_packets_per_s"] < 4000, told
        assert told["cached_flows"] == 30, told
        tables = told["top"]
        assert len(tables["sources"]) == 10 and len(tables["flows"]) == 10
        assert tables["destinations"][0]["addr"] == "198.51.100.1"
        assert tables["destinations"][0]["flows"] == 30
        assert tables["ports"][0]["port"] == 1000 and tables["ports"][0]["proto"] == 17
        # What a flow moves adds up to what the sensor meters; both are of about the same time.
        moved = tables["destinations"][0]["packets_per_s"]
        assert 0.5 < moved / told["metered_packets_per_s"] < 2, told
        only = once(path, "--filter=10.0.0.7 udp", "--rows=50")["top"]
        assert [row["addr"] for row in only["sources"]] == ["10.0.0.7"], only
        text = top(path, "--once", "--interval=100ms", "--rows=3").stdout.decode()
        assert len(re.findall(r"^10\.0\.0\.\d+ +\S+ +\S+ +1 ", text, re.M)) == 3, text
        assert max(map(len, text.splitlines())) <= 80, text
        lines = subprocess.Popen(
            [tap.WEIR, "top", "--socket", path, "--json", "--interval=100ms"],
            stdout=subprocess.PIPE)
        with lines:
            assert all("top" in json.loads(lines.stdout.readline()) for _ in range(3))
            lines.send_signal(signal.SIGINT)
            assert lines.wait(20) == 128 + signal.SIGINT
        weir.stop()


def test_no_sensor_is_told_with_the_place_and_the_remedy():
    with tempfile.TemporaryDirectory(prefix="weir-top-") as folder:
        absent, dead = f"{folder}/absent.sock", f"{folder}/dead.sock"
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(dead)
        for path in (absent, dead):
            for how in ("--once", "--json"):
                said = top(path, how, status=1).stderr.decode()
                assert said.count("\n") == 1 and path in said and "weir run" in said, said
        # Somebody else.
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(f"{folder}/other.sock")
            other.listen()

            def answer():
                client, _ = other.accept()
                with client:
                    client.recv(100)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            said = top(f"{folder}/other.sock", "--once", status=1).stderr.decode()
            thread.join()
            assert "not of this version" in said, said


def test_mistakes_are_told():
    for arguments, says in (
            ([], "needs a terminal; --once and --json do without"),
            (["--interval=1"], "such as 1s"),
            (["--interval=10ms"], "from 100ms to 1h"),
            (["--sort=size"], "bits, packets or flows"),
            (["--view=all"], "sources, destinations"),
            (["--filter=tpc"], "'tpc' is no address"),
            (["--rows=0"], "from 1 to 1000"),
            (["now"], "takes no arguments")):
        said = top("/nowhere", *arguments, status=2).stderr.decode()
        assert says in said and said.count("\n") == 1, said
    assert b"Exit status" in top("/nowhere", "--help").stdout


def test_who_asks_amiss_is_given_up_and_the_sensor_goes_on():
    with sensor() as (line, weir, path), contextlib.ExitStack() as stack:
        def client(text):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(20)
            sock.connect(path)
            sock.sendall(text)
            return sock

        for text in (b"flow\n", b"active 1 2 99999999\n", b"a" * 100, b"status\0\n", b"\n"):
            with contextlib.suppress(ConnectionResetError):
                assert client(text).recv(1) == b"", text
        # One who does not end his line; others wait meanwhile.
        silent = client(b"stat")
        begun = time.monotonic()
        send(line)
        told = {}
        until(lambda: told.update(once(path)) or told["metered"]["packets"] == FRAMES, "packets")
        assert silent.recv(1) == b""
        assert time.monotonic() - begun < 10
        for _ in range(100):
            assert client(b"status\n").recv(4) == b"weir"
        assert weir.stop()["metered"]["packets"] == FRAMES


class Terminal:
    """A terminal with a shell in it, by a tmux server of its own."""

    def __init__(self, cols, rows, **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-tmux-")
        self.command = [need("tmux"), "-S", f"{self.folder.name}/socket", "-f", "/dev/null"]
        environment = {"LANG": "C.UTF-8", "PS1": "$ "} | environment
        self.tmux("new-session", "-d", "-x", str(cols), "-y", str(rows), "sh",
                  env=os.environ | environment)

    def tmux(self, *arguments, **options):
        return subprocess.run([*self.command, *arguments], check=True, capture_output=True,
                              timeout=20, **options).stdout.decode()

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def size(self, cols, rows):
        self.tmux("resize-window", "-x", str(cols), "-y", str(rows))

    def text(self, *arguments):
        return self.tmux("capture-pane", "-p", *arguments)

    def see(self, *texts):
        seen = []

        def look():
            seen[:] = [self.text()]
            return all(text in seen[0] for text in texts)

        try:
            until(look, f"{texts} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{seen[0]}") from error
        return seen[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")
        self.folder.cleanup()


def start(terminal, path, *arguments):
    command = " ".join([os.path.abspath(tap.WEIR), "top", "--interval=200ms", "--socket", path,
                        *arguments])
    terminal.keys("stty -g > before; " + command + "; echo ended $?; stty -g | cmp - before && "
                  "echo restored", "Enter")


def test_on_a_terminal_it_fits_every_size_and_leaves_it_as_it_was():
    with sensor() as (line, weir, path), traffic(line), Terminal(80, 24) as terminal:
        terminal.keys(f"cd {os.path.dirname(path)}", "Enter")
        start(terminal, path)
        text = terminal.see("packets ", "SOURCE ADDRESS", "10.0.0.", "q quit", "1 sources")
        lines = text.splitlines()
        assert len(lines) == 24 and max(map(len, lines)) <= 80, text
        assert lines[0].startswith("weir ") and "worker" in text and "not metered" in text, text
        assert "\x1b[" in terminal.text("-e"), "no style"
        terminal.keys("5")
        terminal.see("FLOW", "udp   10.0.0.")
        terminal.keys("?")
        terminal.see("weir top: keys", "quit", "filter")
        terminal.keys("Escape")
        terminal.keys("1", "f")
        terminal.keys("10.0.0.7", "Enter")
        text = terminal.see("SOURCE ADDRESS (10.0.0.7)")
        assert "10.0.0.8" not in text, text
        terminal.keys("p")
        terminal.see("PAUSED")
        terminal.size(40, 10)
        text = terminal.see("1 sources 2 3", "PAUSED")
        assert len(text.splitlines()) == 10 and max(map(len, text.splitlines())) <= 40, text
        terminal.keys("p")
        terminal.size(100, 30)
        terminal.see("6 sensor", "not metered", "10.0.0.7 ")
        terminal.keys("q")
        terminal.see("ended 0", "restored")
        start(terminal, path)
        terminal.see("q quit")
        terminal.keys("C-c")
        terminal.see("ended 130", "restored")
        weir.stop()


def test_a_sensor_that_is_killed_ends_it_and_it_says_why():
    with sensor() as (_, weir, path), Terminal(80, 24, LANG="C", NO_COLOR="1") as terminal:
        terminal.keys(f"cd {os.path.dirname(path)}", "Enter")
        start(terminal, path)
        terminal.see("[..........]", "no flow moved")
        assert not re.search("\x1b\\[[0-9;]*3[0-7]", terminal.text("-e")), "a colour"
        weir.process.kill()
        weir.process.wait()
        terminal.see("the sensor is lost: ", "ended 1", "restored")


if __name__ == "__main__":
    tap.run_module(globals())
