"""The programs that tests/bench/archive_peers compares: how each is given flow records, what it
answers, and what is read of that. All run on core 0, one at a time."""

import contextlib
import csv
import io
import ipaddress
import json
import os
import re
import select
import shutil
import socket
import subprocess

import live_meters
import pinned
from pinned import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 600
N_TOP = 10
# A day that no record of the sets has; nfdump knows none from 2038 on. And an address.
EMPTY_S = (2051222400, 2051308800)
EMPTY_NFDUMP = "2035/01/01.00:00:00-2035/01/02.00:00:00"
ABSENT = "ff00::1"
# Columns of weir's CSV as its Parquet files have them. Nanoseconds, as nothing else keeps all digits.
# CSV has no inner_vlan_id: DuckDB is spared that column.
TEXT = {"src_addr", "dst_addr", "src_mac", "dst_mac", "sampler_address"}
WIDE = {"time_flow_start_ns", "time_flow_end_ns", "bytes", "packets", "sampling_rate"}
TIMES = ("time_flow_start_ns", "time_flow_end_ns")
TOP_SQL = "SELECT src_addr, sum(bytes) FROM {0} {1} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"

os.environ["TZ"] = "UTC"


def run(*command):
    """Runs one, and returns its CPU seconds and what it said."""
    usage = pinned.run_pinned([str(c) for c in command], TIMEOUT_S)
    return usage.user_s + usage.system_s, usage.output


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def bytes_below(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(path) for name in names)


def address(text):
    return str(ipaddress.ip_address(text.strip()))


def top_of_csv(text, name="src_addr", value=None):
    """Rows (address, octets) of an answer in CSV; of nfdump's too, which has its sums behind it."""
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if name in line.split(",")), None)
    if begin is None:
        raise Failed(f"no answer in CSV: {pinned.last_words(text)}")
    rows = csv.reader(io.StringIO("\n".join(lines[begin:])))
    names = next(rows)
    at, of = names.index(name), names.index(value) if value else 1
    found = []
    for row in rows:
        if len(row) != len(names):
            break
        found.append((address(row[at]), int(row[of])))
    return found


def same_top(a, b):
    """Whether two answers are equal, whichever of the addresses that share the last place is named."""
    if [n for _, n in a] != [n for _, n in b]:
        return False
    least = a[-1][1] if a else 0
    return {x for x in a if x[1] > least} == {x for x in b if x[1] > least}


def sums_of_nfdump(text):
    """Records, packets and octets."""
    found = re.search(r"total flows: (\d+), total bytes: (\d+), total packets: (\d+)", text)
    if found is None:
        raise Failed(f"nfdump tells no sums: {pinned.last_words(text)}")
    records, octets, packets = map(int, found.groups())
    return records, packets, octets


def line_of_archive_bench(text):
    """Flows a second of CPU time, flushed and then closed, and octets a flow."""
    found = re.search(r"(\d+) records: flushed ([\d.]+) .*then closed ([\d.]+) .* ([\d.]+) octets/flow",
                      text)
    if found is None:
        raise Failed(f"archive_bench: {pinned.last_words(text)}")
    return int(found[1]), float(found[2]) * 1e6, float(found[3]) * 1e6, float(found[4])


def line_of_parquet_bench(text):
    """Records, and octets a flow."""
    found = re.search(r" (\d+) rows in groups .* ([\d.]+) octets/flow", text)
    if found is None:
        raise Failed(f"parquet_bench: {pinned.last_words(text)}")
    return int(found[1]), float(found[2])


class Nfcapd(live_meters.Meter):
    """nfdump's collector, one run for each compression."""

    name = "nfcapd"
    package = "nfdump"
    OPTIONS = {"none": (), "lzo": ("-z",), "lz4": ("-y",), "bz2": ("-j",)}

    def __init__(self, compression, folder):
        self.compression, self.folder = compression, folder
        self.port = free_port()

    @classmethod
    def compressions(cls):
        """Those of this nfcapd: from 1.7.2 it takes -z=zstd, and says so in its help."""
        done = subprocess.run([shutil.which("nfcapd", path=live_meters.PATH), "-h"], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)
        if b"zstd" in (done.stdout + done.stderr).lower():
            return {"none": (), "lz4": ("-z=lz4",), "bz2": ("-z=bz2",), "zstd": ("-z=zstd",)}
        return cls.OPTIONS

    def command(self, place):
        return [self.program(), *self.compressions()[self.compression], "-B", 256 << 20,
                "-b", "127.0.0.1", "-p", self.port, "-w", self.folder, "-t", 86400]

    def ready(self):
        with open("/proc/net/udp", encoding="ascii") as file:
            return f"0100007F:{self.port:04X} " in file.read()

    def take(self, export):
        """Starts it, runs `export`, and ends it once it has nothing to do. Returns CPU seconds."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        try:
            self.start((), None)
            export()
            self.settle()
            usage, _ = self.stop()
        finally:
            self.end()
        return usage.user_s + usage.system_s


def nfdump(folder, *arguments):
    return run("nfdump", "-R", folder, "-N", *arguments)


class DuckDB:
    """One process of node for all; DuckDB has one thread."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, "../engines", name), folder)
        shutil.copy(os.path.join(HERE, "archive_peers.js"), folder)
        try:
            done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                                  cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                                  check=False, timeout=TIMEOUT_S)
        except OSError as failure:
            raise Failed(f"npm: {failure.strerror}") from failure
        if done.returncode != 0:
            raise Failed(f"npm ci: {pinned.last_words(done.stderr.decode())}")
        self.process = subprocess.Popen(
            ["node", "archive_peers.js"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {pinned.CORE}))
        self.sql("SET threads = 1")
        self.sql("SET TimeZone = 'UTC'")

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def sql(self, text):
        """CPU seconds, and rows of text."""
        self.process.stdin.write(json.dumps(text).encode() + b"\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], TIMEOUT_S)[0]:
            self.process.kill()
            raise Failed(f"DuckDB does not answer: {text[:60]}")
        answer = json.loads(self.process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise Failed(f"DuckDB: {answer['error'][:200]}")
        return answer["cpu_s"], answer["rows"]

    def version(self):
        return self.sql("SELECT version()")[1][0][0].lstrip("v")

    def load(self, path):
        """The rows of weir's CSV as a table `flows` in memory, in their order."""
        with open(path, encoding="ascii") as file:
            names = file.readline().strip().split(",")
        types = {n: "VARCHAR" if n in TEXT else "BIGINT" if n in WIDE else "INTEGER" for n in names}
        times = ", ".join(f"make_timestamp_ns({n}) AS {n}" for n in TIMES)
        self.sql(f"CREATE OR REPLACE TABLE flows AS SELECT * REPLACE ({times}) "
                 f"FROM read_csv('{path}', header = true, columns = {types})")

    def copy(self, path, source="flows"):
        return self.sql(f"COPY {source} TO '{path}' (FORMAT parquet, COMPRESSION zstd)")[0]

    def sums(self, source):
        row = self.sql(f"SELECT count(*), sum(packets), sum(bytes) FROM {source}")[1][0]
        return tuple(int(n or 0) for n in row)

    def top(self, source, where=""):
        cpu, rows = self.sql(TOP_SQL.format(source, where))
        return cpu, [(address(a), int(n)) for a, n in rows]
