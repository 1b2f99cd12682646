"""What tests of the live sensor share: network namespaces, senders, and weir run itself."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from collect import need, tap, until

STOP_S = 5  # within which a stop is to be done, sanitizers apart
SLOW = 4 if os.environ.get("WEIR_SANITIZED") == "1" else 1


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options)


def need_namespaces():
    """Skips the test where namespaces cannot be made."""
    if os.geteuid() != 0:
        raise tap.Skip("needs root, to make network namespaces")
    for program in ("ip", "ethtool", "tcpdump"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise tap.Skip(f"{program} is not installed")
    name = f"weir-test-{os.getpid()}-x"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        raise tap.Skip("the kernel makes no network namespaces here")
    run("ip", "netns", "delete", name)


class Line:
    """Two namespaces, `a` and `b`, joined by `n` veth pairs va0-vb0, va1-vb1 ..., with addresses
    192.0.2.1 and .2, 2001:db8::1 and ::2 on the first. Offloads are off: with them the kernel
    hands segments of 64 KiB to whoever listens, which were never on a line."""

    def __init__(self, n=1):
        need_namespaces()
        self.names = {side: f"weir-test-{os.getpid()}-{side}" for side in "ab"}
        self.n = n

    def __enter__(self):
        for side in "ab":
            run("ip", "netns", "add", self.names[side])
            # No router solicitations, and other chatter in the midst of a test.
            self.exec(side, "sysctl", "-qw", "net.ipv6.conf.default.router_solicitations=0",
                      "net.ipv6.conf.default.accept_dad=0")
            self.ip(side, "link", "set", "lo", "up")
        for i in range(self.n):
            self.ip("a", "link", "add", f"va{i}", "type", "veth", "peer", f"vb{i}", "netns",
                    self.names["b"])
            for number, side in enumerate("ab", 1):
                interface = f"v{side}{i}"
                self.exec(side, "ethtool", "-K", interface, "gro", "off", "gso", "off", "tso",
                          "off", "tx", "off", "rx", "off", "txvlan", "off", "rxvlan", "off")
                if i == 0:
                    self.ip(side, "address", "add", f"192.0.2.{number}/24", "dev", interface)
                    self.ip(side, "address", "add", f"2001:db8::{number}/64", "dev", interface,
                            "nodad")
                self.ip(side, "link", "set", interface, "up")
        return self

    def __exit__(self, *_):
        for side in "ab":
            subprocess.run(["ip", "netns", "delete", self.names[side]], capture_output=True)

    def prefix(self, side):
        return ["ip", "netns", "exec", self.names[side]]

    def exec(self, side, *command, **options):
        return run(*self.prefix(side), *command, **options)

    def ip(self, side, *arguments):
        run("ip", "-n", self.names[side], *arguments)

    def start(self, side, *command, **options):
        return subprocess.Popen([*self.prefix(side), *command], stdin=subprocess.DEVNULL,
                                **options)

    def socket(self, side, *arguments):
        """A socket that lives in the namespace."""
        made = []

        def make():
            with open(f"/run/netns/{self.names[side]}", "rb") as file:
                setns(file)
            made.append(socket.socket(*arguments))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    def send(self, side, interface, frames, rate=20000):
        """Sends frames as they are, no faster than `rate` a second."""
        with self.socket(side, socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((interface, 0))
            begun = time.monotonic()
            for n, frame in enumerate(frames, 1):
                sender.send(frame)
                if n % 64 == 0:
                    ahead = n / rate - (time.monotonic() - begun)
                    if ahead > 0:
                        time.sleep(ahead)


def setns(file):
    """Moves the calling thread; Python 3.11 has no function for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(file.fileno(), 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Tcpdump:
    """Records an interface for the time of a `with`; `path` is the capture."""

    def __init__(self, line, side, interface, *arguments):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-tcpdump-")
        self.path = os.path.join(self.folder.name, "capture.pcap")
        self.process = line.start(
            side, need("tcpdump"), "-i", interface, "--time-stamp-precision=nano", "-U", "-Z",
            "root", "-B", "65536", "-w", self.path, *arguments,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        assert b"listening" in self.process.stderr.readline()
        return self

    def stop(self):
        """tcpdump reads what the kernel hands over within a second."""
        time.sleep(1.2)
        self.process.send_signal(signal.SIGINT)
        said = self.process.stderr.read().decode()
        self.process.wait(20)
        assert "\n0 packets dropped by kernel" in said, said

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self.folder.cleanup()


class Weir:
    """weir run, for the time of a `with`; `program` is another that is weir and more."""

    def __init__(self, line, side, *arguments, environment=None, program=None):
        prefix = line.prefix(side) if line is not None else []
        self.folder = tempfile.TemporaryDirectory(prefix="weir-run-")
        self.files = {name: os.path.join(self.folder.name, name) for name in ("out", "err")}
        with open(self.files["out"], "wb") as out, open(self.files["err"], "wb") as err:
            self.process = subprocess.Popen(
                [*prefix, program or tap.WEIR, "run", "--ledger=json", *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=os.environ | (environment or {}))

    def text(self, name):
        with open(self.files[name], encoding="utf-8", errors="replace") as file:
            return file.read()

    def __enter__(self):
        try:
            until(lambda: "metering" in self.text("err") or self.process.poll() is not None,
                  "weir run to begin")
            if self.process.poll() is not None:
                raise AssertionError(self.text("err"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def records(self):
        return [json.loads(line) for line in self.text("out").splitlines()
                if line.startswith("{\"") and line.endswith("}") and "src_addr" in line]

    def stop(self, number=signal.SIGTERM, status=0):
        """Ends it and returns its ledger, which must be whole."""
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.wait(begun, status)

    def wait(self, begun, status=0):
        self.process.wait(60)
        took = time.monotonic() - begun
        text = self.text("out") + self.text("err")
        assert self.process.returncode == status, (self.process.returncode, self.text("err"))
        assert took < STOP_S * SLOW, f"the stop took {took:.1f} s"
        ledger = tap.ledger_of(text.encode())
        assert ledger["balanced"], text
        reasons = sum(r["packets"] for r in ledger["not_metered"].values())
        assert ledger["received"]["packets"] == ledger["metered"]["packets"] + reasons, ledger
        assert ledger["cached_flows"] == 0, ledger
        return ledger

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()
