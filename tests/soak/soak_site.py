"""Where the soak happens: two network namespaces, weir in the one with its config, sources of
packets and collectors in the other. Each thing can be ended and started again by itself."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from collect import ENVIRONMENT, need, tap, until
from live import Line, Weir

HERE = os.path.dirname(os.path.abspath(__file__))

# On the veth pair vb0 of the collectors there is nothing to meter. The kernel's interface of each,
# and its share of the traffic.
PORTS = (("vb1", "vb1", 0.5), ("vdev:net_pcap0,rx_iface=vb2", "vb2", 0.25),
         ("vdev:net_ring0", None, 0.25))
COLLECTOR = "192.0.2.1"
NFCAPD_PORT, IPFIX_PORT, MORE_PORT = 2055, 4739, 2056
DISK_BYTES = 48 << 20
ROTATE_S = 10

CONFIG = """
capture:
  ports: [{ports}]
cache:
  active_timeout: {active}
  idle_timeout: {idle}
  entries: {entries}
threads:
  workers: {workers}
export:
  collectors: [{collectors}]
  template_interval: 5s
archive:
  dir: {archive}
  sensor: soak
  rotate: {rotate}s
  flush: 1s
  retain: {retain}
log:
  level: {level}
  report: 10s
serve:
  socket: {socket}
  http: 127.0.0.1:9480
"""

BASE = {"active": "3s", "idle": "2s", "level": "info", "retain": "60s", "more": False}


class Source:
    """churn on one interface."""

    def __init__(self, line, program, number, arguments):
        self.line, self.number = line, number
        self.before = self.kernel()
        self.process = line.start("a", program, f"va{number}", *map(str, arguments),
                                  stdout=subprocess.PIPE, text=True)

    def kernel(self):
        """What the kernel counted on both ends."""
        def read(side, name):
            path = f"/sys/class/net/v{side}{self.number}/statistics/{name}"
            return int(self.line.exec(side, "cat", path).stdout)

        return {"taken": read("b", "rx_packets"), "sender_dropped": read("a", "tx_dropped"),
                "dropped": read("b", "rx_dropped")}

    def hold(self):
        self.process.send_signal(signal.SIGSTOP)
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            until(lambda: file.seek(0) == 0 and file.read().rsplit(")", 1)[1].split()[0] == "T",
                  "the source to be held")

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        """Returns what was sent, and what the kernel says of it."""
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        sent = json.loads(self.process.communicate(timeout=20)[0])
        after = self.kernel()
        return sent | {name: after[name] - self.before[name] for name in after}

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class RingFeed:
    """The thread of weir_on_ring that feeds its net_ring0 (ring_feed.c). Holds until it is told."""

    def __init__(self, folder, arguments):
        self.folder = os.path.join(folder, "feed")
        os.mkdir(self.folder)
        self.fds = {}
        for name in ("control", "answers"):
            path = os.path.join(self.folder, name)
            os.mkfifo(path)
            self.fds[name] = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.environment = {"WEIR_RING_FEED": " ".join(map(str, (self.folder, *arguments)))}
        self.heard = b""

    def tell(self, command):
        os.write(self.fds["control"], command)

    def answer(self):
        def heard():
            with contextlib.suppress(BlockingIOError):
                self.heard += os.read(self.fds["answers"], 4096)
            return b"\n" in self.heard

        until(heard, "the feed of net_ring0 to answer")
        line, self.heard = self.heard.split(b"\n", 1)
        return line.decode()

    def hold(self):
        self.tell(b"h")
        assert self.answer() == "held"

    def go_on(self):
        self.tell(b"g")

    def end(self):
        """Returns what was sent; what the ring did not take was dropped by the sender."""
        self.tell(b"e")
        sent = json.loads(self.answer())
        return sent | {"taken": sent["sent"], "sender_dropped": sent["refused"], "dropped": 0}

    def kill(self):
        for fd in self.fds.values():
            os.close(fd)


class Collector:
    """A program that listens at a UDP port, and can be ended and started again."""

    def __init__(self, line, port):
        self.line, self.port = line, port
        self.process = None
        self.dropped = self.restarts = 0

    def command(self):
        raise NotImplementedError

    def row(self):
        """Of its socket: what waits to be read, and what was dropped."""
        pid = self.process.pid
        with open(f"/proc/{pid}/net/udp", encoding="ascii") as file:
            for fields in map(str.split, file):
                if fields[1].endswith(f":{self.port:04X}"):
                    return int(fields[4].split(":")[1], 16), int(fields[12])
        return None

    def start(self):
        self.process = self.line.start("a", *self.command(), env=ENVIRONMENT)
        # `ip netns exec` is another process's namespace until it has entered the right one.
        until(self.listens, f"port {self.port}")
        return self

    def listens(self):
        assert self.process.poll() is None, f"{self.command()[0]} has ended"
        done = self.line.exec("a", "ss", "-Hlun", f"sport = :{self.port}")
        return bool(done.stdout) and self.row() is not None

    def read_all(self):
        until(lambda: self.row()[0] == 0, f"port {self.port} to be read")

    def end(self):
        self.dropped += self.row()[1]
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Receiver(Collector):
    """tests/soak/receiver; `lives` has what it told each time that it ended."""

    def __init__(self, line, port, folder):
        super().__init__(line, port)
        self.path = os.path.join(folder, f"receiver-{port}")
        self.lives = []

    def command(self):
        return ["sh", "-c", f"exec {HERE}/receiver {COLLECTOR} {self.port} >{self.path}"]

    def end(self):
        super().end()
        with open(self.path, encoding="utf-8") as file:
            self.lives.append(json.loads(file.read().splitlines()[-1]))


class Nfcapd(Collector):
    """Debian's nfcapd. Its files go once they are complete: what they hold, the log has said."""

    FLOWS = re.compile(r"Flows: (\d+), Packets: (\d+), Bytes: (\d+), Sequence Errors: (\d+), "
                       r"Bad Packets: (\d+)")

    def __init__(self, line, port, folder):
        super().__init__(line, port)
        self.folder = os.path.join(folder, "nfcapd")
        os.mkdir(self.folder)
        self.log = os.path.join(folder, "nfcapd.log")

    def command(self):
        return ["sh", "-c",
                f"exec {need('nfcapd')} -w {self.folder} -b {COLLECTOR} -p {self.port} "
                f"-B 16000000 -t 60 -I soak >>{self.log} 2>&1"]

    def tidy(self):
        for name in os.listdir(self.folder):
            if name.startswith("nfcapd.2"):
                os.remove(os.path.join(self.folder, name))

    def told(self):
        sums = [0] * 5
        with open(self.log, encoding="utf-8", errors="replace") as file:
            for found in self.FLOWS.finditer(file.read()):
                sums = [a + int(b) for a, b in zip(sums, found.groups())]
        return dict(zip(("flows", "packets", "octets", "sequence_errors", "bad"), sums))


