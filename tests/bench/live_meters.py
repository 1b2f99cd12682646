"""weir and its peers as they meter an interface: their command lines, when they are ready, how
they end. All have an active timeout of 60 s and an idle timeout of 15 s, room for a million flows,
and ask for as large a receive buffer as weir has, where they can."""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pinned
from pinned import Failed

PATH = os.environ.get("PATH", "") + ":/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RING_OCTETS = 64 << 20
ENTRIES = 1 << 20
READY_S = 20
QUIET_S = 0.3  # without much CPU time: a program has started
# libpcap hands over what is left in its ring when that is a second old.
DONE_S = 1.5
QUIET_SHARE = 0.3  # of a core: who has work to do takes a whole one
STOP_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Place:
    interface: str
    port: int  # of the sink, on 127.0.0.1
    folder: str  # for what the program writes


def stat_fields(text):
    """Group, state and CPU time in seconds of a line of /proc/PID/stat; a name may hold spaces
    and brackets."""
    fields = text.rpartition(")")[2].split()
    return int(fields[2]), fields[0], (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def cpu_s(group):
    """CPU time, user and system, of the living processes of a group."""
    total = 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                member, _, spent = stat_fields(file.read())
            if member == group:
                total += spent
    return total


def wait_until(condition, timeout_s, what):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(0.01)


class Meter:
    """A program; `start()` to `stop()` is one run of it."""

    name = None
    package = None  # of Debian
    how = "NetFlow v9"
    stop_signal = signal.SIGTERM
    good_status = (0,)
    version_command = ()
    version_pattern = None

    def program(self):
        return shutil.which(self.name, path=PATH)

    def version(self):
        done = subprocess.run([self.program(), *self.version_command], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)
        found = re.search(self.version_pattern, (done.stdout + done.stderr).decode())
        return found.group(1).rstrip(".,") if found else "?"

    def missing(self):
        return self.program() is None

    def command(self, place):
        raise NotImplementedError

    def ready(self):
        """Whether it listens: the kernel lists its packet socket."""
        with open(f"/proc/{self.process.pid}/net/packet", encoding="ascii") as file:
            return len(file.readlines()) > 1

    def start(self, prefix, place):
        """Under `prefix`, on its core; returns when it is ready and has nothing more to do."""
        self.out = tempfile.TemporaryFile()
        self.err = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*prefix, *map(str, self.command(place))], stdin=subprocess.DEVNULL, stdout=self.out,
            stderr=self.err, start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {pinned.CORE}))

        def ready_or_ended():
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended: {pinned.last_words(self.text(self.err))}")
            return self.ready()

        wait_until(ready_or_ended, READY_S, f"{self.name} to listen")
        self.settle()

    @staticmethod
    def text(file):
        file.seek(0)
        return file.read().decode(errors="replace")

    def cpu_s(self):
        return cpu_s(self.process.pid)

    def settle(self, quiet_s=QUIET_S, timeout_s=STOP_S):
        """Waits until it has taken little CPU time for `quiet_s`."""
        deadline = time.monotonic() + timeout_s
        before, since = self.cpu_s(), time.monotonic()
        while time.monotonic() - since < quiet_s:
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} is still at work after {timeout_s:g} s")
            time.sleep(0.02)
            now = self.cpu_s()
            if now - before > QUIET_SHARE * quiet_s:
                before, since = now, time.monotonic()

    def ask_to_stop(self):
        os.kill(self.process.pid, self.stop_signal)

    def stop(self, timeout_s=STOP_S):
        """Ends it. Returns its Usage, of all its processes, and how long the end took."""
        begun = time.monotonic()
        self.ask_to_stop()
        usage, status = pinned.wait_for_group(self.process.pid, timeout_s)
        took_s = time.monotonic() - begun
        self.process.returncode = status
        usage.output = self.text(self.out) + self.text(self.err)
        if status not in self.good_status:
            raise Failed(f"{self.name}: status {status}: {pinned.last_words(usage.output)}")
        return usage, took_s

    def end(self):
        """What is left of a run that failed."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Weir(Meter):
    name = "weir"
    version_command = ("--version",)
    version_pattern = r"weir (\S+)"

    def __init__(self, path, driver="af_packet", options=()):
        self.path = path
        self.driver = driver
        self.options = options
        if driver != "af_packet":
            self.name = f"weir {driver}"

    def program(self):
        return self.path

    def missing(self):
        return not os.access(self.path, os.X_OK)

    def command(self, place):
        return [self.path, "run", "--ledger=json", "--rate=0",
                f"--cache-entries={ENTRIES}", f"--collector=127.0.0.1:{place.port}",
                f"--port={self.driver}:{place.interface}", *self.options]

    def ready(self):
        return "metering" in self.text(self.err)


class Softflowd(Meter):
    """A signal ends it without its flows; softflowctl gets them. Its libpcap hands over whole
    blocks only, however old they are."""

    name = package = "softflowd"
    good_status = (0, 1)
    version_command = ("-h",)
    version_pattern = r"softflowd version (\S+)"

    def command(self, place):
        self.control = os.path.join(place.folder, "control")
        timeouts = ("maxlife=60", "general=15", "tcp=15", "udp=15", "icmp=15", "tcp.fin=15",
                    "tcp.rst=15", "expint=5")
        return [self.program(), "-d", "-6", "-i", place.interface, "-n",
                f"127.0.0.1:{place.port}", "-v", "9", "-m", ENTRIES, "-B", RING_OCTETS,
                *(o for t in timeouts for o in ("-t", t)),
                "-p", os.path.join(place.folder, "pid"), "-c", self.control]

    def ask_to_stop(self):
        subprocess.run([shutil.which("softflowctl", path=PATH), "-c", self.control, "shutdown"],
                       stdin=subprocess.DEVNULL, capture_output=True, check=True)


class Pmacctd(Meter):
    name = "pmacctd"
    package = "pmacct"
    how = "nfprobe, NetFlow v9"
    stop_signal = signal.SIGINT
    version_command = ("-V",)
    version_pattern = r"Daemon, pmacctd (\S+)"

    def command(self, place):
        path = os.path.join(place.folder, "pmacctd.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(
                f"pcap_interface: {place.interface}\nplugins: nfprobe\n"
                f"nfprobe_receiver: 127.0.0.1:{place.port}\nnfprobe_version: 9\n"
                f"nfprobe_maxflows: {ENTRIES}\n"
                "nfprobe_timeouts: tcp=15:udp=15:icmp=15:general=15:maxlife=60:expint=5\n"
                f"pmacctd_pipe_size: {RING_OCTETS}\n"
                "plugin_pipe_size: 409600000\nplugin_buffer_size: 409600\n"
                "aggregate: src_host,dst_host,src_port,dst_port,proto,tos\n")
        return [self.program(), "-f", path]


class Fprobe(Meter):
    name = package = "fprobe"
    how = "NetFlow v5"
    version_command = ("-h",)
    version_pattern = r"Version (\S+)"

    def command(self, place):
        return [self.program(), "-i", place.interface, "-f", "ip", "-l", "2", "-v", "4", "-s", "1",
                "-d", "15", "-e", "60", "-n", "5", "-q", "100000", "-B", RING_OCTETS >> 10,
                f"127.0.0.1:{place.port}"]


def meters(weir):
    """All of them, weir's two first."""
    return [Weir(weir), Weir(weir, "af_xdp"), Softflowd(), Pmacctd(), Fprobe()]
