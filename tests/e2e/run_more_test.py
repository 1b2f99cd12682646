#!/usr/bin/python3
"""weir run: which packets are metered, what weir gives up, and starts that fail."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time

from collect import own, tap, until
from live import Line, Weir, need_namespaces, run
from run_test import PRINT, fails, ipv4_udp

NOBODY = 65534


def sent_over(line, weir, frames):
    """Sends frames, and ends weir when they are read."""
    line.send("a", "va0", frames)
    time.sleep(0.3)
    return weir.stop()


def ours(weir):
    return [r for r in weir.records() if r["src_addr"].startswith("10.")]


def test_the_filter_turns_away_and_counts():
    frames = [ipv4_udp(i % 20, i) for i in range(2000)]
    with Line() as line:
        with Weir(line, "b", *PRINT, "--port", "vb0", "--filter", "src net 10.0.0.0/28") as weir:
            ledger = sent_over(line, weir, frames)
            assert {r["src_addr"] for r in ours(weir)} == {f"10.0.0.{i}" for i in range(16)}
    assert ledger["metered"]["packets"] == 1600, ledger
    assert ledger["not_metered"]["filtered"]["packets"] >= 400, ledger


def test_the_filter_in_machine_code_does_the_same():
    if os.geteuid() != 0:
        raise tap.Skip("needs root")
    shares = []
    for port in ("vdev:net_pcap0", "vdev:net_pcap1"):
        port += f",rx_pcap={own('web.pcap')},infinite_rx=1"
        with Weir(None, None, "--port", port, "--filter", "tcp src port 8080 or tcp[13] & 2 != 0") \
                as weir:
            time.sleep(1)
            ledger = weir.stop()
        n = ledger["received"]["packets"]
        shares.append(ledger["not_metered"]["filtered"]["packets"] / n)
        assert n > 10000, ledger
    done = tap.weir("--ledger=json", "--filter", "tcp src port 8080 or tcp[13] & 2 != 0",
                    own("web.pcap"))
    ledger = tap.ledger_of(done.stdout)
    share = ledger["not_metered"]["filtered"]["packets"] / ledger["received"]["packets"]
    assert 0 < share < 1
    assert all(abs(s - share) < 0.01 for s in shares), (shares, share)


def test_second_copies_on_another_port_are_counted_by_pair():
    with Line(2) as line:
        with Weir(line, "b", *PRINT, "--port", "vb0", "--port", "vb1", "--deduplicate",
                  "500ms") as weir:
            for start in range(0, 500, 50):
                frames = [ipv4_udp(i % 20, i + 1) for i in range(start, start + 50)]
                line.send("a", "va0", frames)
                line.send("a", "va1", frames)
            time.sleep(0.3)
            ledger = weir.stop()
            assert sum(r["packets"] for r in ours(weir)) == 500, ledger
            index = {r["in_if"] for r in ours(weir)}
    copies = ledger["not_metered"]["duplicate"]["packets"]
    assert copies >= 500, ledger
    pairs = {(p["first_if"], p["second_if"]): p["packets"] for p in ledger["duplicates"]}
    assert sum(pairs.values()) == copies, ledger
    assert sum(n for (first, second), n in pairs.items() if first != second) >= 500, pairs
    assert index <= {first for first, _ in pairs}, (index, pairs)


def test_one_packet_of_n_is_metered_and_the_rate_told():
    with Line() as line:
        with Weir(line, "b", *PRINT, "--port", "vb0", "--sample", "random:10") as weir:
            ledger = sent_over(line, weir, [ipv4_udp(1, i) for i in range(10000)])
            assert all(r["sampling_rate"] == 10 for r in weir.records())
            assert 990 <= sum(r["packets"] for r in ours(weir)) <= 1010, ledger
    assert ledger["not_metered"]["not_sampled"]["packets"] >= 8990, ledger


def test_each_queue_says_what_it_delivered():
    with Line(2) as line:
        with Weir(line, "b", *PRINT, "--port", "vb0", "--port", "vb1") as weir:
            line.send("a", "va1", [ipv4_udp(2)] * 300)
            ledger = sent_over(line, weir, [ipv4_udp(1)] * 200)
    ports = {p["name"]: p for p in ledger["ports"]}
    assert ports["vb0"]["packets"] >= 200 and ports["vb1"]["packets"] >= 300, ledger
    assert sum(p["packets"] for p in ports.values()) == ledger["received"]["packets"], ledger


def test_lateness_of_ageing_is_measured_and_told():
    with Line() as line:
        with Weir(line, "b", "--port", "vb0", "--idle-timeout=1s", "--print=json",
                  "--report=1s") as weir:
            line.send("a", "va0", [ipv4_udp(i % 200) for i in range(1000)])
            until(lambda: len(ours(weir)) == 200, "the flows to end")
            until(lambda: "idle flows late by p50" in weir.text("err"), "the report")
            ledger = weir.stop()
    late = ledger["lateness"]
    assert late["flows"] >= 200, ledger
    assert late["p50_ms"] <= late["p99_ms"] <= late["max_ms"] <= 1000, ledger
    assert late["max_ms"] > 0, ledger


def status_of(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_weir_gives_up_its_rights_and_its_system_calls():
    with Line() as line:
        with Weir(line, "b", *PRINT, "--port", "vb0") as weir:
            until(lambda: "sandbox: user" in weir.text("err"), "the sandbox")
            for task in os.listdir(f"/proc/{weir.process.pid}/task"):
                with open(f"/proc/{weir.process.pid}/task/{task}/status", encoding="ascii") as file:
                    status = file.read()
                assert "\nSeccomp:\t2\n" in status, status
                assert "\nCapEff:\t0000000000000000\n" in status, status
                assert "\nUid:\t0\t" not in status, status
            ledger = sent_over(line, weir, [ipv4_udp(1)] * 100)
    assert ledger["metered"]["packets"] >= 100


def test_without_the_sandbox_that_is_said():
    with Line() as line:
        with Weir(line, "b", *PRINT, "--port", "vb0", "--no-sandbox") as weir:
            assert "no sandbox, as asked" in weir.text("err"), weir.text("err")
            status = status_of(weir.process)
            assert status["Uid"].split()[0] == "0" and status["Seccomp"] == "0", status
            weir.stop()
        # The user can be chosen; one that there is not is an error.
        with Weir(line, "b", *PRINT, "--port", "vb0", "--user", "daemon") as weir:
            until(lambda: "sandbox: user daemon" in weir.text("err"), "the user")
            weir.stop()
        fails(1, "no user 'weir-none'", "--port=vb0", "--user=weir-none", line=line)


def test_af_xdp_in_the_sandbox_leaves_its_interface_as_it_was():
    with Line() as line:
        try:
            weir = Weir(line, "b", *PRINT, "--port", "af_xdp:vb0",
                        environment={"ASAN_OPTIONS": "detect_leaks=0"}).__enter__()
        except AssertionError as error:
            if "DPDK cannot open it" in str(error) or "cannot set up" in str(error):
                raise tap.Skip(f"no AF_XDP here: {str(error).splitlines()[-1]}")
            raise
        with weir:
            until(lambda: "sandbox: user" in weir.text("err"), "the sandbox")
            shown = line.exec("b", "ip", "-details", "link", "show", "vb0").stdout
            assert b"xdp" in shown, shown
            # A second weir on the port is told.
            fails(1, "another program has AF_XDP on it", "--port=af_xdp:vb0", line=line)
            ledger = sent_over(line, weir, [ipv4_udp(1)] * 100)
            assert ledger["metered"]["packets"] >= 100
        shown = line.exec("b", "ip", "-details", "link", "show", "vb0").stdout
        assert b"xdp" not in shown, shown


def test_two_instances_side_by_side():
    with Line() as line, contextlib.ExitStack() as stack:
        both = [stack.enter_context(Weir(line, "b", *PRINT, "--port", "vb0")) for _ in range(2)]
        both += [stack.enter_context(Weir(line, "b", "--port", "vdev:net_ring0"))
                 for _ in range(2)]
        line.send("a", "va0", [ipv4_udp(1)] * 100)
        time.sleep(0.3)
        for weir in both:
            weir.stop()
        for weir in both[:2]:
            assert sum(r["packets"] for r in ours(weir)) == 100


def running_flows(path):
    """(source address, packets) of each, as a running sensor tells them."""
    flows = []
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as answer:
        client.settimeout(10)
        client.connect(path)
        client.sendall(b"flows\n")
        magic, record_bytes, rate, now, _, _ = struct.unpack("=QIIQII", answer.read(32))
        assert (magic, record_bytes, rate) == (0x3245564952494557, 96, 1)
        assert abs(now / 16000 - time.time()) < 10
        while n := struct.unpack("=I", answer.read(4))[0]:
            for _ in range(n):
                record = answer.read(record_bytes)
                flows.append((socket.inet_ntoa(record[8:12]),
                              struct.unpack_from("=Q", record, 56)[0]))
    return flows


def test_running_flows_can_be_asked_for():
    with Line() as line, tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/new/weir.sock"
        with Weir(line, "b", *PRINT, "--port", "vb0", "--socket", path) as weir:
            line.send("a", "va0", [ipv4_udp(i % 700) for i in range(2100)])
            until(lambda: sum(n for _, n in running_flows(path)) >= 2100, "the packets")
            flows = dict(f for f in running_flows(path) if f[0].startswith("10."))
            assert len(flows) == 700 and set(flows.values()) == {3}, flows
            assert os.stat(path).st_mode & 0o077 == 0
            asked = run(tap.WEIR, "query", "--socket", path, "--format", "csv",
                        "SELECT count(*) n, sum(packets) p FROM live WHERE src_addr LIKE '10.%'")
            assert asked.stdout.decode().split() == ["n,p", "700,2100"], asked.stdout
            # A second weir is told, and runs nevertheless where it did not ask for the place.
            fails(1, "another weir listens at", "--port=vb0", "--socket", path, line=line)
            # Whoever asks for nonsense, or says nothing and stays, hinders nobody.
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"nonsense that is longer than any order\n")
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(100) == b""
            weir.process.kill()
            weir.process.wait()
        # What a kill left behind is no hindrance.
        with Weir(line, "b", *PRINT, "--port", "vb0", "--socket", path) as weir:
            running_flows(path)
            weir.stop()
        with Weir(line, "b", *PRINT, "--port", "vb0", "--socket", "none") as weir:
            weir.stop()


def test_the_file_of_the_socket_goes_where_that_is_allowed():
    with Line() as line, tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = f"{folder}/weir.sock"
        arguments = ("--port", "vb0", "--user", "nobody", "--http=none", "--socket", path)
        # The user that weir has become may not: it stays, and nobody minds.
        with Weir(line, "b", *arguments) as weir:
            weir.stop()
            assert os.path.exists(path)
        os.chown(folder, NOBODY, NOBODY)
        # A kill leaves it, which is no hindrance.
        with Weir(line, "b", *arguments) as weir:
            weir.process.kill()
            weir.process.wait()
            assert os.path.exists(path)
        with Weir(line, "b", *arguments) as weir:
            running_flows(path)
            weir.stop()
            assert not os.path.exists(path)
        # With an archive more calls are allowed.
        with Weir(line, "b", *arguments, "--archive", f"{folder}/archive") as weir:
            weir.stop()
            assert not os.path.exists(path)
        # Someone deleted it, and the next one took the place: it is that one's.
        with Weir(line, "b", *arguments) as first:
            os.unlink(path)
            with Weir(line, "b", *arguments) as second:
                first.stop()
                running_flows(path)
                second.stop()
                assert not os.path.exists(path)


@contextlib.contextmanager
def hugepages(n):
    """So many set aside, as far as the machine has them, and given back."""
    path = "/proc/sys/vm/nr_hugepages"
    with open(path, encoding="ascii") as file:
        before = file.read()
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(n))
        with open(path, encoding="ascii") as file:
            yield int(file.read())
    finally:
        with open(path, "w", encoding="ascii") as file:
            file.write(before)


def test_hugepages_that_were_asked_for_and_are_not_there_are_told():
    need_namespaces()
    try:
        with hugepages(0) as n:
            if n > 0:
                raise tap.Skip("someone uses hugepages")
            fails(1, "no hugepages for", "--port=lo", "--hugepages")
            fails(1, "sysctl vm.nr_hugepages=", "--port=vdev:net_null0", "--hugepages")
        with hugepages(8) as n:
            if n < 8:
                raise tap.Skip("the kernel has no hugepages to give")
            # Exhausted: enough for a small cache, not for EAL too, and not for a large cache.
            fails(1, "too few hugepages are free", "--port=vdev:net_null0", "--hugepages",
                  "--cache-entries=10000")
            fails(1, "no hugepages for", "--port=lo", "--hugepages", "--cache-entries=1000000")
            with Line() as line:
                with Weir(line, "b", *PRINT, "--port", "vb0", "--hugepages", "--cache-entries",
                          "10000") as weir:
                    line.send("a", "va0", [ipv4_udp(1)] * 100)
                    time.sleep(0.2)
                    weir.stop()
                    assert sum(r["packets"] for r in ours(weir)) == 100
    except OSError as error:
        raise tap.Skip(f"hugepages cannot be set aside: {error}")


def test_a_failed_start_says_what_doctor_would():
    need_namespaces()
    with Line() as line:
        line.ip("b", "link", "set", "vb0", "down")
        fails(1, "vb0: link: the interface is down: ip link set dev vb0 up", "--port=vb0",
              line=line)
    fails(1, "weir-none: interface:", "--port=weir-none")
    done = subprocess.run([tap.WEIR, "run", "--port=lo"], capture_output=True, user=NOBODY,
                          group=NOBODY, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and b"rights" in done.stderr or b"CAP_NET_RAW" in done.stderr, \
        done.stderr
    fails(2, "can't parse filter expression", "--port=lo", "--filter=tcp prot 80")
    fails(2, "--sample 0", "--port=lo", "--sample=0")
    fails(2, "--deduplicate 5", "--port=lo", "--deduplicate=5h")


def test_a_second_signal_ends_at_once():
    """While the exporter is held up by a slow reader of its output."""
    with Line() as line:
        read, write = os.pipe()
        process = line.start("b", tap.WEIR, "run", "--port", "vb0", "--print=json",
                             stdout=write, stderr=subprocess.PIPE)
        try:
            os.close(write)
            while b"metering" not in process.stderr.readline():
                assert process.poll() is None
            # More than a pipe holds.
            line.send("a", "va0", [ipv4_udp(i) for i in range(5000)], rate=10**6)
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert process.poll() is None, "it did not wait for its reader"
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == -signal.SIGTERM
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
            os.close(read)


if __name__ == "__main__":
    tap.run_module({n: f for n, f in globals().items() if n.startswith("test_")})