class Site:
    """All of it, for the time of a `with`."""

    def __init__(self, build, arguments, seed):
        self.build, self.arguments, self.seed = build, arguments, seed
        tap.WEIR = os.path.join(build, "weir")
        self.line = Line(3)
        self.folder = tempfile.mkdtemp(prefix="weir-soak-")
        os.chmod(self.folder, 0o755)  # for the user that weir becomes
        self.path = {name: os.path.join(self.folder, name)
                     for name in ("config", "disk", "socket", "filler")}
        self.path["archive"] = os.path.join(self.path["disk"], "archive")
        self.path["filler"] = os.path.join(self.path["disk"], "filler")
        self.state = dict(BASE)
        self.sources, self.collectors = [], []
        self.weir = None

    def write_config(self, **for_once):
        """What the state says; but for once something else."""
        collectors = [f'"{COLLECTOR}:{NFCAPD_PORT}"', f'"ipfix://{COLLECTOR}:{IPFIX_PORT}"']
        if self.state["more"]:
            collectors.append(f'"{COLLECTOR}:{MORE_PORT}"')
        text = CONFIG.format(
            **({"workers": 2} | self.state | for_once),
            ports=", ".join(f'"{name}"' for name, *_ in PORTS), collectors=", ".join(collectors),
            archive=self.path["archive"], rotate=ROTATE_S, entries=self.arguments.entries,
            socket=self.path["socket"])
        with open(self.path["config"] + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path["config"] + ".new", self.path["config"])

    def traffic(self, number):
        """Rate, flows, new flows and seed of the source of that number, from 1."""
        share = PORTS[number - 1][2]
        return (int(self.arguments.rate * share), int(self.arguments.flows * share),
                int(self.arguments.new * share), self.seed * 4 + number)

    def __enter__(self):
        tests = os.path.join(self.build, "tests", "soak")
        try:
            self.line.__enter__()
            for side in "ab":
                for number in (1, 2):
                    self.line.exec(side, "sysctl", "-qw",
                                   f"net.ipv6.conf.v{side}{number}.disable_ipv6=1")
            os.mkdir(self.path["disk"])
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=777", "none",
                            self.path["disk"]], check=True)
            self.nfcapd = Nfcapd(self.line, NFCAPD_PORT, self.folder)
            self.receiver = Receiver(self.line, IPFIX_PORT, self.folder)
            self.more = Receiver(self.line, MORE_PORT, self.folder)
            self.collectors = [self.nfcapd, self.receiver, self.more]
            for collector in self.collectors:
                collector.start()
            self.write_config()
            feed = RingFeed(self.folder, self.traffic(3))
            self.weir = Weir(self.line, "b", "--config", self.path["config"],
                             environment=feed.environment,
                             program=os.path.join(tests, "weir_on_ring")).__enter__()
            self.sources = [Source(self.line, os.path.join(tests, "churn"), number,
                                   self.traffic(number)) for number in (1, 2)] + [feed]
            feed.go_on()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for source in self.sources:
            source.kill()
        if self.weir is not None:
            self.weir.__exit__()
        for collector in self.collectors:
            collector.kill()
        self.line.__exit__()
        subprocess.run(["umount", "-l", self.path["disk"]], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def weir_command(self, *arguments, **options):
        """A command of weir, in the sensor's namespace."""
        return subprocess.run([*self.line.prefix("b"), tap.WEIR, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False, **options)

    def log(self):
        return self.weir.text("err")

    def log_octets(self):
        return os.path.getsize(self.weir.files["err"])

    def wait_said(self, offset, text, wait_s=20):
        """Behind so many octets of its log."""
        def said():
            with open(self.weir.files["err"], "rb") as file:
                file.seek(offset)
                return text.encode() in file.read()

        until(said, f"weir to say '{text}'", wait_s)

    def quiet(self):
        """Sources are held, and what was on its way has arrived."""
        for source in self.sources:
            source.hold()
        time.sleep(0.5)

    def loud(self):
        for source in self.sources:
            source.go_on()
