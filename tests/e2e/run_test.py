#!/usr/bin/python3
"""weir run on interfaces in network namespaces: what it meters live equals what weir replay says
of tcpdump's capture of the same interface, packet for packet."""

import collections
import json
import os
import re
import signal
import struct
import subprocess
import threading
import time

from collect import Nfcapd, own, printed, tap, until
from live import SLOW, Line, Tcpdump, Weir, need_namespaces

MACS = b"\x02\0\0\0\0\1" + b"\x02\0\0\0\0\2"
WHOLE = ("--active-timeout=0", "--idle-timeout=0")
PRINT = ("--print=json", *WHOLE)


def ipv4_udp(i, n=0, octets=46):
    """A frame of flow `i`: UDP over IPv4, padded."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, octets, n & 0xFFFF, 0, 64, 17, 0,
                     struct.pack("!I", 0x0A000000 + i), b"\xc6\x33\x64\1")
    return MACS + b"\x08\0" + ip + struct.pack("!HHHH", 1000, 2000, octets - 20, 0) \
        + bytes(octets - 28)


def odd_frames():
    """Tags, fragments' like, runts, and what is no IP."""
    packet = ipv4_udp(7)[12:]
    yield MACS + b"\x81\0\0\x64" + packet
    yield MACS + b"\x88\xa8\0\x64\x81\0\0\x65" + packet
    yield MACS + b"\x81\0\xe0\0" + packet  # priority alone
    yield MACS + b"\x08\0"
    yield MACS + b"\x08\0E"
    yield MACS + b"\x08\x06" + bytes(28)
    yield MACS + b"\x86\xdd\x60" + bytes(20)


TIMES = ("time_flow_start_ns", "time_flow_end_ns")
# A capture does not know its interface, and ends otherwise.
OTHER = ("in_if", "out_if", "flow_end_reason")


def of(records):
    """The times of each flow, by all else that is said of it; without what the hosts say to join
    groups of multicast (RFC 3810), whenever they like."""
    flows = collections.defaultdict(list)
    for r in records:
        if r["dst_addr"] != "ff02::16":
            key = tuple(v for k, v in r.items() if k not in OTHER + TIMES)
            flows[key].append(tuple(r[k] for k in TIMES))
    return {key: sorted(times) for key, times in flows.items()}


def assert_same(live, capture, times=True):
    got, expected = of(live), of(printed(*WHOLE, capture))
    assert got, "no flow at all"
    count = ({k: len(v) for k, v in flows.items()} for flows in (got, expected))
    assert len(set(map(str, (sorted(c.items()) for c in count)))) == 1, (
        [k for k in got if k not in expected][:3], [k for k in expected if k not in got][:3])
    if not times:
        return
    # Of the same packet two sockets may have times some us apart.
    for key, spans in expected.items():
        for mine, theirs in zip(got[key], spans):
            assert all(abs(a - b) < 1000000 for a, b in zip(mine, theirs)), (key, mine, theirs)


def talk(line):
    """Real programs over IPv4 and IPv6."""
    server = line.start("b", "python3", "-m", "http.server", "8000", "--bind", "::",
                        "--directory", os.path.dirname(own("web.pcap")),
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: line.exec("b", "ss", "-Hltn", "sport = :8000").stdout, "the web server")
        for address in ("192.0.2.2", "[2001:db8::2]"):
            line.exec("a", "curl", "-s", "-o", "/dev/null", f"http://{address}:8000/web.pcap")
            line.exec("a", "curl", "-s", "-o", "/dev/null", f"http://{address}:8000/README.md")
    finally:
        server.kill()
        server.wait()
    for address in ("192.0.2.2", "2001:db8::2"):
        line.exec("a", "ping", "-c", "3", "-i", "0.2", "-s", "4000", address)
    line.send("a", "va0", odd_frames())


