#!/usr/bin/python3
"""weir as a service: what it tells a manager by the protocol of sd_notify(3), and its units."""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from collect import tap
from live import Line, Weir

UNITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/systemd")
MOST_EXPOSURE = 2.5
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WATCHDOG_S = 2
METRICS = """import sys, urllib.request
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=10).read().decode())"""


class Manager:
    """Receives what a service says."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-notify-")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.folder.name, "notify")
        self.socket.bind(path)
        # weir becomes another user.
        os.chmod(self.folder.name, 0o755)
        os.chmod(path, 0o777)
        self.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(WATCHDOG_S * 1000000)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.folder.cleanup()

    def wait_for(self, word, seconds=20):
        """The first message with this word in it; None if there is none in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                message = self.socket.recv(4096).decode()
            except TimeoutError:
                break
            if word in message:
                return message
        return None


def ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def reading_thread(pid):
    """The thread of nice -10 is the one that reads ports."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        if os.getpriority(os.PRIO_PROCESS, int(thread)) == -10:
            return int(thread)
    raise AssertionError("no thread has nice -10")


def test_a_manager_hears_that_weir_is_ready_lives_and_stops():
    with Line() as line, Manager() as manager:
        with Weir(line, "b", "--port=vb0", environment=manager.environment) as weir:
            assert manager.wait_for("READY=1")
            for _ in range(2):
                assert manager.wait_for("WATCHDOG=1")
            weir.stop()
            assert manager.wait_for("STOPPING=1", 1)


def test_weir_does_not_say_that_it_lives_while_a_thread_that_reads_hangs():
    with Line() as line, Manager() as manager:
        # As one that a namespace's `ip` executes, weir has its own number.
        with Weir(line, "b", "--port=vb0", "--no-sandbox",
                  environment=manager.environment) as weir:
            assert manager.wait_for("WATCHDOG=1")
            thread = reading_thread(weir.process.pid)
            try:
                ptrace(PTRACE_SEIZE, thread)
            except OSError as error:
                raise tap.Skip(f"no thread can be held: {error}") from error
            ptrace(PTRACE_INTERRUPT, thread)
            os.waitpid(thread, 0x40000000)  # __WALL
            # What it had said before, and one more for a round that was over.
            manager.wait_for("WATCHDOG=1", 1.5)
            assert manager.wait_for("WATCHDOG=1", 2 * WATCHDOG_S) is None
            ptrace(PTRACE_DETACH, thread)
            assert manager.wait_for("WATCHDOG=1")
            weir.stop()


def test_without_a_manager_weir_runs_as_ever():
    with Line() as line:
        with Weir(line, "b", "--port=vb0", environment={"NOTIFY_SOCKET": ""}) as weir:
            weir.stop()
        with Weir(line, "b", "--port=vb0", environment={"NOTIFY_SOCKET": "nonsense"}) as weir:
            assert "NOTIFY_SOCKET" in weir.text("err")
            weir.stop()


def test_two_run_side_by_side_each_with_its_socket_and_http_port():
    with Line(2) as line, tempfile.TemporaryDirectory(prefix="weir-two-") as folder, \
            contextlib.ExitStack() as stack:
        both = []
        for i in range(2):
            path = os.path.join(folder, f"{i}.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"capture: {{ports: [vb{i}]}}\n"
                           f"serve: {{socket: {folder}/{i}.sock, http: {9481 + i}}}\n")
            both.append(stack.enter_context(
                Weir(line, "b", f"--instance=test{i}", "--config", path)))
        for i, weir in enumerate(both):
            shown = line.exec("b", tap.WEIR, "top", "--once", "--json", "--interval=200ms",
                              "--socket", f"{folder}/{i}.sock").stdout
            assert shown.startswith(b"{"), shown
            metrics = line.exec("b", sys.executable, "-c", METRICS, str(9481 + i)).stdout.decode()
            assert f'port="vb{i}"' in metrics and f'port="vb{1 - i}"' not in metrics, metrics
            assert "error" not in weir.text("err"), weir.text("err")
        for weir in both:
            weir.stop()


def settings(name):
    with open(os.path.join(UNITS, name), encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def test_an_instance_is_as_the_service_but_for_its_names():
    service, instance = settings("weir.service"), settings("weir@.service")
    assert len(service) == len(instance)
    assert [a.split("=")[0] for a, b in zip(service, instance) if a != b] == [
        "Description", "ExecStartPre", "ExecStart", "ExecReload"]


def test_systemd_finds_little_exposure():
    if shutil.which("systemd-analyze") is None:
        raise tap.Skip("systemd-analyze is not installed")
    for name in ("weir.service", "weir@.service"):
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager",
             f"--threshold={MOST_EXPOSURE * 10:.0f}", os.path.join(UNITS, name)],
            capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, (done.stdout.splitlines()[-1:], done.stderr)
        assert "Overall exposure level" in done.stdout, done.stdout


if __name__ == "__main__":
    tap.run_module({n: f for n, f in globals().items() if n.startswith("test_")})
