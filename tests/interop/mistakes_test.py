#!/usr/bin/python3
"""Mistakes that other exporters made, and users of collectors reported: each is looked for in the
datagrams of `weir replay`, or of a live run, by a reader that shares nothing with weir."""

import functools
import ipaddress
import os
import socket
import struct
import tempfile
import threading
import time

from records import Case, Datagrams, own, own_cases, tap, until
from strict import messages_of, of_options

import live  # of tests/e2e

HOUR_MS, DAY_MS = 3600 * 10**3, 86400 * 10**3
BEGIN_MS = 1790000000123  # of the captures that are made here

# What collectors know: the ids in Logstash's table up to those of NetFlow v9 that IANA has not
# touched, without those that one of them takes for something else.
KNOWN_IDS = set(range(1, 128)) | {136}
MISREAD_IDS = {23, 24, 48, 49, 50, 57, 148, *range(70, 80), 87, 88, 90, 91, 97, 100}
WIDTHS = {  # octets of each element on the wire
    1: 8, 2: 8, 4: 1, 5: 1, 6: 1, 7: 2, 8: 4, 10: 4, 11: 2, 12: 4, 14: 4, 21: 4, 22: 4, 27: 16,
    28: 16, 31: 4, 32: 2, 52: 1, 53: 1, 56: 6, 58: 2, 60: 1, 61: 1, 80: 6, 136: 1,
}


def replayed(*arguments, family=socket.AF_INET):
    """The v9 messages of a replay, and its ledger."""
    if family == socket.AF_INET6:
        receiver = Datagrams6()
    else:
        receiver = Datagrams()
    with receiver:
        done = tap.weir("--collector", receiver.destination(), "--ledger=json", *arguments)
    ledger = tap.ledger_of(done.stdout)
    messages = messages_of(receiver.received[0])
    assert sum(len(m.records) for m in messages) == ledger["records"]
    return messages, ledger


class Datagrams6(Datagrams):
    """The same over IPv6."""

    def __init__(self):
        super().__init__(0)
        receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("::1", 0))
        receiver.settimeout(0.2)
        self.sockets, self.received = [receiver], [[]]

    def destination(self, i=0):
        return f"[::1]:{self.port(i)}"


@functools.cache
def everything():
    """The messages of every capture of the tree."""
    return [(case, replayed(*case.arguments)[0]) for case in own_cases()]


def records_of(messages):
    for message in messages:
        for record in message.records:
            yield message, record