def live_and_captured(line, *arguments, traffic=talk):
    with Tcpdump(line, "b", "vb0") as capture, Weir(line, "b", *PRINT, *arguments) as weir:
        traffic(line)
        capture.stop()
        ledger = weir.stop()
        assert not any(n["packets"] for reason, n in ledger["not_metered"].items()
                       if reason.startswith("port_")), ledger
        assert_same(weir.records(), capture.path)
    return ledger


def test_flows_of_real_programs_equal_those_of_tcpdump():
    with Line() as line:
        ledger = live_and_captured(line, "--port", "af_packet:vb0")
    for reason in ("not_ip", "ip_truncated"):
        assert ledger["not_metered"][reason]["packets"] > 0, ledger


def test_two_workers_give_the_same_flows_through_software_fan_out():
    with Line() as line:
        live_and_captured(line, "--port", "vb0", "--workers=2", "--idle=poll")


def frames_of(path):
    """Of a pcap in the byte order of this machine."""
    with open(path, "rb") as file:
        file.read(24)
        while header := file.read(16):
            yield file.read(struct.unpack("<4I", header)[2])


def test_captures_sent_again_arrive_packet_for_packet():
    def traffic(line):
        for name in ("vlan.pcap", "fragments.pcap", "dns.pcap", "scan.pcap"):
            line.send("a", "va0", (f for f in frames_of(own(name)) if len(f) <= 1518))

    with Line() as line:
        live_and_captured(line, "--port", "vb0", "--workers=3", traffic=traffic)


def test_flood_of_small_packets_loses_none():
    """What one sender in Python makes; flows equal those of tcpdump too."""
    def traffic(line):
        line.send("a", "va0", [ipv4_udp(i % 1000, i) for i in range(200000)], rate=10**9)

    with Line() as line:
        ledger = live_and_captured(line, "--port", "vb0", traffic=traffic)
    assert ledger["metered"]["packets"] >= 200000


def test_af_xdp_gives_the_flows_that_were_sent():
    frames = [ipv4_udp(i % 100, i) for i in range(20000)] + list(odd_frames())
    with Line() as line:
        # AF_XDP takes the packets away from the namespace: one direction is all there is.
        with Tcpdump(line, "a", "va0", "-Q", "out") as capture:
            try:
                # DPDK's driver and libxdp lose 80 octets when they end.
                weir = Weir(line, "b", *PRINT, "--port", "af_xdp:vb0",
                            environment={"ASAN_OPTIONS": "detect_leaks=0"}).__enter__()
            except AssertionError as error:
                if "DPDK cannot open it" in str(error) or "cannot set up" in str(error):
                    raise tap.Skip(f"no AF_XDP here: {str(error).splitlines()[-1]}")
                raise
            with weir:
                line.send("a", "va0", frames)
                capture.stop()
                ledger = weir.stop()
                # Its packets are stamped when they are read.
                assert_same(weir.records(), capture.path, times=False)
                assert "net_af_xdp" in weir.text("err"), weir.text("err")
                # What libraries have to say is no matter of the user's.
                assert "libbpf" not in weir.text("err"), weir.text("err")
    assert ledger["metered"]["packets"] >= 20000


def test_nfcapd_receives_them_and_own_export_is_apart():
    with Line() as line:
        with Nfcapd("192.0.2.1", prefix=line.prefix("a")) as collector:
            with Weir(line, "b", "--port", "vb0", "--collector", collector.destination,
                      "--idle-timeout=1s") as weir:
                line.send("a", "va0", [ipv4_udp(i % 50, i) for i in range(5000)])
                until(lambda: line.exec("a", "ss", "-Hlun", f"sport = :{collector.port}"), "it")
                time.sleep(4)
                ledger = weir.stop()
            got = collector.stop()
        sink = ledger["sinks"][0]
        assert sink["sent"] == ledger["records"] == len(got), (ledger, len(got))
        assert sum(r["in_packets"] for r in got) == ledger["record_packets"]
        exported = ledger["not_metered"]["own_export"]["packets"]
        # The flush at the end comes when nothing is received any more.
        assert 0 < exported <= sink["datagrams"], ledger
        assert not any(r.get("dst_port") == collector.port for r in got)


