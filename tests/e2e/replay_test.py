#!/usr/bin/python3
"""weir replay as users meet it: what each mistake and each broken file gives, and that the
same capture always gives the same."""

import collections
import gzip
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from collect import Datagrams, datagrams_of, free_port, own, printed, tap

CAPTURE = own("mixed.pcap.gz")


def plain(folder, name="mixed.pcap"):
    """The capture without its compression."""
    path = os.path.join(folder, name)
    with gzip.open(CAPTURE) as packed, open(path, "wb") as out:
        shutil.copyfileobj(packed, out)
    return path


def one_line_error(done, *said):
    """Exactly one line on standard error that says all of it (the ledger is elsewhere)."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("weir replay: "), lines
    for text in said:
        assert text in lines[0], (text, lines)


def usage(*arguments, said=()):
    done = tap.weir(*arguments, status=2)
    assert done.stdout == b""
    one_line_error(done, *said)


def test_every_wrong_option_names_itself_and_the_remedy():
    cases = (
        (("--colector=x", "f"), ("--colector", "--help")),
        (("-Z", "f"), ("-Z", "--help")),
        (("--print",), ("--print", "needs a value")),
        (("--print=xml", "f"), ("--print xml", "text, csv or json")),
        (("--ledger=xml", "f"), ("--ledger xml", "text, json or none")),
        (("--progress=maybe", "f"), ("--progress maybe", "auto, always or never")),
        (("--active-timeout=-1", "f"), ("--active-timeout -1", "60s")),
        (("--idle-timeout=-1", "f"), ("--idle-timeout -1", "60s")),
        (("--idle-timeout=5", "f"), ("--idle-timeout 5", "60s")),
        (("--idle-timeout=25h", "f"), ("--idle-timeout 25h", "24h")),
        (("--cache-entries=0", "f"), ("--cache-entries 0",)),
        (("--cache-entries=many", "f"), ("--cache-entries many", "whole number")),
        (("--cache-memory=1", "f"), ("--cache-memory 1",)),
        (("--cache-memory=much", "f"), ("--cache-memory much", "1GiB")),
        (("--workers=0", "f"), ("--workers 0", "1 to 64")),
        (("--workers=65", "f"), ("--workers 65", "1 to 64")),
        (("--hash-secret=mine", "f"), ("--hash-secret mine", "fixed or random")),
        (("--speed=0", "f"), ("--speed 0", "max")),
        (("--speed=fast", "f"), ("--speed fast", "max")),
        (("--source-id=0", "f"), ("--source-id 0",)),
        (("--datagram-size=100", "f"), ("--datagram-size 100", "512")),
        (("--template-interval=0", "f"), ("--template-interval 0", "1s")),
        ((), ("no capture file",)),
    )
    for arguments, said in cases:
        usage(*arguments, said=said)


def test_a_wrong_collector_is_named_before_anything_is_read():
    cases = (
        ("127.0.0.1", "no port"),
        ("127.0.0.1:0", "from 1 to 65535"),
        ("127.0.0.1:70000", "from 1 to 65535"),
        ("no-such-host.invalid:2055", "cannot resolve"),
        ("::1:2055", "brackets"),
    )
    for destination, said in cases:
        resolves = said == "cannot resolve"
        done = tap.weir("--collector", destination, CAPTURE, status=1 if resolves else 2)
        assert done.stdout == b""
        one_line_error(done, destination, said)


def test_a_wrong_filter_is_named():
    done = tap.weir("--filter", "tcp prot 80", CAPTURE, status=2)
    one_line_error(done, "tcp prot 80", "pcap-filter(7)")
    # Right for some captures, though not for this one, of Ethernet.
    done = tap.weir("--filter", "inbound", CAPTURE, status=1)
    one_line_error(done, CAPTURE, "inbound", "pcap-filter(7)")


def test_files_that_are_no_captures_are_named_with_the_remedy():
    with tempfile.TemporaryDirectory() as folder:
        empty, text = os.path.join(folder, "empty"), os.path.join(folder, "text")
        radio = os.path.join(folder, "radio")
        with open(empty, "wb"):
            pass
        with open(text, "w", encoding="ascii") as file:
            file.write("this is not a capture at all\n" * 5)
        with open(radio, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 127))
        cases = (
            (os.path.join(folder, "missing"), "No such file"),
            (folder, "is a directory"),
            (empty, "empty"),
            (text, "weir reads pcap and pcapng"),
            (radio, "link type 127"),
        )
        for path, said in cases:
            one_line_error(tap.weir(path, status=1), path, said)
            # What was read before, and what comes after, is metered all the same.
            for order in ((CAPTURE, path), (path, CAPTURE)):
                done = tap.weir("--ledger=json", *order, status=1)
                one_line_error(done, path, said)
                assert tap.ledger_of(done.stdout)["received"]["packets"] == 4492


def test_a_cut_and_a_damaged_capture_give_what_could_be_read():
    with tempfile.TemporaryDirectory() as folder:
        path = plain(folder)
        whole = open(path, "rb").read()
        # Record 1000 begins here.
        at = 24
        for _ in range(1000):
            at += 16 + struct.unpack_from("<I", whole, at + 8)[0]
        for octets, said in (
            (whole[: at + 7], f"cut short at offset {at}"),
            (whole[: at + 30], f"cut short at offset {at}"),
            (whole[: at + 8] + b"\xff\xff\xff\x7f" + whole[at + 12 :], f"damaged at offset {at}"),
        ):
            with open(path, "wb") as file:
                file.write(octets)
            with Datagrams() as receiver:
                done = tap.weir("--ledger=json", "-c", receiver.destination(), path, status=1)
            one_line_error(done, path, said)
            ledger = tap.ledger_of(done.stdout)
            assert ledger["received"]["packets"] == 1000 and ledger["balanced"]
            assert ledger["sinks"][0]["sent"] == ledger["records"] > 0
            assert receiver.received[0]


def test_a_full_disk_behind_print_is_an_error_and_counted():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [tap.WEIR, "replay", "--print=csv", "--ledger=json", CAPTURE],
            stdout=full, stderr=subprocess.PIPE, check=False, timeout=60,
        )
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr, done.stderr
    sink = tap.ledger_of(done.stderr)["sinks"][0]
    assert sink["sent"] == 0 and sink["lost"]["write_error"] == sink["records"] > 0


def test_a_closed_pipe_behind_print_is_an_error_not_a_crash():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([tap.WEIR, "replay", "--print=csv", CAPTURE], stdout=writer,
                          stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writer)
    assert done.returncode == 1 and b"Broken pipe" in done.stderr, (done.returncode, done.stderr)


def test_a_collector_that_is_not_there_is_said_and_the_other_still_served():
    dead = f"127.0.0.1:{free_port()}"
    with Datagrams() as receiver:
        done = tap.weir("--ledger=json", "-c", dead, "-c", receiver.destination(), CAPTURE, status=1)
    one_line_error(done, dead, "nobody listens")
    ledger = tap.ledger_of(done.stdout)
    assert ledger["balanced"]
    assert ledger["sinks"][1]["sent"] == ledger["records"]
    assert len(receiver.received[0]) == ledger["sinks"][1]["datagrams"]


def test_conversations_are_shared_out_and_the_ledger_adds_up():
    with Datagrams(2) as receiver:
        done = tap.weir("--ledger=json", "--distribute=balance", "-c", receiver.destination(0),
                        "-c", receiver.destination(1), CAPTURE)
    ledger = tap.ledger_of(done.stdout)
    assert ledger["balanced"], ledger
    given = [sink["records"] for sink in ledger["sinks"]]
    assert sum(given) == ledger["records"] and min(given) > 0, given
    assert [len(r) for r in receiver.received] == [s["datagrams"] for s in ledger["sinks"]]


def test_wrong_options_of_tls_are_named():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        name = f"ipfix+tls://127.0.0.1:{probe.getsockname()[1]}"
        done = tap.weir("--tls-ca=/no/such.pem", "-c", name, CAPTURE, status=1)
    assert b"/no/such.pem" in done.stderr, done.stderr
    done = tap.weir("--tls-ca=/no/such.pem", "-c", "127.0.0.1:9", CAPTURE, status=1)
    one_line_error(done, "--tls-ca", "ipfix+tls://")


def test_a_wrong_rate_is_named_with_what_would_do():
    for rate in ("fast", "-1", "1.5", "100MB", "datagrams", "2000000000000"):
        done = tap.weir(f"--rate={rate}", "-c", "127.0.0.1:9", CAPTURE, status=2)
        one_line_error(done, f"--rate {rate}", "500000")


def test_two_collectors_get_the_same_octets():
    with Datagrams(2) as receiver:
        tap.weir("-c", receiver.destination(0), "-c", receiver.destination(1), CAPTURE)
    assert receiver.received[0] == receiver.received[1] != []


def test_a_replay_repeats_byte_for_byte():
    for options in ((), ("--workers=2",), ("--workers=5",), ("--cache-entries=128",),
                    ("--active-timeout=1s", "--idle-timeout=200ms")):
        first = datagrams_of(*options, CAPTURE)
        assert first
        for _ in range(3):
            assert datagrams_of(*options, CAPTURE) == first, options


def test_any_number_of_workers_gives_the_same_records():
    def counted(n):
        return collections.Counter(
            tuple(r.items()) for r in printed(f"--workers={n}", "--idle-timeout=2s", CAPTURE))
    one = counted(1)
    for n in (2, 3, 8):
        assert counted(n) == one, n


def test_a_random_secret_changes_no_record():
    def counted(which):
        return collections.Counter(
            tuple(r.items()) for r in printed(f"--hash-secret={which}", CAPTURE))
    assert counted("random") == counted("fixed")


def test_compressed_piped_and_plain_give_the_same():
    with tempfile.TemporaryDirectory() as folder:
        path = plain(folder)
        expected = printed(CAPTURE)
        assert printed(path) == expected
        subprocess.run(["zstd", "-q", path, "-o", path + ".zst"], check=True)
        assert printed(path + ".zst") == expected
        with open(path, "rb") as file:
            done = tap.weir("--print=json", "--ledger=none", "-", stdin=file)
        assert [json.loads(line) for line in done.stdout.splitlines()] == expected


def test_several_files_are_one_stream():
    with tempfile.TemporaryDirectory() as folder:
        path = plain(folder)
        whole = open(path, "rb").read()
        at = 24
        for _ in range(2000):
            at += 16 + struct.unpack_from("<I", whole, at + 8)[0]
        parts = [os.path.join(folder, name) for name in ("a", "b")]
        for part, octets in zip(parts, (whole[:at], whole[:24] + whole[at:])):
            with open(part, "wb") as file:
                file.write(octets)
        assert printed(*parts) == printed(path)


def test_a_filter_meters_what_it_matches_and_counts_the_rest():
    done = tap.weir("--filter=icmp or icmp6", "--ledger=json", CAPTURE)
    ledger = tap.ledger_of(done.stdout)
    assert ledger["received"]["packets"] == 4492 and ledger["balanced"]
    assert ledger["not_metered"]["filtered"]["packets"] > 0
    protocols = {r["proto"] for r in printed("--filter=icmp or icmp6", CAPTURE)}
    assert protocols == {1, 58}
    done = tap.weir("--filter=icmp or icmp6", "--ledger=json", own("vlan.pcap"))


def test_timeouts_cut_flows_and_the_records_add_up():
    base = printed("--active-timeout=0", "--idle-timeout=0", CAPTURE)
    for options in (("--active-timeout=1s", "--idle-timeout=0"),
                    ("--active-timeout=0", "--idle-timeout=300ms"),
                    ("--cache-entries=64",)):
        records = printed(*options, CAPTURE)
        assert len(records) > len(base), options
        for field in ("packets", "bytes"):
            assert sum(r[field] for r in records) == sum(r[field] for r in base)
    for r in printed("--active-timeout=1s", "--idle-timeout=0", CAPTURE):
        assert r["time_flow_end_ns"] - r["time_flow_start_ns"] <= 10**9, r


def test_speed_follows_the_packets_clock():
    begin = time.monotonic()
    tap.weir("--speed=20", CAPTURE)  # 18.2 s of capture
    seconds = time.monotonic() - begin
    assert 0.85 < seconds < 10, seconds


def test_an_interrupt_exports_what_was_metered():
    process = subprocess.Popen(
        [tap.WEIR, "replay", "--speed=1", "--ledger=json", "--progress=always", CAPTURE],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # The bar appears once packets are read.
    assert process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1 and b"interrupted" in err
    ledger = tap.ledger_of(out)
    assert ledger["balanced"] and 0 < ledger["received"]["packets"] < 4492


def test_an_interrupt_ends_a_wait_for_standard_input():
    process = subprocess.Popen([tap.WEIR, "replay", "--ledger=json", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with gzip.open(CAPTURE) as packed:
        process.stdin.write(packed.read(5000))
    process.stdin.flush()
    time.sleep(0.5)  # there is no event to wait for: weir waits for us
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 1
    ledger = tap.ledger_of(process.stdout.read())
    assert ledger["balanced"] and ledger["received"]["packets"] > 0
    process.stdin.close()


def test_help_fits_a_screen():
    for arguments in (("--help",), ("replay", "-h"), ("replay", "--help-archive"),
                      *((name, "--help") for name in ("run", "replay", "query", "export", "archive",
                                                      "decode", "doctor", "version"))):
        done = subprocess.run([tap.WEIR, *arguments], capture_output=True, check=True, timeout=20)
        lines = done.stdout.decode().splitlines()
        assert 0 < len(lines) <= 24 and max(map(len, lines)) <= 80, (arguments, len(lines))


def test_an_unknown_command_is_a_mistake_of_usage():
    done = subprocess.run([tap.WEIR, "reply"], capture_output=True, check=False, timeout=20)
    assert done.returncode == 2 and b"reply" in done.stderr


if __name__ == "__main__":
    tap.run_module(dict(globals()))
