"""Traffic of an office and its servers, as frames: flows of several protocols over IPv4 and IPv6, some
of which move much and most little."""

import ipaddress
import math
import random
import struct
import threading
import time

MACS = b"\2\0\0\0\0\1\2\0\0\0\0\2"
SERVERS = ["192.0.2.10", "192.0.2.20", "192.0.2.53", "198.51.100.7", "203.0.113.80"]
SERVERS6 = ["2001:db8:20::53", "2001:db8:20:1::80"]
SERVICES = [(6, 443, 50), (6, 80, 8), (17, 443, 14), (17, 53, 9), (6, 22, 4), (6, 445, 5), (17, 123, 1),
            (6, 5432, 4), (17, 5060, 2), (6, 25, 1)]


def frame(source, destination, proto, source_port, port, octets):
    """A frame whose packet of IP has so many octets."""
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    head = 20 if source.version == 4 else 40
    if proto == 6:
        payload = struct.pack("!HHIIHHHH", source_port, port, 1, 1, 0x5010, 1000, 0, 0)
    else:
        payload = struct.pack("!HHHH", source_port, port, max(8, octets - head), 0)
    payload += bytes(max(0, octets - head - len(payload)))
    if source.version == 6:
        ip = struct.pack("!IHBB16s16s", 6 << 28, len(payload), proto, 64, source.packed,
                         destination.packed)
        return MACS + b"\x86\xdd" + ip + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, proto, 0, source.packed,
                     destination.packed)
    return MACS + b"\x08\0" + ip + payload


def arp():
    return MACS + b"\x08\x06" + bytes(46)


def cut_short():
    """IPv4 that says 400 octets and has 26."""
    return MACS + b"\x08\0" + struct.pack("!BBHHHBBH4s4s", 0x45, 0, 400, 0, 0, 64, 17, 0,
                                          b"\x0a\0\0\1", b"\x0a\0\0\2") + bytes(26)


class Office:
    """Conversations, of which random ones go on."""

    def __init__(self, seed=1, n=400):
        self.random = random.Random(seed)
        self.flows = [self.begin() for _ in range(n)]
        self.weights = [1 / (1 + i) ** 0.8 for i in range(n)]

    def begin(self):
        pick = self.random
        proto, port, _ = pick.choices(SERVICES, [weight for _, _, weight in SERVICES])[0]
        if pick.random() < 0.2:
            client, server = f"2001:db8:10::{pick.randrange(1, 40):x}", pick.choice(SERVERS6)
        else:
            client, server = f"10.20.{pick.randrange(3)}.{pick.randrange(2, 60)}", pick.choice(SERVERS)
        near = pick.randrange(32768, 61000)
        down = 1400 if port in (443, 80, 445) else pick.randrange(100, 600)
        return (frame(client, server, proto, near, port, 80),
                frame(server, client, proto, port, near, down))

    def frames(self, n):
        pick = self.random
        self.flows[pick.randrange(len(self.flows))] = self.begin()
        for there, back in pick.choices(self.flows, self.weights, k=n):
            yield back if pick.random() < 0.65 else there
        if pick.random() < 0.2:
            yield arp()
        if pick.random() < 0.02:
            yield cut_short()


class Traffic:
    """Sends it, for the time of a `with`, at a rate that goes up and down."""

    def __init__(self, sender, rate, period_s=60):
        self.sender, self.rate, self.period_s = sender, rate, period_s
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        office = Office()
        begun = time.monotonic()
        due = begun
        while not self.stopped.is_set():
            phase = (time.monotonic() - begun) / self.period_s * 2 * math.pi
            rate = self.rate * (1 + 0.35 * math.sin(phase) + 0.15 * math.sin(3.7 * phase)
                                + 0.1 * office.random.random())
            n = max(1, int(rate / 50))
            for octets in office.frames(n):
                self.sender.send(octets)
            due = max(due + 0.02, time.monotonic() - 0.1)
            self.stopped.wait(max(0, due - time.monotonic()))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