def test_a_stop_under_traffic_accounts_for_every_packet():
    with Line() as line:
        for number in (signal.SIGTERM, signal.SIGINT):
            with Weir(line, "b", "--port", "vb0", "--workers=2") as weir:
                done = threading.Event()

                def traffic():
                    while not done.is_set():
                        line.send("a", "va0", [ipv4_udp(i) for i in range(2000)], rate=10**6)

                sender = threading.Thread(target=traffic)
                sender.start()
                try:
                    time.sleep(1)
                    ledger = weir.stop(number)
                finally:
                    done.set()
                    sender.join()
                assert ledger["metered"]["packets"] > 1000, ledger


def test_flows_leave_in_time_when_nothing_comes_any_more():
    with Line() as line:
        with Weir(line, "b", "--port", "vb0", "--print=json", "--idle-timeout=2s") as weir:
            time.sleep(1)
            line.send("a", "va0", [ipv4_udp(i) for i in range(100)])
            sent = time.monotonic()
            until(lambda: sum(r["src_addr"].startswith("10.") for r in weir.records()) == 100,
                  "the flows")
            # Within a second of the timeout, and then up to one for a datagram to fill.
            took = time.monotonic() - sent
            assert 1.9 < took < 2 + 2.1 * SLOW, took
            assert all(r["flow_end_reason"] == 1 for r in weir.records()), weir.records()
            weir.stop()


def test_two_ports_keep_their_interfaces_apart_and_one_may_vanish():
    with Line(2) as line:
        with Weir(line, "b", *PRINT, "--port", "vb0", "--port", "vb1") as weir:
            line.send("a", "va0", [ipv4_udp(1)] * 10)
            line.send("a", "va1", [ipv4_udp(2)] * 20)
            line.ip("b", "link", "delete", "vb1")
            until(lambda: "port vb1: the device is gone" in weir.text("err"), "the message")
            line.send("a", "va0", [ipv4_udp(1)] * 5)
            time.sleep(0.2)
            weir.stop()
            flows = {r["src_addr"]: r for r in weir.records() if r["src_addr"].startswith("10.")}
            assert flows["10.0.0.1"]["packets"] == 15, flows
            assert flows["10.0.0.2"]["packets"] == 20, flows
            assert flows["10.0.0.1"]["in_if"] != flows["10.0.0.2"]["in_if"], flows


def test_a_link_that_goes_down_and_up_is_told_and_packets_go_on():
    with Line() as line:
        with Weir(line, "b", *PRINT, "--port", "vb0") as weir:
            line.send("a", "va0", [ipv4_udp(1)] * 10)
            line.ip("b", "link", "set", "vb0", "down")
            until(lambda: "port vb0: link down" in weir.text("err"), "the message")
            line.ip("b", "link", "set", "vb0", "up")
            until(lambda: "port vb0: link up" in weir.text("err"), "the message")
            line.send("a", "va0", [ipv4_udp(1)] * 10)
            time.sleep(0.2)
            weir.stop()
            assert sum(r["packets"] for r in weir.records() if r["src_addr"] == "10.0.0.1") == 20


def test_weir_ends_with_its_last_port():
    with Line() as line:
        with Weir(line, "b", *PRINT, "--port", "vb0") as weir:
            line.send("a", "va0", [ipv4_udp(1)] * 10)
            time.sleep(0.2)
            line.ip("b", "link", "delete", "vb0")
            until(lambda: "the device is gone" in weir.text("err"), "the message")
            weir.wait(time.monotonic(), status=1)
            assert "no port is left" in weir.text("err")
            assert sum(r["packets"] for r in weir.records() if r["src_addr"] == "10.0.0.1") == 10


