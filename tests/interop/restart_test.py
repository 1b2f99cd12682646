#!/usr/bin/python3
"""A collector that dies and comes back. The kernel tells by ICMP that nobody listens; weir says so,
loses no more than what was sent to nobody, and sends the templates at once that the collector has
forgotten."""

import socket
import struct
import subprocess
import threading
import time

import readers
from records import Nfcapd, own, tap, until
from strict import Message

import live  # of tests/e2e

SCHEDULING_S = 0.5  # on a machine that does much else
BACK_S = 1.0
RUN_DATAGRAMS = 32
HOST = "192.0.2.1"


def udp_frame(number):
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 46, 1, 0, 64, 17, 0,
                     struct.pack("!I", 0x0A000000 + number), b"\xc6\x33\x64\1")
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + struct.pack("!HHHH", 1000, 2000, 26, 0) \
        + bytes(18)


class Counter:
    """Counts the datagrams that come to a socket, and keeps them."""

    def __init__(self, receiver):
        self.socket = receiver
        self.socket.settimeout(0.2)
        self.datagrams = []
        self.done = False
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while True:
            try:
                self.datagrams.append(self.socket.recv(65535))
            except TimeoutError:
                if self.done:
                    return

    def more(self, n, what):
        """Waits for another `n`."""
        wanted = len(self.datagrams) + n
        until(lambda: len(self.datagrams) >= wanted, what)

    def close(self):
        self.done = True
        self.thread.join()
        self.socket.close()


def listening(port=0):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", port))
    return receiver


def killed(collector):
    """Ends it without a word to anyone."""
    collector.process.kill()
    collector.process.wait(20)


def decoded(collector, begun_s):
    """Its records; it has decoded the first soon after it was up."""
    got = collector.stop()
    assert got and "Sequence Errors: 0, Bad Packets: 0" in collector.log, collector.log
    took_s = min(readers.ms_of_text(r["received"]) for r in got) / 1000 - begun_s
    assert took_s <= BACK_S + SCHEDULING_S * live.SLOW, f"decodes again after {took_s:.2f} s"
    return got


class Replay:
    """A slow replay to a port, and to a second collector that shows how far it has come."""

    def __init__(self, port):
        self.other = Counter(listening())
        self.process = subprocess.Popen(
            [tap.WEIR, "replay", "--ledger=json", f"--collector=127.0.0.1:{port}",
             "--collector=127.0.0.1:%d" % self.other.socket.getsockname()[1], "--rate=100datagrams",
             "--datagram-size=512", own("scan.pcap")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def ledger(self):
        """Waits for the end."""
        out, err = self.process.communicate(timeout=60)
        assert b"nobody listens there" in err, err
        ledger = tap.ledger_of(out)
        assert ledger["balanced"] and self.process.returncode == 1, ledger
        return ledger

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.other.close()


def test_a_replay_goes_on_to_a_collector_that_was_restarted():
    with Nfcapd() as collector, Replay(collector.port) as replay:
        replay.other.more(20, "the first datagrams")
        killed(collector)
        replay.other.more(RUN_DATAGRAMS + 8, "datagrams to nobody")
        with Nfcapd(port=collector.port) as again:
            begun_s = time.time()
            replay.ledger()
            decoded(again, begun_s)


def test_no_more_is_lost_than_was_sent_to_nobody():
    receiver = listening()
    port = receiver.getsockname()[1]
    with Replay(port) as replay:
        before = [receiver.recv(65535) for _ in range(20)]
        receiver.close()
        # More than a run of them, which the kernel is given as one.
        replay.other.more(RUN_DATAGRAMS + 8, "datagrams to nobody")
        after = Counter(listening(port))
        ledger = replay.ledger()
        after.close()
    sink = ledger["sinks"][0]
    templates, sequences, n_records, n_early = {}, [], 0, 0
    for octets in before:
        n_records += len(Message(octets, templates).records)
    templates = {}  # as it has forgotten them
    for octets in after.datagrams:
        sequences.append(int.from_bytes(octets[12:16], "big"))
        try:
            n_records += len(Message(octets, templates).records)
        except AssertionError:
            n_early += 1
    # What was encoded before the refusal was seen is without templates: a run of datagrams, which
    # goes to the kernel as one (exporter/export_run.h). The next datagram has them.
    assert n_early <= RUN_DATAGRAMS + 1, n_early
    assert sequences == list(range(sequences[0], sink["datagrams"])), sequences
    n_lost = sequences[0] - len(before) + n_early
    most = 7  # records in 512 octets
    n_missing = ledger["records"] - n_records
    assert sink["sent"] + sum(sink["lost"].values()) == ledger["records"]
    assert 0 < n_missing <= n_lost * most, (n_missing, n_lost)


def test_a_live_run_goes_on_to_a_collector_that_was_restarted():
    with live.Line() as line:
        # The kernel answers once a second, and so may have answered for the last time before the
        # collector is back: templates come again for a while without that.
        receiver = line.socket("a", socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((HOST, 0))
        other = Counter(receiver)
        prefix, done = line.prefix("a"), threading.Event()

        def traffic():
            number = 0
            while not done.is_set():
                line.send("a", "va0", [udp_frame(number + i) for i in range(64)], rate=640)
                number += 64

        sender = threading.Thread(target=traffic)
        try:
            with Nfcapd(HOST, prefix) as collector, live.Weir(
                    line, "b", "--port", "vb0", "--collector", collector.destination,
                    "--collector", "%s:%d" % receiver.getsockname(), "--idle-timeout=1s") as weir:
                sender.start()
                other.more(10, "exports")
                killed(collector)
                other.more(30, "exports to nobody")
                with Nfcapd(HOST, prefix) as again:
                    begun_s = time.time()
                    other.more(50, "exports to the new one")
                    done.set()
                    sender.join()
                    ledger = weir.stop(status=1)  # since it was refused
                    n_decoded = len(decoded(again, begun_s))
                assert "nobody listens there" in weir.text("err"), weir.text("err")
        finally:
            done.set()
            if sender.is_alive():
                sender.join()
            other.close()
    sink = ledger["sinks"][0]
    assert sink["sent"] + sum(sink["lost"].values()) == ledger["records"] > n_decoded > 500


if __name__ == "__main__":
    tap.run_module(globals())
