#!/usr/bin/python3
"""Our datagrams through the decoders of tshark and nfacctd."""

import collections
import json
import os
import subprocess
import tempfile

from collect import datagrams_of, need, own, printed, tap, until, write_pcap

PORT = 2055


def tshark(path, *options):
    done = subprocess.run(
        [need("tshark"), "-n", "-r", path, "-d", f"udp.port=={PORT},cflow", *options],
        capture_output=True, check=True,
    )
    return done.stdout.decode()


def ms_of_text(text):
    """Seconds with a fraction, as tshark prints durations and times with -t e."""
    return round(float(text) * 1000)


def datagram_file(folder, *arguments):
    path = os.path.join(folder, "datagrams.pcap")
    datagrams = datagrams_of(*arguments)
    write_pcap(path, datagrams, PORT)
    return path, datagrams


def check_tshark(name, *options):
    with tempfile.TemporaryDirectory() as folder:
        path, datagrams = datagram_file(folder, *options, own(name))
        assert tshark(path, "-Y", "_ws.malformed || _ws.expert.severity >= warning") == ""
        fields = ["cflow.sequence", "cflow.count", "cflow.source_id", "cflow.packets",
                  "cflow.octets", "cflow.srcport", "cflow.protocol"]
        arguments = [part for field in fields for part in ("-e", field)]
        rows = [line.split("\t") for line in
                tshark(path, "-T", "fields", *arguments).splitlines()]
    assert [int(row[0]) for row in rows] == list(range(len(datagrams)))
    assert {row[2] for row in rows} == {"1"}
    got = []
    for row in rows:
        columns = [[int(v, 0) for v in column.split(",") if v] for column in row[3:]]
        assert len({len(column) for column in columns}) == 1, row
        got += zip(*columns)
    records = printed(*options, own(name))
    expected = [(r["packets"], r["bytes"], r["src_port"], r["proto"]) for r in records]
    assert collections.Counter(got) == collections.Counter(expected)


def check_tshark_times(name):
    """Absolute times by tshark's own arithmetic."""
    with tempfile.TemporaryDirectory() as folder:
        path, _ = datagram_file(folder, own(name))
        packets = json.loads(tshark(path, "-T", "json", "--no-duplicate-keys"))
    got = collections.Counter()

    def walk(node):
        if isinstance(node, list):
            for inner in node:
                walk(inner)
        if not isinstance(node, dict):
            return
        first, last = node.get("cflow.abstimestart"), node.get("cflow.abstimeend")
        if first is None:
            first, last = node.get("cflow.timestart"), node.get("cflow.timeend")
        if first is not None:
            pairs = zip(first, last) if isinstance(first, list) else [(first, last)]
            for pair in pairs:
                # Milliseconds of uptime, as a difference: the length of the flow.
                got[ms_of_text(pair[1]) - ms_of_text(pair[0])] += 1
        for inner in node.values():
            walk(inner)

    walk(packets)
    expected = collections.Counter(
        r["time_flow_end_ns"] // 1000000 - r["time_flow_start_ns"] // 1000000
        for r in printed(own(name))
    )
    assert got == expected, (got - expected, expected - got)


def nfacctd_second(time_ns):
    """nfacctd 1.7.7 takes the age of a flow off unix_secs in whole seconds, rounded down, so
    the times it shows are ours to the millisecond, rounded up to a second."""
    return -(-(time_ns // 10**6) // 1000)


def n_lines(path):
    if not os.path.exists(path):
        return 0
    with open(path, "rb") as file:
        return file.read().count(b"\n")


def check_nfacctd(name):
    wanted = printed(own(name))
    with tempfile.TemporaryDirectory() as folder:
        path, datagrams = datagram_file(folder, own(name))
        out = os.path.join(folder, "out.json")
        config = os.path.join(folder, "nfacctd.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(
                f"pcap_savefile: {path}\nplugins: print[p]\nprint_output[p]: json\n"
                f"print_output_file[p]: {out}\nprint_refresh_time[p]: 1\n"
                # A busy machine spreads the records over several refreshes: each must add to
                # the file, not replace it, and none may be lost between nfacctd's processes.
                "print_output_file_append[p]: true\nplugin_pipe_size[p]: 8000000\n"
                "timestamps_since_epoch: true\n"
                "aggregate[p]: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags,in_iface,"
                "out_iface,vlan,src_mac,dst_mac,timestamp_start,timestamp_end,"
                "export_proto_seqno\n"
            )
        log = open(os.path.join(folder, "log"), "wb")
        process = subprocess.Popen([need("nfacctd"), "-f", config], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log)
        log.close()
        try:
            until(lambda: n_lines(out) >= len(wanted), "nfacctd's records")
        except AssertionError as late:
            with open(os.path.join(folder, "log"), encoding="utf-8") as file:
                raise AssertionError(f"{late}: {n_lines(out)} of {len(wanted)}\n{file.read()}")
        finally:
            process.terminate()
            process.wait(20)
        with open(out, encoding="utf-8") as file:
            records = [json.loads(line) for line in file if line.startswith("{")]

    assert {r["export_proto_seqno"] for r in records} == set(range(len(datagrams)))
    names = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}
    got = collections.Counter(
        (r["ip_src"], r["ip_dst"], str(r["ip_proto"]), r["port_src"], r["port_dst"], r["tos"],
         int(r["tcp_flags"]), r["vlan"], r["mac_src"], r["mac_dst"], r["iface_in"],
         r["iface_out"], r["packets"], r["bytes"], int(float(r["timestamp_start"])),
         int(float(r["timestamp_end"])))
        for r in records
    )
    expected = collections.Counter(
        (r["src_addr"], r["dst_addr"], names.get(r["proto"], str(r["proto"])), r["src_port"],
         r["dst_port"], r["ip_tos"], r["tcp_flags"], r["vlan_id"], r["src_mac"], r["dst_mac"],
         1, 1, r["packets"], r["bytes"], nfacctd_second(r["time_flow_start_ns"]),
         nfacctd_second(r["time_flow_end_ns"]))
        for r in wanted
    )
    assert got == expected, (list((got - expected).items())[:3], list((expected - got).items())[:3])


# Of all captures, and field by field: tests/interop, which does not run under sanitizers.
TESTS = []
for capture in ("fragments.pcap", "mixed.pcap.gz"):
    TESTS.append((f"tshark finds nothing wrong with {capture}",
                  lambda capture=capture: check_tshark(capture)))
    TESTS.append((f"tshark computes the durations of {capture}",
                  lambda capture=capture: check_tshark_times(capture)))
    TESTS.append((f"nfacctd reads {capture}", lambda capture=capture: check_nfacctd(capture)))
TESTS.append(("tshark finds nothing wrong with small datagrams",
              lambda: check_tshark("mixed.pcap.gz", "--datagram-size=512")))

if __name__ == "__main__":
    tap.run(TESTS)
