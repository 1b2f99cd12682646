"""What a soak does to weir, one thing at a time: each function makes a trouble, ends it, and returns
a line that says what it was. Times and choices come from the run's random numbers alone."""

import contextlib
import os
import signal
import socket
import time

from collect import until
from soak_watch import total

TEMPLATES_S = 2  # after a start until templates have come for sure: weir heard that it was away
FIRST_FULL_S = 12
DRIPPERS = 12  # of 16 connections that weir has over HTTP


class NoReload(Exception):
    pass


class Troubles:
    def __init__(self, site, random, scraper):
        self.site, self.random, self.scraper = site, random, scraper
        self.counts = {}
        self.nfcapd_may_lack = 0  # records that were sent while it was not there
        self.times_added = 0  # the collector that comes and goes
        self.reload_kinds, self.reloads = [], {}

    def names(self):
        """Of a round, in an order of its own."""
        names = ["reload", "nfcapd_restart", "receiver_restart", "disk_full", "http_loris",
                 "socket_loris", "link_held", "link_under_traffic"]
        if self.site.arguments.no_reload:
            names.remove("reload")
        else:  # twice, as there are several kinds
            names.append("reload")
        self.random.shuffle(names)
        return names

    def make(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1
        return getattr(self, name)()

    def between(self, low, high):
        return round(self.random.uniform(low, high), 1)

    def sent_to(self, collector):
        return total(self.scraper.last, "weir_sink_sent_records_total", f'sink="{collector}"')

    # The config.

    def check_reload(self):
        """Raises NoReload where this weir has none."""
        if self.site.weir_command("reload", "--help").returncode != 0:
            raise NoReload("this weir has no command reload; --no-reload does without")

    def reload(self):
        if not self.reload_kinds:
            self.reload_kinds = ["timeouts", "collector", "level", "retention", "collector",
                                 "mistake", "restart"]
            self.random.shuffle(self.reload_kinds)
        kind = self.reload_kinds.pop()
        state = self.site.state
        if kind == "mistake":
            return f"a mistake, by {self.apply('refused', idle='soon')}: refused"
        if kind == "restart":
            return f"other workers, by {self.apply('partly', workers=3)}: they need a restart"
        if kind == "timeouts":
            self.change("active", [f"{n}s" for n in range(2, 7)])
            self.change("idle", [f"{n}s" for n in range(1, 4)])
        elif kind == "collector":
            state["more"] = not state["more"]
            self.times_added += state["more"]
        elif kind == "level":
            self.change("level", ["info", "debug"])
        else:
            self.change("retain", [f"{n}s" for n in range(40, 91, 10)])
        return f"{kind}, by {self.apply('applied')}: {state}"

    def change(self, name, values):
        """To another value than it has."""
        state = self.site.state
        state[name] = self.random.choice([value for value in values if value != state[name]])

    def apply(self, result, **for_once):
        """By the signal and by the command in turn. Returns by which."""
        site = self.site
        site.write_config(**for_once)
        offset = site.log_octets()
        self.reloads[result] = self.reloads.get(result, 0) + 1
        if sum(self.reloads.values()) % 2:
            site.weir.process.send_signal(signal.SIGHUP)
            site.wait_said(offset, {"refused": "reload: refused", "partly": "needs a restart",
                                    "applied": " -> "}[result])
            by = "SIGHUP"
        else:
            done = site.weir_command("reload", "--socket", site.path["socket"])
            wanted = {"applied": 0, "refused": 1, "partly": 3}[result]
            assert done.returncode == wanted, \
                f"weir reload ended with {done.returncode}: {done.stdout}{done.stderr}"
            by = "weir reload"
        site.write_config()
        return by

    # Collectors.

    def nfcapd_restart(self):
        site, away_s = self.site, self.between(0.5, 3)
        # The last scrape is of a second ago at most: it can only be less than what was sent.
        before = self.sent_to("192.0.2.1:2055")
        site.nfcapd.end()
        time.sleep(away_s)
        site.nfcapd.start()
        site.nfcapd.tidy()
        site.nfcapd.restarts += 1
        time.sleep(TEMPLATES_S)
        n = self.scraper.n
        until(lambda: self.scraper.n > n + 1 or self.scraper.failures, "another scrape")
        lacks = self.sent_to("192.0.2.1:2055") - before
        self.nfcapd_may_lack += lacks
        return f"away for {away_s} s; {lacks:.0f} records were sent until it had templates for sure"

    def receiver_restart(self):
        site, away_s = self.site, self.between(0.5, 3)
        site.receiver.end()
        time.sleep(away_s)
        site.receiver.start()
        site.receiver.restarts += 1
        return f"away for {away_s} s"

    # The disk.

    def disk_full(self):
        site = self.site
        # At first longer than ever after, before memory is judged: what waited becomes one row group,
        # and the archive keeps the buffers that the largest took.
        full_s = self.between(2, 6) if self.counts["disk_full"] > 1 else FIRST_FULL_S
        offset = site.log_octets()
        with open(site.path["filler"], "wb", buffering=0) as filler, \
                contextlib.suppress(OSError):
            while filler.write(bytes(65536)) > 0:
                pass
            while filler.write(bytes(4096)) > 0:
                pass
        site.wait_said(offset, "No space left on device; records wait in memory")
        time.sleep(full_s)
        os.remove(site.path["filler"])
        site.wait_said(offset, "writing again")
        return f"full for {full_s} s"

    # Who asks, and does not go on.

    def drip(self, clients, octets, seconds):
        end = time.monotonic() + seconds
        n = closed = 0
        while time.monotonic() < end:
            for client in clients:
                try:
                    client.send(octets[n % len(octets)])
                except OSError:
                    closed += 1
            n += 1
            time.sleep(1)
        return n, closed

    def http_loris(self):
        sockets = []
        with contextlib.ExitStack() as stack:
            for _ in range(DRIPPERS):
                client = stack.enter_context(
                    self.site.line.socket("b", socket.AF_INET, socket.SOCK_STREAM))
                client.connect(("127.0.0.1", 9480))
                client.settimeout(1)
                client.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
                sockets.append(client)
            seconds = self.between(3, 8)
            self.drip(sockets, [b"a"], seconds)
        return f"{DRIPPERS} requests, an octet a second, for {seconds} s"

    def socket_loris(self):
        with contextlib.ExitStack() as stack:
            def client(text):
                made = stack.enter_context(socket.socket(socket.AF_UNIX))
                made.settimeout(30)
                made.connect(self.site.path["socket"])
                made.sendall(text)
                return made

            silent = [client(b"stat") for _ in range(2)]
            # One who asks for every flow, and reads none of them for a while.
            stack.callback(client(b"flows\n").close)
            for sock in silent:
                with contextlib.suppress(ConnectionResetError):
                    assert sock.recv(1) == b"", "half a request was answered"
            seconds = self.between(1, 4)
            time.sleep(seconds)
        return f"two half requests, and an answer that nobody read for {seconds} s"

    # Links.

    def flap(self, interface):
        down_s = self.between(0.5, 3)
        self.site.line.ip("b", "link", "set", interface, "down")
        time.sleep(down_s)
        self.site.line.ip("b", "link", "set", interface, "up")
        return down_s

    def link_held(self):
        """Of the packet socket's port, while nothing is on the line: its packets stay exact."""
        site = self.site
        site.quiet()
        try:
            offset = site.log_octets()
            site.line.ip("b", "link", "set", "vb1", "down")
            site.wait_said(offset, "port vb1: link down")
            site.line.ip("b", "link", "set", "vb1", "up")
            site.wait_said(offset, "port vb1: link up")
        finally:
            site.loud()
        return "vb1 down and up, its source held"

    def link_under_traffic(self):
        """Of DPDK's port: its driver tells nothing of links."""
        return f"vb2 down for {self.flap('vb2')} s"
