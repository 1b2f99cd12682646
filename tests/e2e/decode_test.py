#!/usr/bin/python3
"""weir decode on what weir and softflowd export, against tshark's reading of the same."""

import collections
import json
import os
import signal
import socket
import subprocess
import tempfile

from collect import ENVIRONMENT, datagrams_of, need, own, printed, tap, until, write_pcap

PORT = 2055
# What both name alike, weir's name first.
COLUMNS = {
    "bytes": "cflow.octets", "packets": "cflow.packets", "src_port": "cflow.srcport",
    "dst_port": "cflow.dstport", "proto": "cflow.protocol",
}


def decode(*arguments, status=0, **options):
    """Runs weir decode; returns what it printed, an object a line."""
    done = subprocess.run([tap.WEIR, "decode", "--format=json", *map(str, arguments)],
                          capture_output=True, timeout=120, **options)
    assert done.returncode == status, (done.returncode, done.stderr, done.stdout[-600:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_type(objects, kind):
    return [entry for entry in objects if entry["type"] == kind]


class Listening:
    """weir decode at a port of its choice, for the time of a `with`; ended with Ctrl-C."""

    def __init__(self, *options, host="127.0.0.1"):
        self.options = options
        self.host = host

    def errors(self):
        with open(self.error.name, encoding="utf-8") as file:
            return file.read()

    def __enter__(self):
        self.out = tempfile.NamedTemporaryFile(prefix="weir-decode-")
        self.error = tempfile.NamedTemporaryFile(prefix="weir-decode-")
        self.process = subprocess.Popen(
            [tap.WEIR, "decode", "--format=json", "--listen", f"{self.host}:0", *self.options],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.error,
        )
        until(lambda: "listening on " in self.errors(), "weir decode to listen")
        self.destination = self.errors().split("listening on ")[1].split()[0]
        self.port = int(self.destination.rsplit(":", 1)[1])
        return self

    def objects(self):
        with open(self.out.name, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def stop(self, status=0, n_records=0):
        until(lambda: len(of_type(self.objects(), "record")) >= n_records, "the records")
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == status, self.objects()[-3:]
        return self.objects()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.out.close()
        self.error.close()


def softflowd(version, capture):
    """The datagrams that softflowd makes of a capture."""
    datagrams = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, \
            tempfile.TemporaryDirectory() as folder:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        # With a control socket it never reads the file.
        subprocess.run(
            [need("softflowd"), "-r", capture, "-n", f"127.0.0.1:{receiver.getsockname()[1]}",
             "-v", str(version), "-d", "-6", "-c", "none", "-p", os.path.join(folder, "pid")],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True,
            env=ENVIRONMENT,
        )
        # It has ended: on loopback everything has come.
        while True:
            try:
                datagrams.append(receiver.recv(65535))
            except BlockingIOError:
                return datagrams


def tshark(path):
    """The values of each field, by datagram."""
    done = subprocess.run(
        [need("tshark"), "-n", "-r", path, "-d", f"udp.port=={PORT},cflow", "-T", "json",
         "--no-duplicate-keys"],
        capture_output=True, check=True,
    )
    datagrams = []

    def walk(node, values):
        for key, inner in node.items() if isinstance(node, dict) else []:
            for value in inner if isinstance(inner, list) else [inner]:
                if isinstance(value, dict):
                    walk(value, values)
                else:
                    values[key].append(value)

    for packet in json.loads(done.stdout):
        values = collections.defaultdict(list)
        layer = packet["_source"]["layers"]["cflow"]
        for one in layer if isinstance(layer, list) else [layer]:
            walk(one, values)
        datagrams.append(values)
    return datagrams


def compare_with_tshark(datagrams, status):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "datagrams.pcap")
        write_pcap(path, datagrams, PORT)
        objects = decode(path, status=status)
        expected = tshark(path)
    got, current = [], None
    for entry in objects:
        if entry["type"] == "datagram":
            current = collections.defaultdict(list)
            got.append((entry, current))
        elif entry["type"] == "record":
            for ours in COLUMNS:
                if ours in entry:
                    current[ours].append(entry[ours])
            for name in ("src_addr", "dst_addr"):
                current[name].append(entry[name])
    assert len(got) == len(expected) == len(datagrams)
    for (header, ours), theirs in zip(got, expected):
        assert header["version"] == int(theirs["cflow.version"][0])
        sequence = theirs.get("cflow.sequence") or theirs["cflow.flow_sequence"]
        assert header["sequence"] == int(sequence[0])
        for name, their_name in COLUMNS.items():
            values = sorted(int(value, 0) for value in theirs[their_name])
            assert sorted(ours[name]) == values, (header, name, sorted(ours[name]), values)
        for name in ("src", "dst"):
            addresses = theirs[f"cflow.{name}addr"] + theirs[f"cflow.{name}addrv6"]
            assert sorted(ours[f"{name}_addr"]) == sorted(addresses), (header, name)
    return objects


def check_softflowd(version):
    with tempfile.TemporaryDirectory() as folder:
        capture = os.path.join(folder, "mixed.pcap")
        unpacked = subprocess.run(["gzip", "-dc", own("mixed.pcap.gz")], capture_output=True,
                                  check=True)
        with open(capture, "wb") as file:
            file.write(unpacked.stdout)
        datagrams = softflowd(version, capture)
    assert len(datagrams) >= 3
    # Its times are of the capture, and its headers of now: that is to be told.
    objects = compare_with_tshark(datagrams, 1)
    summary = objects[-1]
    assert summary["records"] > 100 and summary["datagrams"] == len(datagrams)
    told = summary["problems"]
    assert "time_far" in told if version == 10 else "first_after_uptime" in told
    return datagrams, objects


def test_softflowds_v5_is_read_as_tshark_reads_it():
    check_softflowd(5)


def test_softflowds_v9_is_read_as_tshark_reads_it():
    check_softflowd(9)


def test_softflowds_ipfix_is_read_as_tshark_reads_it_and_from_a_file():
    datagrams, objects = check_softflowd(10)
    fields = ("src_addr", "dst_addr", "bytes", "packets", "proto", "sequence")
    expected = [[r.get(f) for f in fields] for r in of_type(objects, "record")]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "messages.ipfix")
        with open(path, "wb") as file:
            file.write(b"".join(datagrams))
        subprocess.run(["gzip", "-k", path], check=True)
        with open(path, "rb") as file:
            whole = decode("-", status=1, stdin=file)
        for objects in (decode(path, status=1), decode(path + ".gz", status=1), whole,
                        decode("-", status=1, input=b"".join(datagrams))):
            assert [[r.get(f) for f in fields] for r in of_type(objects, "record")] == expected
        with open(path, "ab") as file:
            file.write(datagrams[0][:-1])
        assert decode(path, status=1)[-1]["datagrams"] == len(datagrams)


def test_weirs_own_is_clean_and_read_as_tshark_reads_it():
    objects = compare_with_tshark(datagrams_of(own("mixed.pcap.gz")), 0)
    assert objects[-1]["problems"] == {} and objects[-1]["advice"] == {}


def check_listening(name, host, scheme="", *options):
    """Every field of every record, but that the wire has whole milliseconds."""
    expected = printed(own(name))
    with Listening("--templates", host=host) as decoder:
        tap.weir("--collector", scheme + decoder.destination, "--ledger=none", *options, own(name))
        objects = decoder.stop(n_records=len(expected))
    address = host.strip("[]")

    def key(record):
        return json.dumps(record, sort_keys=True)

    for record in expected:
        for field in ("time_flow_start_ns", "time_flow_end_ns"):
            record[field] -= record[field] % 1000000
        record["sampler_address"] = address
    names = expected[0].keys()
    got = [{field: r[field] for field in names} for r in of_type(objects, "record")]
    assert sorted(map(key, got)) == sorted(map(key, expected))
    assert len(of_type(objects, "template")) >= (3 if scheme == "ipfix://" else 4)
    assert objects[-1]["problems"] == {} and objects[-1]["advice"] == {}
    (domain,) = objects[-1]["domains"]
    assert domain["lost"] == 0 and domain["records"] == len(expected)


def test_what_replay_prints_is_what_decode_hears():
    for name in ("web.pcap", "ping.pcap", "vlan.pcap", "mixed.pcap.gz"):
        check_listening(name, "127.0.0.1")


def test_the_same_goes_out_as_ipfix():
    for name in ("web.pcap", "ping.pcap", "vlan.pcap", "mixed.pcap.gz"):
        check_listening(name, "127.0.0.1", "ipfix://")
    check_listening("dns.pcap", "[::1]", "ipfix://", "--datagram-size=512")
    check_listening("ping.pcap", "127.0.0.1", "netflow9://")


def test_it_listens_on_ipv6():
    check_listening("dns.pcap", "[::1]")


def test_it_listens_until_a_count():
    with Listening("--count=2", "--quiet") as decoder:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for datagram in datagrams_of(own("mixed.pcap.gz"))[:3]:
                sender.sendto(datagram, ("127.0.0.1", decoder.port))
        assert decoder.process.wait(20) == 0
        (summary,) = decoder.objects()
    assert summary["type"] == "summary" and summary["datagrams"] == 2


def test_a_lost_datagram_and_a_damaged_one_are_told():
    datagrams = datagrams_of(own("mixed.pcap.gz"))
    damaged = bytearray(datagrams[2])
    damaged[22:24] = b"\0\3"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "datagrams.pcap")
        write_pcap(path, [datagrams[0], bytes(damaged)] + datagrams[3:], PORT)
        quiet = decode("--quiet", "--port", PORT, path, status=1)
        text = subprocess.run([tap.WEIR, "decode", path], capture_output=True, check=False)
    assert [(p["kind"], p["offset"]) for p in of_type(quiet, "problem")][:2] == [
        ("sequence_gap", 0), ("set_length", 22)]
    assert quiet[-1]["domains"][0]["lost"] == 1
    assert text.returncode == 1 and b"problem set_length: 127.0.0.1:40000" in text.stdout


def test_other_traffic_is_no_problem_but_with_its_port():
    assert decode(own("dns.pcap"))[-1]["datagrams"] == 0
    objects = decode("--port=53", own("dns.pcap"), status=1)
    assert objects[-1]["problems"]["version"] > 0


def test_mistakes_of_usage_end_with_2_and_missing_files_with_1():
    for arguments in ([], ["--what"], ["--format=xml", "x"], ["--listen=1", "x"],
                      ["--port=0", "x"], ["--count=none", "x"]):
        done = subprocess.run([tap.WEIR, "decode", *arguments], capture_output=True, check=False)
        assert done.returncode == 2 and done.stderr, (arguments, done)
    decode("/does/not/exist", status=1)
    for at in ("no-port", "[::1:2055", "::1:2055", "127.0.0.1:70000"):
        done = subprocess.run([tap.WEIR, "decode", "--listen", at], capture_output=True,
                              check=False, timeout=20)
        assert done.returncode == 1 and at.encode() in done.stderr, (at, done)


if __name__ == "__main__":
    tap.run_module(dict(globals()))