def test_a_silent_port_costs_next_to_no_time():
    if SLOW > 1:
        raise tap.Skip("no matter under a sanitizer")
    with Line() as line:
        with Weir(line, "b", "--port", "vb0") as weir:
            time.sleep(1)
            ticks = os.sysconf("SC_CLK_TCK")

            def used():
                with open(f"/proc/{weir.process.pid}/stat", encoding="ascii") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                return (int(fields[11]) + int(fields[12])) / ticks

            before = used()
            time.sleep(5)
            share = (used() - before) / 5
            weir.stop()
    print(f"# {100 * share:.1f} % of a core on a silent port")
    assert share < 0.05, share


def flood(port, *arguments, seconds=2):
    if os.geteuid() != 0:
        raise tap.Skip("needs root")
    with Weir(None, None, "--port", port, *arguments) as weir:
        time.sleep(seconds)
        ledger = weir.stop()
    print(f"# {port.split(',')[0]}: {ledger['received']['packets'] / seconds / 1e6:.1f} "
          "million packets/s")
    return ledger


def test_a_flood_of_net_null_is_accounted_for():
    ledger = flood("vdev:net_null0", "--idle=poll")
    n = ledger["received"]["packets"]
    assert n > 100000 and ledger["not_metered"]["not_ip"]["packets"] == n, ledger


def test_a_flood_of_net_pcap_is_accounted_for_on_any_number_of_workers():
    for workers in (1, 2):
        ledger = flood(f"vdev:net_pcap0,rx_pcap={own('dns.pcap')},infinite_rx=1",
                       f"--workers={workers}")
        assert ledger["metered"]["packets"] > 100000, ledger


def test_net_ring_starts_and_stops():
    assert flood("vdev:net_ring0", seconds=0.5)["received"]["packets"] == 0


def fails(status, says, *arguments, line=None):
    prefix = line.prefix("b") if line is not None else []
    done = subprocess.run([*prefix, tap.WEIR, "run", *arguments], capture_output=True,
                          timeout=60, stdin=subprocess.DEVNULL)
    text = done.stderr.decode()
    assert done.returncode == status and says in text, (done.returncode, text)


def test_wrong_use_is_told():
    fails(2, "no port given")
    fails(2, "driver not known", "--port=foo:bar")
    fails(2, "given twice", "--port=a", "--port=a")
    fails(2, "there is no core 1023", "--port=a", "--cores=1023")
    fails(2, "not a list of cores", "--port=a", "--cores=2-1")
    fails(2, "is not an option", "--port=a", "eth0")
    fails(2, "at least 1s", "--port=a", "--report=1ms")


def test_ports_that_cannot_be_opened_are_told_with_what_would_do():
    need_namespaces()
    fails(1, "no interface 'weir-none'", "--port=weir-none")
    fails(1, "no interface 'weir-none'", "--port=af_xdp:weir-none")
    fails(1, "it has no driver 'net_nosuch0'", "--port=vdev:net_nosuch0")
    with Line() as line:
        line.ip("b", "link", "set", "vb0", "down")
        fails(1, "'ip link set vb0 up'", "--port=vb0", line=line)
        fails(1, "'ip link set vb0 up'", "--port=af_xdp:vb0", line=line)


def test_the_log_is_json_where_asked():
    with Line() as line:
        with Weir(line, "b", *PRINT, "--port", "vb0", "--log-format=json",
                  "--log-level=notice") as weir:
            line.ip("b", "link", "set", "vb0", "down")
            until(lambda: "link down" in weir.text("err"), "the message")
            weir.stop()
            lines = [json.loads(text) for text in weir.text("err").splitlines()]
    said = {(event["level"], event.get("thing")): event for event in lines if "level" in event}
    assert said["warning", "port vb0"]["message"] == "port vb0: link down", lines
    assert {level for level, _ in said} == {"notice", "warning"}, said
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
               for event in said.values()), said


def test_without_rights_weir_says_which_it_needs():
    if os.geteuid() != 0:
        raise tap.Skip("needs root, to become someone else")
    done = subprocess.run([tap.WEIR, "run", "--port=lo"], capture_output=True, user=65534,
                          group=65534, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and b"needs root, or CAP_NET_RAW" in done.stderr, done.stderr


if __name__ == "__main__":
    tap.run_module(globals())
