#!/usr/bin/python3
"""weir export: what a collector gets of an archive is what it got, or would have got, of the
replay itself: every record, times to the millisecond."""

import collections
import ipaddress
import json
import os
import re
import signal
import struct
import subprocess
import tempfile

from archives import Archive, command, csv_of, flip, own
from collect import Datagrams, Nfcapd, need, tap, until
from nfcapd_test import ms_of_text as ms_of_iso
from nfcapd_test import of_nfdump

CAPTURES = sorted(n for n in os.listdir(tap.CAPTURES) if ".pcap" in n)


def counted(values):
    return collections.Counter(values)


def end_of(line):
    return int(line.split(",")[1])


def ledger_of(done):
    return tap.ledger_of(done.stdout if b'"exported"' in done.stdout else done.stderr)


def test_printed_records_are_those_of_the_replay():
    for capture in CAPTURES:
        with Archive(capture) as archive:
            assert counted(archive.csv()) == counted(csv_of(capture)), capture


def test_records_come_in_the_order_of_their_ends():
    with Archive("mixed.pcap.gz", rows=70, group=20) as archive:
        assert len(archive.files()) > 3
        ends = list(map(end_of, archive.csv()))
    assert ends == sorted(ends)


def test_every_row_group_of_an_open_file_is_exported():
    with Archive("mixed.pcap.gz", options=["-p"]) as archive:
        assert any(name.endswith(".part") for name in archive.files())
        assert counted(archive.csv()) == counted(csv_of("mixed.pcap.gz"))


def nfcapd_of(*arguments):
    with Nfcapd() as collector:
        command(*arguments, "--ledger=json", "--collector", collector.destination)
        got = counted(map(of_nfdump, collector.stop()))
    assert "Sequence Errors: 0, Bad Packets: 0" in collector.log, collector.log
    return got


def test_nfcapd_is_refilled_with_what_it_got_live():
    for capture in CAPTURES:
        with Archive(capture) as archive:
            live = nfcapd_of("replay", own(capture))
            refilled = nfcapd_of("export", "--archive", archive.path)
        assert refilled == live and len(live) > 0, capture


def test_an_archive_that_a_replay_wrote_gives_back_what_it_sent():
    for capture in ("mixed.pcap.gz", "web.pcap"):
        with tempfile.TemporaryDirectory(prefix="weir-archive-") as folder:
            path = os.path.join(folder, "archive")
            live = nfcapd_of("replay", "--archive", path, "--sample=2", own(capture))
            assert nfcapd_of("export", "--archive", path) == live and len(live) > 0, capture
            done = command("export", "--archive", path, "--to=csv", "--ledger=none")
        assert counted(done.stdout.decode().splitlines()[1:]) \
            == counted(csv_of(capture, options=["--sample=2"])), capture


def headers(datagrams):
    """Count, uptime, seconds, sequence and source ID (RFC 3954 section 5.1)."""
    return [struct.unpack("!HIIII", datagram[2:20]) for datagram in datagrams]


def exported(*arguments):
    with Datagrams() as receiver:
        command("export", "--ledger=none", "--collector", receiver.destination(), *arguments)
    return receiver.received[0]


def test_headers_have_the_clock_of_the_records_and_one_sequence():
    with Archive("mixed.pcap.gz") as archive:
        datagrams = exported("--archive", archive.path, "--source-id=7")
        lines = archive.csv()
    found = headers(datagrams)
    assert [sequence for _, _, _, sequence, _ in found] == list(range(len(found)))
    assert all(source_id == 7 for *_, source_id in found)
    seconds = [s for _, _, s, _, _ in found]
    assert seconds == sorted(seconds)
    first, last = (end_of(line) / 1e9 for line in (lines[0], lines[-1]))
    assert first <= seconds[0] <= first + 2 and last <= seconds[-1] <= last + 1, (first, seconds, last)


def test_an_export_repeats_octet_for_octet():
    with Archive("mixed.pcap.gz") as archive:
        assert exported("--archive", archive.path) == exported("--archive", archive.path)


