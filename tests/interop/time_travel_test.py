#!/usr/bin/python3
"""120 days of exporting, through both wraps of a 32-bit uptime and every change of the epoch, as
collectors read them: no time is off by a millisecond. tests/time_travel.c makes the datagrams."""

import concurrent.futures
import functools
import json
import os
import socket
import struct
import subprocess
import tempfile

import readers
from records import Nfcapd, need, tap, until
from strict import messages_of

folder = tempfile.TemporaryDirectory(prefix="weir-time-travel-")


@functools.cache
def truth():
    """First and last of each record, by its packets."""
    subprocess.run([os.environ["WEIR_TIME_TRAVEL"], folder.name], check=True, timeout=60)
    with open(os.path.join(folder.name, "truth.json"), encoding="utf-8") as file:
        times = {packets: (first, last) for packets, first, last in json.load(file)}
    # 120 days of them: past the wraps of 2^31 and 2^32 ms.
    assert max(times.values())[1] - min(times.values())[0] > 2 << 32, len(times)
    return times


def datagrams(version):
    truth()
    found = []
    with open(pcap(version), "rb") as file:
        octets = file.read()
    at = 24
    while at < len(octets):
        (size,) = struct.unpack_from("<I", octets, at + 8)
        found.append(octets[at + 16 + 28:at + 16 + size])
        at += 16 + size
    return found


def pcap(version):
    return os.path.join(folder.name, f"{version}.pcap")


def same(got, rounded=lambda ms: ms):
    """Pairs of packets and times, of all records."""
    got = list(got)
    expected = {n: tuple(map(rounded, times)) for n, times in truth().items()}
    bad = [(n, times, expected.get(n)) for n, times in got if expected.get(n) != times]
    assert not bad, f"{len(bad)} of {len(expected)} records are off: {bad[:3]}"
    assert len(got) == len(expected) == len(dict(got)), (len(got), len(expected))


def times_of(records):
    return ((r["packets"], (r["start_ms"], r["end_ms"])) for r in records)


def test_the_reader_of_the_tests_reads_them_and_the_epoch_changes():
    messages = messages_of(datagrams("v9"))
    same((r[2], (m.boot_ms + r[22], m.boot_ms + r[21])) for m in messages for r in m.records)
    assert all(3600000 < m.uptime_ms < 1 << 31 for m in messages)
    boots = [m.boot_ms for m in messages]
    changes = [m for m, before in zip(messages[1:], boots) if m.boot_ms != before]
    assert 4 <= len(changes) <= 6 and all(m.templates and m.options for m in changes), len(changes)
    messages = messages_of(datagrams("ipfix"))
    same((r[2], (r[152], r[153])) for m in messages for r in m.records)


def through_nfcapd(version):
    with Nfcapd() as collector, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((collector.host, collector.port))
        for n, octets in enumerate(datagrams(version)):
            sender.send(octets)
            if n % 1000 == 0:
                until(lambda: collector.socket()[1] == b"0", "nfcapd to read")
        got = collector.stop()
    same(times_of(map(readers.of_nfdump, got)))
    return collector.log


def test_nfdump_reads_v9():
    assert "Sequence Errors: 0, Bad Packets: 0" in through_nfcapd("v9")


def test_nfdump_reads_ipfix():
    through_nfcapd("ipfix")


def through_nfacctd(version):
    with tempfile.TemporaryDirectory(prefix="weir-nfacctd-") as place:
        records = readers.nfacctd_objects(pcap(version), len(truth()), place)
    return times_of(map(readers.of_nfacctd, records))


def test_nfacctd_reads_v9_in_whole_seconds():
    truth()
    same(through_nfacctd("v9"), lambda ms: -(-ms // 1000) * 1000)


def test_nfacctd_reads_ipfix():
    truth()
    same(through_nfacctd("ipfix"))


def tshark_columns(version, *names):
    """The values of each field, by datagram."""
    truth()
    fields = [part for name in names for part in ("-e", name)]
    done = subprocess.run([need("tshark"), "-n", "-r", pcap(version), "-d",
                           f"udp.port=={readers.PORT},cflow", "-T", "fields", *fields],
                          capture_output=True, check=True, env=os.environ | {"TZ": "UTC"})
    for line in done.stdout.decode().splitlines():
        yield line.split("\t")


def test_tshark_reads_v9():
    def records():
        for seconds, uptime, packets, first, last in tshark_columns(
                "v9", "cflow.unix_secs", "cflow.sysuptime", "cflow.packets", "cflow.timestart",
                "cflow.timeend"):
            boot_ms = int(seconds) * 1000 - ms_of(uptime)
            for n, *times in zip(*(text.split(",") for text in (packets, first, last))):
                yield int(n), tuple(boot_ms + ms_of(text) for text in times)

    same(records())


def ms_of(text):
    return round(float(text) * 1000)


def test_tshark_reads_ipfix():
    def records():
        # Its dates have commas.
        for packets, *columns in tshark_columns("ipfix", "cflow.packets", "cflow.abstimestart",
                                                "cflow.abstimeend"):
            dates = [[readers.ms_of_tshark(",".join(pair)) for pair in pairs(text.split(","))]
                     for text in columns]
            for n, *times in zip(map(int, packets.split(",")), *dates):
                yield n, tuple(times)

    same(records())


def pairs(parts):
    return zip(parts[::2], parts[1::2])


def test_node_netflowv9_reads_v9():
    if "WEIR_NODE_DECODER" not in os.environ:
        raise tap.Skip("node-netflowv9 is a matter of tests/interop/run")

    def records():
        for header, flows in readers.node_objects(datagrams("v9")):
            boot_ms = header["seconds"] * 1000 - header["uptime"]
            for r in flows:
                if not r.get("isOption"):
                    yield r["in_pkts"], (boot_ms + r["first_switched"], boot_ms + r["last_switched"])

    same(records())


if __name__ == "__main__":
    truth()
    # At once, since collectors mostly wait.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tap.run([(name[5:], pool.submit(test).result) for name, test in list(globals().items())
                 if name.startswith("test_")])
