#!/usr/bin/env python3
"""Writes the seed corpus of capture_file_fuzz: small captures, whole and broken.

The same files come out of every run.
"""

import gzip
import pathlib
import struct
import subprocess

FRAME = bytes(12) + b"\x08\x00" + bytes.fromhex("4500001c000040004011") + bytes(18)


def header(order, magic=0xA1B2C3D4, version=(2, 4), snaplen=65535, link=1):
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, link)


def record(order, captured=None, frame=FRAME, seconds=1795000000, fraction=5):
    captured = len(frame) if captured is None else captured
    return struct.pack(order + "IIII", seconds, fraction, captured, len(frame)) + frame


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


def pcapng(seconds=1795000000):
    ticks = seconds * 1000000 & (1 << 64) - 1
    packet = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(FRAME), len(FRAME))
    return (
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack("<HHI", 1, 0, 65535))
        + block(6, packet + FRAME)
        + block(3, struct.pack("<I", len(FRAME)) + FRAME)
    )


little, big = header("<") + 3 * record("<"), header(">") + 3 * record(">")
zstd = subprocess.run(["zstd", "-q", "-c"], input=little, stdout=subprocess.PIPE, check=True).stdout
files = {
    "empty": b"",
    "text": b"not a capture\n",
    "little": little,
    "big": big,
    "little_ns": header("<", 0xA1B23C4D) + record("<"),
    "big_ns": header(">", 0xA1B23C4D) + record(">"),
    "modified": header("<", 0xA1B2CD34) + record("<"),
    "version_2_3": header("<", version=(2, 3)) + record("<"),
    "raw_ip": header("<", link=101) + record("<", frame=FRAME[14:]),
    "radiotap": header("<", link=127) + record("<"),
    "snaplen_20": header("<", snaplen=20) + record("<"),
    "cut_header": little[:17],
    "cut_record_header": little[:30],
    "cut_record": little[:-5],
    "impossible_record": header("<") + record("<", captured=0x7FFFFFFF),
    "odd_times": header("<") + record("<", seconds=0xFFFFFFFF, fraction=0xFFFFFFFF),
    "gzip": gzip.compress(little, mtime=0),
    "gzip_cut": gzip.compress(little, mtime=0)[:-12],
    "gzip_twice": gzip.compress(little[:50], mtime=0) + gzip.compress(little[50:], mtime=0),
    "zstd": zstd,
    "zstd_cut": zstd[:-6],
    "pcapng": pcapng(),
    "pcapng_odd_time": pcapng(-1),
    "pcapng_cut": pcapng()[:-20],
    "pcapng_gzip": gzip.compress(pcapng(), mtime=0),
}
folder = pathlib.Path(__file__).parent / "capture_file"
folder.mkdir(exist_ok=True)
for name, octets in files.items():
    (folder / name).write_bytes(octets)