def test_the_sampling_of_each_file_is_announced():
    with Archive("ping.pcap", options=["-r", "1"]) as archive:
        archive.add("mixed.pcap.gz", options=["-r", "100", "-s", "b"])
        with Nfcapd() as collector:
            command("export", "--archive", archive.path, "--collector", collector.destination)
            collector.stop()
        rates = counted(line.split(",")[20] for line in archive.csv())
    assert rates == {"1": len(csv_of("ping.pcap")), "100": len(csv_of("mixed.pcap.gz"))}
    assert "interval: 100" in collector.log or "sampling" in collector.log.lower(), collector.log


def test_a_range_takes_what_ended_in_it():
    with Archive("mixed.pcap.gz", rows=70, group=20) as archive:
        lines = archive.csv()
        ends = sorted(map(end_of, lines))
        first, last = ends[len(ends) // 4], ends[3 * len(ends) // 4]
        text = [f"@{ns // 10**9}.{ns % 10**9:09}" for ns in (first, last)]
        got = archive.csv("--from", text[0], "--until", text[1])
        wanted = [line for line in lines if first <= end_of(line) < last]
        assert 0 < len(wanted) < len(lines) and counted(got) == counted(wanted)
        done = command("export", "--archive", archive.path, "--to=csv", "--ledger=json", "--from", text[1])
        ledger = tap.ledger_of(done.stderr)
    assert ledger["balanced"] and ledger["records"] == len(lines)
    assert ledger["outside"] == sum(ns < last for ns in ends)
    assert ledger["exported"] == sum(ns >= last for ns in ends)


def test_to_with_a_time_is_until():
    with Archive("mixed.pcap.gz") as archive:
        lines = archive.csv()
        assert archive.csv("--to=2026-11-24T02:08:47Z") == archive.csv("--until=2026-11-24T02:08:47Z")
        assert 0 < len(archive.csv("--to=2026-11-24T02:08:47Z")) < len(lines)


def test_last_counts_back_from_now():
    with Archive("ping.pcap") as archive:
        assert archive.csv("--last=1s") == []
        assert len(archive.csv("--last=36500d")) == len(csv_of("ping.pcap"))


def test_files_can_be_named_one_by_one():
    with Archive("mixed.pcap.gz") as archive:
        every = counted(archive.csv())
        done = command("export", "--to=csv", "--ledger=none", *reversed(archive.files()))
        assert counted(done.stdout.decode().splitlines()[1:]) == every


def test_csv_can_go_to_a_file_and_to_collectors_at_once():
    with Archive("web.pcap") as archive, Datagrams(2) as receiver:
        out = os.path.join(archive.folder.name, "out.csv")
        done = command("export", "--archive", archive.path, f"--to=csv:{out}", "--ledger=json",
                       "--collector", receiver.destination(0), "--collector", receiver.destination(1))
        with open(out, encoding="utf-8") as file:
            assert counted(file.read().splitlines()[1:]) == counted(csv_of("web.pcap"))
        ledger = ledger_of(done)
    assert [sink["sent"] for sink in ledger["sinks"]] == [len(csv_of("web.pcap"))] * 3
    assert receiver.received[0] == receiver.received[1] != []


def test_json_has_one_object_a_record():
    with Archive("dns.pcap") as archive:
        done = command("export", "--archive", archive.path, "--to=json", "--ledger=none")
    wanted = tap.weir("--print=json", "--ledger=none", own("dns.pcap")).stdout
    assert counted(map(tuple, map(sorted, map(dict.items, map(json.loads, done.stdout.splitlines()))))) \
        == counted(map(tuple, map(sorted, map(dict.items, map(json.loads, wanted.splitlines())))))


def test_a_collector_that_is_not_there_is_told_of():
    with Archive("mixed.pcap.gz") as archive:
        done = command("export", "--archive", archive.path, "--ledger=json",
                       "--collector=127.0.0.1:9", status=1)
    assert b"nobody listens there" in done.stderr and ledger_of(done)["balanced"]


def test_what_cannot_be_read_is_counted_and_the_rest_exported():
    with Archive("mixed.pcap.gz", rows=100, group=40) as archive:
        every = counted(archive.csv())
        flip(archive.files()[0], 600)
        done = command("export", "--archive", archive.path, "--to=csv", "--ledger=json", status=1)
    ledger = tap.ledger_of(done.stderr)
    got = counted(done.stdout.decode().splitlines()[1:])
    assert ledger["balanced"] and ledger["unreadable"] == 40, ledger
    assert got <= every and got.total() == every.total() - 40
    assert b"row group 0" in done.stderr


def test_an_interrupt_ends_an_export_with_a_ledger_that_holds():
    with Archive("scan.pcap", "mixed.pcap.gz", rows=20, group=10) as archive, Datagrams() as receiver:
        process = subprocess.Popen(
            [tap.WEIR, "export", "--archive", archive.path, "--ledger=json", "--rate=40datagrams",
             "--collector", receiver.destination(), "--datagram-size=512"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        until(lambda: receiver.received[0], "the first datagram")
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    ledger = tap.ledger_of(out)
    assert process.returncode == 1 and b"interrupted" in errors
    assert ledger["balanced"] and ledger["left"] > 0 and ledger["exported"] > 0, ledger


def of_ipfix(path):
    """The records that Debian's ipfixDump prints of a file, by the names of IPFIX."""
    done = subprocess.run([need("ipfixDump"), "--in", path], capture_output=True, check=True, timeout=60)
    records = []
    for line in done.stdout.decode().splitlines():
        if line.startswith("--- "):
            records.append({} if line.startswith("--- data record") else None)
        found = re.match(r"\t\(\d+\)[ (S)]+(\w+) : (.*)", line)
        if found:
            records[-1][found[1]] = found[2]
    return [r for r in records if r is not None]


def ms_of_text(text):
    return ms_of_iso(text.replace(" ", "T"))


def row_of_ipfix(r):
    v6 = "sourceIPv6Address" in r
    icmp = r["icmpTypeCodeIPv6" if v6 else "icmpTypeCodeIPv4"]
    source, destination = (r[f"{side}IPv{6 if v6 else 4}Address"] for side in ("source", "destination"))
    return (
        ms_of_text(r["flowStartMilliseconds"]), ms_of_text(r["flowEndMilliseconds"]),
        ipaddress.ip_address(source), ipaddress.ip_address(destination),
        *(int(r[name]) for name in (
            "protocolIdentifier", "sourceTransportPort", "destinationTransportPort",
            "octetDeltaCount", "packetDeltaCount")),
        int(r["tcpControlBits"], 0), int(r["ipClassOfService"], 0),
        int(r["ingressInterface"]), int(r["egressInterface"]),
        r["sourceMacAddress"], r["destinationMacAddress"], int(r["vlanId"]), int(icmp),
        int(r["minimumTTL"]), int(r["flowEndReason"]), int(r["maximumTTL"]),
    )


def row_of_csv(line):
    f = line.split(",")
    icmp = int(f[16]) * 256 + int(f[17])
    return (
        int(f[0]) // 10**6, int(f[1]) // 10**6, ipaddress.ip_address(f[2]), ipaddress.ip_address(f[3]),
        *map(int, f[4:13]), f[13], f[14], int(f[15]), icmp, int(f[19]), int(f[22]), int(f[23]),
    )


def test_ipfix_files_hold_every_record_in_the_order_of_their_ends():
    for capture in CAPTURES:
        with Archive(capture) as archive:
            out = os.path.join(archive.folder.name, "out.ipfix")
            done = command("export", "--archive", archive.path, f"--to=ipfix:{out}", "--ledger=json")
            wanted = list(map(row_of_csv, archive.csv()))
            got = [row_of_ipfix(r) for r in of_ipfix(out) if "octetDeltaCount" in r]
            assert got == wanted, (capture, [pair for pair in zip(got, wanted) if pair[0] != pair[1]][:2])
            assert ledger_of(done)["balanced"] and ledger_of(done)["sinks"][0]["sent"] == len(wanted)


def test_ipfix_files_tell_the_sampling_of_what_follows():
    with Archive("ping.pcap", options=["-r", "1"]) as archive:
        archive.add("mixed.pcap.gz", options=["-r", "100", "-s", "b"])
        out = os.path.join(archive.folder.name, "out.ipfix")
        command("export", "--archive", archive.path, f"--to=ipfix:{out}", "--source-id=9")
        records = of_ipfix(out)
    intervals = [(r["samplingInterval"], r["observationDomainId"]) for r in records if "samplingInterval" in r]
    assert ("1", "9") in intervals and ("100", "9") in intervals, intervals
    sampled = counted_by_interval(records)
    assert sampled == {"1": len(csv_of("ping.pcap")), "100": len(csv_of("mixed.pcap.gz"))}, sampled


def counted_by_interval(records):
    interval, n = None, collections.Counter()
    for r in records:
        interval = r.get("samplingInterval", interval)
        n[interval] += "octetDeltaCount" in r
    return n


def test_wireshark_finds_nothing_wrong_with_ipfix_files():
    with Archive("mixed.pcap.gz", "web.pcap") as archive:
        out = os.path.join(archive.folder.name, "out.ipfix")
        command("export", "--archive", archive.path, f"--to=ipfix:{out}")
        done = subprocess.run(
            [need("tshark"), "-r", out, "-T", "fields", "-e", "cflow.sequence", "-e", "cflow.flowset_id",
             "-e", "_ws.expert.message", "-e", "_ws.malformed"],
            capture_output=True, check=True, timeout=120,
        )
        lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert lines and all(line[2:] == ["", ""] for line in lines), lines
    sequences = [int(line[0]) for line in lines]
    assert sequences[0] == 0 and sequences == sorted(sequences), sequences


def test_a_file_that_cannot_be_written_is_told_of():
    with Archive("mixed.pcap.gz") as archive:
        for form in ("csv", "ipfix"):
            done = command("export", "--archive", archive.path, f"--to={form}:/dev/full", "--ledger=json",
                           status=1)
            ledger = ledger_of(done)
            assert ledger["balanced"] and b"No space left" in done.stderr, done.stderr
            assert ledger["sinks"][0]["lost"]["write_error"] == ledger["exported"], ledger
            command("export", "--archive", archive.path, f"--to={form}:/nonexistent/file", status=1)


def mistake(*arguments):
    done = command("export", *arguments, status=2)
    assert done.stdout == b"" and done.stderr.count(b"\n") == 1, done.stderr
    return done.stderr.decode()


def test_mistakes_name_the_option_and_what_would_do():
    assert "nowhere to export to" in mistake("--archive=/nonexistent")
    assert "not both" in mistake("--archive=/nonexistent", "--to=csv", "x.parquet")
    assert "2026-11-24T10:30" in mistake("--archive=x", "--to=csv", "--from=yesterday")
    assert "--until" in mistake("--archive=x", "--to=parquet")
    assert "not together" in mistake("--archive=x", "--to=csv", "--from=now", "--last=1h")
    assert "--until lies before" in mistake("--archive=x", "--to=csv", "--from=2026-01-02", "--until=2026-01-01")
    assert "ipfix:FILE" in mistake("--archive=x", "--to=ipfix")


def test_an_archive_that_is_not_there_is_said_to_be_so():
    done = command("export", "--archive=/nonexistent/archive", "--to=csv", status=1)
    assert b"/nonexistent/archive" in done.stderr
    done = command("export", "--to=csv", "/nonexistent/file.parquet", status=1)
    assert b"/nonexistent/file.parquet" in done.stderr


if __name__ == "__main__":
    tap.run_module(globals())
