#!/usr/bin/env python3
"""Writes the seed corpus of flow_decode_fuzz, built by hand here: each datagram behind an octet
that tells its exporter (0: a file) and two of length. The same files come out of every run."""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "flow_decode"
NOW = 1800000000


def item(datagram, exporter=1):
    return struct.pack("!BH", exporter, len(datagram)) + datagram


def flowset(number, payload, length=None):
    return struct.pack("!HH", number, len(payload) + 4 if length is None else length) + payload


def v9(count, *sets, sequence=0, uptime=7200000):
    return struct.pack("!HHIIII", 9, count, uptime, NOW, sequence, 7) + b"".join(sets)


def ipfix(*sets, sequence=0):
    body = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(body), NOW, sequence, 7) + body


def v5(count, records, sequence=0):
    return struct.pack("!HHIIIIBBH", 5, count, 7200000, NOW, 0, sequence, 0, 0, 0x4064) + records


def template(number, *fields):
    return struct.pack("!HH", number, len(fields)) + b"".join(struct.pack("!HH", *f) for f in fields)


V9_TEMPLATE = template(256, (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (10, 2), (14, 2),
                       (22, 4), (21, 4), (1, 8), (2, 8))
RECORD = struct.pack("!4s4sHHBBHHIIQQ", bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), 1024, 80, 6,
                     27, 1, 1, 7190000, 7195000, 1000, 10)
V9_OPTIONS = struct.pack("!HHHHHHHHH", 257, 4, 8, 1, 4, 34, 4, 35, 1)

SEEDS = {
    "v5": item(v5(1, RECORD + bytes(2))) + item(v5(2, bytes(96), sequence=5)),
    "v9": item(v9(2, flowset(0, V9_TEMPLATE), flowset(256, RECORD + bytes(2))))
    + item(v9(2, flowset(256, RECORD * 2), sequence=3)),
    "v9_options": item(v9(2, flowset(1, V9_OPTIONS + bytes(2)),
                          flowset(257, struct.pack("!IIB", 7, 100, 2) + bytes(3)))),
    "v9_no_template": item(v9(1, flowset(300, bytes(20)))),
    "v9_short_set": item(v9(1, flowset(256, bytes(8), length=3))),
    "v9_overrun": item(v9(1, flowset(256, bytes(8), length=400))),
    "ipfix": item(ipfix(flowset(2, template(256, (8, 4), (152, 8), (153, 8), (82, 65535))),
                        flowset(256, bytes([192, 0, 2, 1]) + struct.pack("!QQ", NOW * 1000, NOW * 1000)
                                + b"\x04eth0"
                                + bytes([192, 0, 2, 2]) + struct.pack("!QQ", NOW * 1000, NOW * 1000)
                                + b"\xff\x00\x04eth1"))),
    "ipfix_enterprise": item(ipfix(
        flowset(2, struct.pack("!HHHHIHHI", 256, 2, 0x8000 | 33, 2, 6871, 0x8001, 8, 29305)),
        flowset(256, bytes(10)))),
    "ipfix_options": item(ipfix(
        flowset(3, struct.pack("!HHHHHHH", 258, 2, 1, 149, 4, 41, 2) + bytes(2)),
        flowset(258, bytes(6)))),
    "ipfix_withdrawal": item(ipfix(flowset(2, template(256, (1, 4), (2, 4)))), exporter=0)
    + item(ipfix(flowset(2, template(256)), flowset(2, template(2)), flowset(3, template(3))),
           exporter=0),
    "ipfix_cut_variable": item(ipfix(flowset(2, template(256, (82, 65535), (83, 65535))),
                                     flowset(256, b"\x02ab\xff\x01"))),
    "ntp_times": item(ipfix(flowset(2, template(256, (154, 8), (155, 8), (21, 4), (22, 4))),
                            flowset(256, bytes(24)))),
    "empty": item(b"") + item(b"\x00\x09") + item(b"\x00\x01" + bytes(30)),
}

FOLDER.mkdir(exist_ok=True)
for name, octets in SEEDS.items():
    (FOLDER / name).write_bytes(octets)
