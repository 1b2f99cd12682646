"""Kills a weir that fills an archive, at random moments, and looks at what the next one makes of
it: every record that had been flushed is there once, every file can be read, nothing else is
left."""

import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import zlib

from collect import tap

DUMP = os.environ.get("WEIR_ARCHIVE_DUMP", "build/tests/archive_dump")
ENTRY = struct.Struct(">IIIIQQIxxxxQQQqq")  # archive_notes.c
MAGIC = 0x77616e31


def write_capture(path, n_flows, seconds):
    """A packet for each flow, whose number is its source address."""
    begin = 1700002790  # ten seconds before an hour
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
        for number in range(n_flows):
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, 28, 0, 0, 64, 17, 0, number, 0xc0000201)
            frame = (b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0" + ip
                     + struct.pack(">HHHH", number & 0xffff, 53, 8, 0))
            at = number * seconds * 10**9 // n_flows
            file.write(struct.pack("<IIII", begin + at // 10**9, at % 10**9, len(frame),
                                   len(frame)) + frame)


def notes_of(path):
    """How many records the notes of an open file vouch for; read here, not by weir."""
    with open(path, "rb") as file:
        notes = file.read()
    part = path.removesuffix(".notes") + ".part"
    if not os.path.exists(part):
        assert not notes, f"{path}: notes of a file that is gone"
        return 0
    with open(part, "rb") as file:
        data = file.read()
    at, end, records = 0, 4, 0
    while len(notes) - at >= ENTRY.size:
        magic, crc, size, _, offset, n, data_crc, n_records, *_ = ENTRY.unpack_from(notes, at)
        if (magic != MAGIC or at + size > len(notes)
                or zlib.crc32(notes[at + 8:at + size]) != crc):
            break
        assert offset == end and zlib.crc32(data[offset:offset + n]) == data_crc, path
        records += n_records
        at += size
        end += n
    return records


def files_of(folder):
    return [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]


def flushed_in(folder):
    """Of files that are open. A closed one that stands beside its .part is the same records."""
    return sum(notes_of(path) for path in files_of(folder)
               if path.endswith(".notes") and not os.path.exists(path.removesuffix(".notes")))


def dump(folder):
    done = subprocess.run([DUMP, folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [line.split()[0] for line in done.stdout.decode().splitlines()]


class Crashes:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix="weir-crash-")
        self.capture = os.path.join(self.folder, "flows.pcap")
        self.empty = os.path.join(self.folder, "empty.pcap")
        self.archive = os.path.join(self.folder, "archive")
        write_capture(self.capture, 40000, 20)
        write_capture(self.empty, 0, 1)
        self.common = ["--archive-rotate=2s", "--archive-flush=10ms", "--sensor=crash",
                       "--ledger=none", "--progress=never"]
        self.meter = ["--idle-timeout=500ms", "--cache-entries=4096", self.capture]
        printed = tap.weir("--print=csv", "--ledger=none", *self.meter).stdout.decode()
        self.order = [line.split(",")[2] for line in printed.splitlines()[1:]]
        assert len(self.order) == 40000
        self.counts = {"killed": 0, "restarts killed": 0, "left a part": 0, "left a copy": 0,
                       "left both": 0, "records": 0}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            shutil.rmtree(self.folder)

    def kill(self, arguments, most_s):
        """Starts weir, and kills it within `most_s`. Whether it had not ended."""
        with subprocess.Popen([tap.WEIR, "replay", f"--archive={self.archive}", *self.common,
                               *arguments], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as process:
            time.sleep(self.random.uniform(0, most_s))
            process.send_signal(signal.SIGKILL)
            said = process.stderr.read().decode()
        assert process.returncode in (0, -signal.SIGKILL), said
        return process.returncode != 0

    def once(self):
        # As fast as it goes, much happens within a moment; at a pace, kills meet any state.
        pace = self.random.choice((("max", 0.3), ("40", 0.6)))
        self.counts["killed"] += self.kill([f"--speed={pace[0]}", *self.meter], pace[1])
        if not os.path.exists(self.archive):
            return
        names = files_of(self.archive)
        closed = {name for name in names if name.endswith(".parquet")}
        self.counts["left a part"] += any(name.endswith(".part") for name in names)
        self.counts["left a copy"] += any(name.endswith(".new") for name in names)
        self.counts["left both"] += any(name + ".notes" in names for name in closed)
        flushed = flushed_in(self.archive)
        before = dump(self.archive)
        if self.random.random() < 0.3:
            self.counts["restarts killed"] += self.kill([self.empty], 0.05)
        tap.weir(f"--archive={self.archive}", *self.common, self.empty)
        after = dump(self.archive)
        assert len(after) >= flushed
        assert sorted(before) == sorted(after), (len(before), len(after), flushed)
        # The archive takes records in their order, so that none is missing between others.
        assert sorted(after) == sorted(self.order[:len(after)]), len(after)
        rest = [name for name in files_of(self.archive) if not name.endswith("Z.parquet")]
        assert not rest, rest
        self.counts["records"] += len(after)
        shutil.rmtree(self.archive)


def crash(n, seed=None, say=lambda line: None):
    seed = random.randrange(2**32) if seed is None else seed
    with Crashes(seed) as crashes:
        for number in range(1, n + 1):
            try:
                crashes.once()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, kill {number}, kept in {crashes.folder}: "
                                     f"{error}") from error
            if number % 100 == 0 or number == n:
                say(f"{number} kills: {crashes.counts}")
        return crashes.counts
