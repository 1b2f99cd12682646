"""Receivers of NetFlow for the tests, and what weir says of the same capture by itself."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap

WAIT_S = 20

# For the programs of others: Meson fills freed memory to find our mistakes, and nfdump 1.7.1
# prints some of it.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "MALLOC_PERTURB_"} | {"TZ": "UTC"}


def own(name):
    return os.path.join(tap.CAPTURES, name)


def free_port(family=socket.AF_INET):
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def need(program):
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin")
    if path is None:
        raise AssertionError(f"{program} is not installed")
    return path


def until(condition, what, wait_s=WAIT_S):
    deadline = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {wait_s} s in vain for {what}")
        time.sleep(0.05)


def printed(*arguments):
    """The records as weir prints them, one dictionary each."""
    done = tap.weir("--print=json", "--ledger=none", *arguments)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Nfcapd:
    """Debian's collector, on loopback, for the time of a `with`."""

    def __init__(self, host="127.0.0.1", prefix=(), port=None):
        self.host = host
        self.prefix = list(prefix)  # of its command, such as another network namespace
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.port = port or (2055 if prefix else free_port(family))
        self.folder = tempfile.TemporaryDirectory(prefix="weir-nfcapd-")
        self.log = ""

    @property
    def destination(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __enter__(self):
        log = open(os.path.join(self.folder.name, "log"), "wb")
        self.process = subprocess.Popen(
            [*self.prefix, need("nfcapd"), "-w", self.folder.name, "-b", self.host,
             "-p", str(self.port), "-B", "4000000", "-t", "3600", "-I", "test"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT,
        )
        log.close()
        until(self.socket, "nfcapd's socket")
        return self

    def socket(self):
        """The columns that ss shows of its socket; the second is what waits to be read."""
        done = subprocess.run([*self.prefix, need("ss"), "-Hlun", f"sport = :{self.port}"],
                              capture_output=True, check=True)
        return done.stdout.split()

    def stop(self):
        """Ends it, once it has read everything, and returns its records."""
        until(lambda: self.socket()[1] == b"0", "nfcapd to read what it was sent")
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT_S)
        with open(os.path.join(self.folder.name, "log"), encoding="utf-8") as file:
            self.log = file.read()
        name = next(n for n in os.listdir(self.folder.name) if n.startswith("nfcapd.2"))
        done = subprocess.run(
            [need("nfdump"), "-r", os.path.join(self.folder.name, name), "-o", "json"],
            capture_output=True, check=True, env=ENVIRONMENT,
        )
        return json.loads(done.stdout or b"[]")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


class Datagrams:
    """Collects the datagrams of a replay as they are, for the time of a `with`."""

    def __init__(self, n=1):
        self.sockets = []
        for _ in range(n):
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(0.2)
            self.sockets.append(receiver)
        self.received = [[] for _ in range(n)]
        self.done = False

    def port(self, i=0):
        return self.sockets[i].getsockname()[1]

    def destination(self, i=0):
        return f"127.0.0.1:{self.port(i)}"

    def receive(self, i):
        while True:
            try:
                self.received[i].append(self.sockets[i].recv(65535))
            except TimeoutError:
                if self.done:
                    return

    def __enter__(self):
        self.threads = [
            threading.Thread(target=self.receive, args=(i,)) for i in range(len(self.sockets))
        ]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        for thread in self.threads:
            thread.join()
        for receiver in self.sockets:
            receiver.close()


def datagrams_of(*arguments):
    with Datagrams() as receiver:
        tap.weir("--collector", receiver.destination(), "--ledger=none", *arguments)
    return receiver.received[0]


def write_pcap(path, datagrams, port):
    """The datagrams as a capture, for programs that read those: raw IP, RFC 791 and 768."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for n, payload in enumerate(datagrams):
            udp = struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), n & 0xFFFF, 0, 64, 17, 0,
                             b"\x7f\0\0\1", b"\x7f\0\0\1")
            total = sum(struct.unpack("!10H", ip))
            total = (total & 0xFFFF) + (total >> 16)
            ip = ip[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + ip[12:]
            file.write(struct.pack("<IIII", 1800000000 + n, 0, len(ip + udp), len(ip + udp)))
            file.write(ip + udp)
