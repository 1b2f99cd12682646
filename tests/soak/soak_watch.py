"""Who watches weir through a soak: its memory, descriptors and threads; whoever scrapes its metrics
each second; weir top, once and on a terminal; and what the archive's files hold before they go."""

import contextlib
import fcntl
import http.client
import json
import os
import pty
import re
import statistics
import struct
import subprocess
import termios
import threading
import time

from live import setns
from soak_site import tap

SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)$')
ROLLUP = re.compile(r"^(Pss|Anonymous): +(\d+) kB$", re.MULTILINE)
LOOKS = 10
MOST_KEPT = 50  # of failures


def parse(text):
    """The samples of an exposition, by name and labels as they are written."""
    samples = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            samples[name, labels or ""] = float(value)
    return samples


def total(samples, name, label=""):
    return sum(v for (n, labels), v in samples.items() if n == name and label in labels)


def descriptors(pid, archive):
    """How many there are, and how many of them are of files in the archive."""
    folder, names = f"/proc/{pid}/fd", []
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            names.append(os.readlink(os.path.join(folder, name)))
    of_archive = sum(name.startswith(archive + "/date=") for name in names)
    return len(names) - of_archive, of_archive


def look(pid, archive):
    """Memory in KiB, descriptors and threads at this moment."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        memory = {name.lower(): int(kib) for name, kib in ROLLUP.findall(file.read())}
    fds, archive_fds = descriptors(pid, archive)
    return memory | {"fds": fds, "archive_fds": archive_fds,
                     "threads": len(os.listdir(f"/proc/{pid}/task"))}


def calm_look(pid, archive):
    """What most looks within two seconds see: who asks over HTTP or the socket has a
    descriptor for a moment."""
    looks = []
    for _ in range(LOOKS):
        looks.append(look(pid, archive))
        time.sleep(0.2)
    return {name: statistics.mode(l[name] for l in looks) for name in looks[0]}


class Repeating(threading.Thread):
    """Calls `once` every so often; what it raises is a failure, kept with its time."""

    def __init__(self, begun, every_s):
        super().__init__(daemon=True)
        self.begun, self.every_s = begun, every_s
        self.done = threading.Event()
        self.n = 0
        self.failures = []
        self.slowest_s = 0

    def begin(self):
        """On the thread, before all else."""

    def once(self):
        raise NotImplementedError

    def run(self):
        self.begin()
        while not self.done.is_set():
            at = time.monotonic()
            try:
                self.once()
                self.n += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - at)
            except Exception as error:  # pylint: disable=broad-except
                if len(self.failures) < MOST_KEPT:
                    self.failures.append(f"at {at - self.begun:.0f} s: {error!r}")
            self.done.wait(max(0, at + self.every_s - time.monotonic()))

    def end(self):
        self.done.set()
        self.join(60)


class Scraper(Repeating):
    """/metrics each second, in both formats in turn, and the other pages. What counts must never
    count back; the last samples are kept."""

    PAGES = (("/metrics", "text/plain"), ("/healthz", ""),
             ("/metrics", "application/openmetrics-text;version=1.0.0"), ("/readyz", ""))

    def __init__(self, begun, netns):
        super().__init__(begun, 1)
        self.netns = netns
        self.last = {}
        self.backwards = []

    def begin(self):
        with open(f"/run/netns/{self.netns}", "rb") as file:
            setns(file)

    def get(self, path, accept):
        connection = http.client.HTTPConnection("127.0.0.1", 9480, timeout=15)
        try:
            connection.request("GET", path, headers={"Accept": accept, "Connection": "close"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        # While a link is down weir may be not ready; it is never unhealthy.
        if answer.status != 200 and not (path == "/readyz" and answer.status == 503):
            raise AssertionError(f"{path}: {answer.status} {text[:100]}")
        return text

    def once(self):
        for path, accept in self.PAGES:
            text = self.get(path, accept)
            if path != "/metrics":
                continue
            samples = parse(text)
            for key, value in samples.items():
                if key[0].endswith("_total") and value < self.last.get(key, 0) \
                        and len(self.backwards) < MOST_KEPT:
                    self.backwards.append(f"{key}: {self.last[key]:.0f}, then {value:.0f}")
            self.last = samples


class TopOnce(Repeating):
    """weir top --once, as text and as JSON in turn."""

    def __init__(self, begun, site):
        super().__init__(begun, 5)
        self.site = site

    def once(self):
        arguments = ["top", "--once", "--interval=200ms", "--socket", self.site.path["socket"]]
        done = self.site.weir_command(*arguments, *(["--json"] if self.n % 2 else []))
        if done.returncode != 0:
            raise AssertionError(f"weir top ended with {done.returncode}: {done.stderr}")
        if self.n % 2 and not json.loads(done.stdout)["workers"]:
            raise AssertionError("weir top knows of no worker")


class TopOnTerminal(threading.Thread):
    """weir top on a terminal of 100 columns through the whole run. `silence_s` is the longest time
    in which it drew nothing."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [tap.WEIR, "top", "--interval=1s", "--socket", path], stdin=slave, stdout=slave,
            stderr=slave, close_fds=True, start_new_session=True,
            env=os.environ | {"TERM": "xterm", "LANG": "C.UTF-8"})
        os.close(slave)
        self.octets = 0
        self.silence_s = 0
        self.tail = b""

    def run(self):
        heard = time.monotonic()
        while True:
            try:
                got = os.read(self.master, 65536)
            except OSError:
                return
            if not got:
                return
            self.silence_s = max(self.silence_s, time.monotonic() - heard)
            heard = time.monotonic()
            self.octets += len(got)
            self.tail = (self.tail + got)[-4096:]

    def end(self):
        """By its key q. Returns its exit status, or None where it does not end."""
        try:
            if self.process.poll() is None:
                os.write(self.master, b"q")
            return self.process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.join(5)
            os.close(self.master)


class ArchiveWatch(Repeating):
    """How many records each closed file held, and packets in them, before retention took it."""

    def __init__(self, begun, site):
        super().__init__(begun, 5)
        self.site = site
        self.files = {}
        self.parts = 0  # at the last look
        self.most_parts = 0

    def once(self):
        done = self.site.weir_command("archive", "ls", "--json", "--archive",
                                      self.site.path["archive"])
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for row in rows:
            if row["state"] == "closed":
                # One that is gone before it is opened counts 0 records, and was seen before.
                self.files[row["path"]] = max([row["records"], row["packets"]],
                                              self.files.get(row["path"], [0, 0]))
        self.parts = sum(row["state"] == "open" for row in rows)
        self.most_parts = max(self.most_parts, self.parts)
        if done.returncode != 0:
            raise AssertionError(f"weir archive ls ended with {done.returncode}: {done.stderr}")


class Memory(Repeating):
    """A look every two seconds, for the table."""

    def __init__(self, begun, pid, archive):
        super().__init__(begun, 2)
        self.pid, self.archive = pid, archive
        self.looks = []

    def once(self):
        self.looks.append(look(self.pid, self.archive) | {"t": time.monotonic() - self.begun})
        if len(self.looks) > 20000:  # of a long run every other one is enough
            self.looks = self.looks[::2]
            self.every_s *= 2