def udp_frame(number, payload=b"x" * 20):
    """A packet of flow `number`."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0, 64, 17, 0,
                     struct.pack("!I", 0x0A000000 + number), b"\xc6\x33\x64\1")
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip \
        + struct.pack("!HHHH", 1000, 2000, 8 + len(payload), 0) + payload


def write_capture(path, frames):
    """Pairs of milliseconds and frames."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for ms, frame in frames:
            file.write(struct.pack("<IIII", ms // 1000, ms % 1000 * 1000, len(frame), len(frame)))
            file.write(frame)


def of_capture(frames, *options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "made.pcap")
        write_capture(path, frames)
        case = Case(1, path, options)
        return (*replayed(*case.arguments), case.truth())


def times_of_message(message, record):
    return message.boot_ms + record[22], message.boot_ms + record[21]


def test_last_is_never_after_sysuptime():
    for _, messages in everything():
        for message, record in records_of(messages):
            assert 0 < record[22] <= record[21] <= message.uptime_ms, record.octets


def test_milliseconds_are_milliseconds():
    for case, messages in everything():
        got = sorted(times_of_message(*pair) for pair in records_of(messages))
        assert got == sorted((r["start_ms"], r["end_ms"]) for r in case.truth()), case.name


def test_uptime_does_not_wrap_in_120_days():
    frames = [(BEGIN_MS + day * DAY_MS + i * 777, udp_frame(day)) for day in range(121)
              for i in range(3)]
    messages, _, truth = of_capture(frames)
    uptimes = [message.uptime_ms for message in messages]
    assert max(uptimes) < 1 << 31 and min(uptimes) > HOUR_MS, (min(uptimes), max(uptimes))
    boots = {message.boot_ms for message in messages}
    assert len(boots) > 1, "one epoch for 120 days"
    got = sorted(times_of_message(*pair) for pair in records_of(messages))
    assert got == sorted((r["start_ms"], r["end_ms"]) for r in truth)


def test_a_new_epoch_begins_with_templates():
    frames = [(BEGIN_MS + i * DAY_MS // 4, udp_frame(i)) for i in range(61 * 4)]
    messages, _, _ = of_capture(frames, "--template-interval=24h")
    assert not all(m.templates for m in messages)
    renewed = [m for before, m in zip(messages, messages[1:]) if m.boot_ms != before.boot_ms]
    assert renewed
    for message in renewed:
        assert message.flowsets[0].id == 0 and message.options, message.flowsets


def test_sampling_is_announced_also_where_nothing_is_sampled():
    for options, interval, algorithm in (([], 1, 1), (["--sample=10"], 10, 1),
                                         (["--sample=random:10"], 10, 2)):
        first = replayed(*options, own("mixed.pcap.gz"))[0][0]
        elements = [[e for e, _, _ in o.values[1:]] for o in first.options]
        sampling = [o for o, e in zip(first.options, elements) if 34 in e or 35 in e]
        # Both forms, and never together with anything else.
        assert sorted(e for e in elements if 34 in e or 35 in e) == [[34], [34, 35]], elements
        assert {of_options(o, 34) for o in sampling} == {interval}
        assert of_options(max(sampling, key=lambda o: len(o.values)), 35) == algorithm
        # And ahead of the records.
        n_head = 1 + 2 * len(first.options)
        ids = {r.template.id for r in first.records}
        assert {f.id for f in first.flowsets[n_head:]} == ids, first.flowsets


def test_options_are_of_the_source_id_of_the_records():
    messages, _ = replayed("--source-id=77", own("mixed.pcap.gz"))
    assert {m.source_id for m in messages} == {77}
    options = [option for m in messages for option in m.options]
    # Scope System (1), of 4 octets.
    assert options and {o.values[0] for o in options} == {(1, 4, struct.pack("!I", 77))}


def test_each_options_template_has_a_flowset_of_its_own():
    messages, _ = replayed(own("mixed.pcap.gz"))
    n = 0
    for message in messages:
        for flowset in message.flowsets:
            if flowset.id == 1:
                octets = 6 + sum(struct.unpack_from("!HH", flowset.body, 2))
                assert len(flowset.body) - octets in range(4), flowset
                n += 1
    assert n == sum(t.scope > 0 for m in messages for t in m.templates) > 0


def test_each_options_record_has_a_flowset_of_its_own():
    messages, _ = replayed(own("mixed.pcap.gz"))
    for message in messages:
        ids = {option.template_id for option in message.options}
        assert sum(flowset.id in ids for flowset in message.flowsets) == len(message.options)


def test_templates_come_again_in_30_seconds_and_4800_datagrams():
    frames = [(BEGIN_MS + i * 250, udp_frame(i)) for i in range(2000)]
    messages, _, _ = of_capture(frames)
    moments = [m.seconds for m in messages if m.templates]
    gaps = [b - a for a, b in zip(moments, moments[1:])]
    assert moments[0] == messages[0].seconds and len(gaps) > 10
    # A header's second is rounded, and a datagram waits a second for more records.
    assert max(gaps) <= 32, gaps
    for m in messages:
        assert not m.templates or (m.templates == messages[0].templates
                                   and len(m.options) == len(messages[0].options))
    frames = [(BEGIN_MS + i // 10, udp_frame(i)) for i in range(35000)]
    with Datagrams() as receiver, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "made.pcap")
        write_capture(path, frames)
        tap.weir("--collector", receiver.destination(), "--ledger=none", "--template-interval=1h",
                 "--datagram-size=512", path)
    sets = [struct.unpack_from("!H", octets, 20)[0] for octets in receiver.received[0]]
    places = [i for i, first in enumerate(sets) if first == 0]
    assert len(sets) > 4800 and places[0] == 0, len(sets)
    # What is under construction when they are due is sent first: up to a run of each family.
    assert max(b - a for a, b in zip(places, places[1:] + [len(sets)])) <= 4800 + 64, places


def test_a_source_port_begins_with_templates_and_stays():
    with Recorder() as recorder:
        for _ in range(3):
            tap.weir("--collector", recorder.destination, "--ledger=none", own("mixed.pcap.gz"))
    by_port = recorder.by_port()
    assert len(by_port) == 3, "a replay sends from one port"
    for datagrams in by_port.values():
        messages = messages_of(datagrams)
        assert len(messages) > 3 and sum(t.scope == 0 for t in messages[0].templates) == 2


class Recorder:
    """Keeps the port that each datagram came from."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.destination = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.setblocking(False)

    def __enter__(self):
        return self

    def by_port(self):
        found = {}
        while True:
            try:
                octets, (_, port) = self.socket.recvfrom(65535)
            except BlockingIOError:
                return found
            found.setdefault(port, []).append(octets)

    def __exit__(self, *_):
        self.found = self.by_port()
        self.by_port = lambda: self.found
        self.socket.close()


def test_workers_share_one_sequence_and_one_source_id():
    for n in (2, 3):
        messages, _ = replayed(f"--workers={n}", "--datagram-size=512", own("scan.pcap"))
        assert [m.sequence for m in messages] == list(range(len(messages)))
        assert {m.source_id for m in messages} == {1}


def test_the_sequence_counts_datagrams():
    for case, messages in everything():
        assert [m.sequence for m in messages] == list(range(len(messages))), case.name


def test_count_is_the_number_of_records_of_every_kind():
    for case, messages in everything():
        for message in messages:
            assert message.count == message.n_records, (case.name, message.count)


def test_no_id_is_unknown_misread_or_twice():
    assert not {1, 2, 21, 22, 136} & MISREAD_IDS
    for _, messages in everything():
        for message in messages:
            for template in message.templates:
                ids = [element for element, _ in template.fields[template.scope:]]
                assert len(set(ids)) == len(ids), ids
                assert not set(ids) & MISREAD_IDS and max(ids) <= 433, ids
                # Who does not know an id of options drops those options alone.
                assert template.scope or set(ids) <= KNOWN_IDS, ids
                assert all(octets < 65535 for _, octets in template.fields), "variable length"


def test_a_template_id_always_means_the_same_layout():
    layouts = {}
    for _, messages in everything():
        for message in messages:
            for template in message.templates:
                assert layouts.setdefault(template.id, template) == template, template
    assert sum(t.scope == 0 for t in layouts.values()) == 2, layouts


def test_icmp_is_in_icmp_type_and_in_the_destination_port():
    n = 0
    for case, messages in everything():
        expected = sorted((r["proto"], r["icmp_type"] << 8 | r["icmp_code"]) for r in case.truth()
                          if r["proto"] in (1, 58))
        got = []
        for _, record in records_of(messages):
            if record[4] in (1, 58):
                assert record[7] == 0 and record[11] == record[32], record.octets
                got.append((record[4], record[32]))
            else:
                assert record[32] == 0, record.octets
        assert sorted(got) == expected, case.name
        n += len(got)
    assert n > 50


def test_flags_are_of_1_octet_and_counters_of_8():
    for _, messages in everything():
        for message in messages:
            for template in message.templates:
                for element, octets in template.fields:
                    if not template.scope:
                        assert octets == WIDTHS[element], template


def test_counters_beyond_32_bits_arrive_whole():
    n = 65600  # packets of 65535 octets, captured with a small snaplen
    frame = bytearray(udp_frame(1))
    struct.pack_into("!H", frame, 16, 65535)
    messages, _, (truth,) = of_capture([(BEGIN_MS + i // 10, frame) for i in range(n)])
    (record,) = (r for m in messages for r in m.records)
    assert record[1] == n * 65535 == truth["bytes"] > 1 << 32 and record[2] == n


def test_interfaces_are_never_0():
    for _, messages in everything():
        for _, record in records_of(messages):
            assert record[10] > 0 and record[14] > 0


def test_ipv6_is_under_a_template_of_ipv6_alone():
    for _, messages in everything():
        for _, record in records_of(messages):
            assert (27 in record) == (record[60] == 6) and (8 in record) == (record[60] == 4)


def test_a_datagram_is_no_longer_than_the_path_takes():
    for options, family, most in (
            ([], socket.AF_INET, 1400), ([], socket.AF_INET6, 1232),
            (["--datagram-size=512"], socket.AF_INET, 512),
            (["--datagram-size=8952"], socket.AF_INET, 8952)):
        messages, _ = replayed(*options, own("scan.pcap"), family=family)
        sizes = [len(m.octets) for m in messages]
        # And not far below: the next record would not have fitted.
        assert most - 100 < max(sizes) <= most, (options, max(sizes))


class SlowReceiver:
    """Has little buffer, and reads no more than so many datagrams a second."""

    def __init__(self, datagrams_per_s):
        self.interval_s = 1 / datagrams_per_s
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        self.socket.bind(("127.0.0.1", 0))
        self.destination = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.n = 0
        self.done = False
        self.thread = threading.Thread(target=self.read)

    def read(self):
        self.socket.settimeout(0.3)
        while True:
            try:
                self.socket.recv(65535)
            except TimeoutError:
                if self.done:
                    return
                continue
            self.n += 1
            time.sleep(self.interval_s)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()
        self.socket.close()


def test_a_burst_does_not_overflow_a_receiver_that_is_paced_for():
    def arrived(rate):
        with SlowReceiver(1000) as receiver:
            done = tap.weir("--collector", receiver.destination, "--ledger=json",
                            "--datagram-size=512", f"--rate={rate}datagrams", own("scan.pcap"))
        return receiver.n, tap.ledger_of(done.stdout)["sinks"][0]["datagrams"]

    n, n_sent = arrived(200)
    assert n == n_sent > 100, (n, n_sent)
    # The receiver is as slow as was meant: without brakes it loses some.
    n, n_sent = arrived(0)
    assert n < n_sent, (n, n_sent)


def test_frames_that_are_no_ip_are_no_flows():
    arp = b"\xff" * 6 + b"\2\0\0\0\0\2\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + bytes(20)
    stp = b"\1\x80\xc2\0\0\0\2\0\0\0\0\2\0\x26\x42\x42\3" + bytes(35)
    lldp = b"\1\x80\xc2\0\0\x0e\2\0\0\0\0\2\x88\xcc" + bytes(46)
    eapol = b"\1\x80\xc2\0\0\3\2\0\0\0\0\2\x88\x8e" + bytes(46)
    # Not what they say they are: version 4 under IPv6's type, and the other way round.
    crossed = [udp_frame(1)[:12] + b"\x86\xdd" + udp_frame(1)[14:],
               udp_frame(1)[:14] + b"\x65" + udp_frame(1)[15:]]
    frames = [arp, stp, lldp, eapol, b"\x02" * 12 + b"\x81\0\0\5" + lldp[12:], *crossed]
    with Datagrams() as receiver, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "made.pcap")
        write_capture(path, [(BEGIN_MS + i, f) for i, f in enumerate([udp_frame(7), *frames])])
        done = tap.weir("--collector", receiver.destination(), "--ledger=json", path)
    (record,) = (r for m in messages_of(receiver.received[0]) for r in m.records)
    assert record[60] == 4 and str(ipaddress.ip_address(record.octets[8])) == "10.0.0.7"
    ledger = tap.ledger_of(done.stdout)
    assert ledger["metered"]["packets"] == 1 and ledger["received"]["packets"] == 1 + len(frames)
    reasons = {reason: n["packets"] for reason, n in ledger["not_metered"].items() if n["packets"]}
    assert reasons == {"not_ip": 5, "ip_version": 2}, reasons


def test_the_exporter_does_not_meter_its_own_export():
    with live.Line() as line:
        receiver = line.socket("a", socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("192.0.2.1", 0))
        receiver.settimeout(20)
        port = receiver.getsockname()[1]
        with live.Weir(line, "b", "--port", "vb0", "--collector", f"192.0.2.1:{port}",
                       "--idle-timeout=1s") as weir:
            line.send("a", "va0", [udp_frame(i) for i in range(500)])
            datagrams = [receiver.recv(65535)]
            # Twice the idle timeout: a flow of its own datagrams would have come by then.
            first = time.monotonic()
            line.send("a", "va0", [udp_frame(1000)])
            until(lambda: time.monotonic() - first > 2.2, "two idle timeouts")
            ledger = weir.stop()
        receiver.settimeout(0.2)
        try:
            while True:
                datagrams.append(receiver.recv(65535))
        except TimeoutError:
            receiver.close()
    records = [record for m in messages_of(datagrams) for record in m.records]
    assert len(records) == ledger["records"] >= 501
    assert not [r for r in records if r[11] == port]
    assert ledger["not_metered"]["own_export"]["packets"] > 0, ledger["not_metered"]


if __name__ == "__main__":
    tap.run_module(globals())
