"""weir and the flow exporters it is compared with: their command lines, and how to read back
what they made. All meter with an active timeout of 60 s and an idle timeout of 15 s, and have
room for the same number of flows."""

import dataclasses
import json
import os
import re
import shutil
import subprocess

from pinned import Failed

PATH = os.environ.get("PATH", "") + ":/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass
class Job:
    capture: str
    entries: int  # flows held at once
    folder: str  # for what the program writes
    port: int  # of the sink, on 127.0.0.1
    sink_program: str


def text_of(*command):
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False, env=os.environ | {"PATH": PATH, "TZ": "UTC"},
    )
    return done.stdout.decode(errors="replace")


class Exporter:
    """`command` gives the arguments; `read_back` the records, packets and octets that are on
    disk afterwards, or None where the sink has counted them."""

    name = None
    package = None  # of Debian
    needs = ()  # programs beside its own
    how = "NetFlow v9"
    version_option = "-V"
    version_pattern = r"[Vv]ersion:? (\S+)"
    frame_octets = 0  # of link layer that it counts into a packet
    note = None

    def missing(self):
        return [p for p in (self.name, *self.needs) if shutil.which(p, path=PATH) is None]

    def left_out(self):
        where = f"Debian package {self.package}" if self.package else "not in Debian"
        return f"{self.name}: left out, {', '.join(self.missing())} not on PATH ({where})"

    def program(self):
        return shutil.which(self.name, path=PATH)

    def version(self):
        found = re.search(self.version_pattern, text_of(self.program(), self.version_option))
        return found.group(1).rstrip(".,") if found else "?"

    def command(self, job):
        raise NotImplementedError

    def read_back(self, _job):
        return None


class Weir(Exporter):
    name = "weir"
    version_option = "--version"
    version_pattern = r"weir (\S+)"

    def __init__(self, path):
        self.path = path

    def missing(self):
        return [] if os.access(self.path, os.X_OK) else [self.path]

    def program(self):
        return self.path

    def command(self, job):
        return [self.path, "replay", "--ledger=json", "--progress=never", "--rate=0",
                f"--cache-entries={job.entries}", f"--collector=127.0.0.1:{job.port}",
                job.capture]

    @staticmethod
    def ledger(output):
        lines = [line for line in output.splitlines() if line.startswith("{")]
        if not lines:
            raise Failed("no ledger")
        return json.loads(lines[-1])


class Softflowd(Exporter):
    name = "softflowd"
    package = "softflowd"
    version_option = "-h"
    version_pattern = r"softflowd version (\S+)"

    def command(self, job):
        timeouts = ("maxlife=60", "general=15", "tcp=15", "udp=15", "icmp=15", "tcp.fin=15",
                    "tcp.rst=15", "expint=5")
        return [self.program(), "-d", "-a", "-6", "-r", job.capture, "-n", f"127.0.0.1:{job.port}",
                "-v", "9", "-m", str(job.entries), *(o for t in timeouts for o in ("-t", t)),
                "-p", os.path.join(job.folder, "pid"), "-c", "none"]


class Nfpcapd(Exporter):
    name = "nfpcapd"
    package = "nfdump"
    needs = ("nfdump",)
    how = "lz4 files"

    def command(self, job):
        return [self.program(), "-r", job.capture, "-w", job.folder, "-y", "-e", "60,15",
                "-t", "3600", "-B", str(job.entries)]

    def read_back(self, job):
        text = text_of("nfdump", "-R", job.folder, "-o", "null", "-N")
        found = re.search(
            r"total flows: (\d+), total bytes: (\d+), total packets: (\d+)", text)
        if found is None:
            raise Failed("nfdump cannot read its files")
        records, octets, packets = map(int, found.groups())
        return {"records": records, "packets": packets, "octets": octets}


class Pmacctd(Exporter):
    name = "pmacctd"
    package = "pmacct"
    how = "nfprobe, NetFlow v9"
    version_pattern = r"Daemon, pmacctd (\S+)"

    def command(self, job):
        path = os.path.join(job.folder, "pmacctd.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(
                f"pcap_savefile: {job.capture}\nplugins: nfprobe\n"
                f"nfprobe_receiver: 127.0.0.1:{job.port}\nnfprobe_version: 9\n"
                f"nfprobe_maxflows: {job.entries}\n"
                "nfprobe_timeouts: tcp=15:udp=15:icmp=15:general=15:"
                "maxlife=60:expint=5\nplugin_pipe_size: 409600000\nplugin_buffer_size: 409600\n"
                "aggregate: src_host,dst_host,src_port,dst_port,proto,tos\n")
        return [self.program(), "-f", path]


class Argus(Exporter):
    name = "argus"
    package = "argus-server and argus-client"
    needs = ("racount",)
    how = "its own files"
    version_option = "-h"
    version_pattern = r"Argus Version (\S+)"
    frame_octets = 14  # of Ethernet
    note = "a record for both directions"

    def command(self, job):
        return [self.program(), "-X", "-r", job.capture, "-S", "60",
                "-w", os.path.join(job.folder, "out.argus")]

    def read_back(self, job):
        text = text_of("racount", "-r", os.path.join(job.folder, "out.argus"))
        found = re.search(r"^\s+sum +(\d+) +(\d+) +\d+ +\d+ +(\d+) ", text, re.M)
        if found is None:
            raise Failed("racount cannot read its file")
        records, packets, octets = map(int, found.groups())
        return {"records": records, "packets": packets,
                "octets": octets - packets * self.frame_octets}


class Yaf(Exporter):
    name = "yaf"
    how = "IPFIX file"
    version_option = "--version"
    version_pattern = r"yaf version (\S+)"

    def command(self, job):
        return [self.program(), "--in", job.capture, "--out", os.path.join(job.folder, "out.yaf"),
                "--idle-timeout", "15", "--active-timeout", "60", "--uniflow"]

    def read_back(self, job):
        text = text_of(job.sink_program, os.path.join(job.folder, "out.yaf"))
        if not text.startswith("{"):
            raise Failed(f"its file cannot be read: {text.strip()[:100]}")
        return json.loads(text)


class Ipfixprobe(Exporter):
    name = "ipfixprobe"
    how = "IPFIX over UDP"

    def command(self, job):
        bits = (job.entries - 1).bit_length()
        return [self.program(), "-i", f"pcap;file={job.capture}",
                "-s", f"cache;size={bits};line=4;active=60;inactive=15;split",
                "-o", f"ipfix;host=127.0.0.1;port={job.port};udp;mtu=1420"]


PEERS = (Softflowd(), Nfpcapd(), Pmacctd(), Argus(), Yaf(), Ipfixprobe())
