"""What is compared: the fields of a flow record, as weir prints them, under one name for all
collectors, and the captures that are replayed."""

import concurrent.futures
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from collect import Datagrams, Nfcapd, need, own, tap, until, write_pcap  # pylint: disable=unused-import

# In the order of the table in docs/interop.md.
FIELDS = (
    "src_addr", "dst_addr", "proto", "src_port", "dst_port", "icmp_type", "icmp_code", "tcp_flags",
    "tos", "packets", "bytes", "start_ms", "end_ms", "end_reason", "direction", "in_if", "out_if",
    "ttl_min", "ttl_max", "vlan", "src_mac", "dst_mac", "sampling", "source_id",
)


def is_icmp(r):
    return r["proto"] == (58 if ":" in r["src_addr"] else 1)


def addr(text):
    """One spelling of an address."""
    return str(ipaddress.ip_address(text))


def mac(text):
    digits = text.replace(":", "")
    return ":".join(digits[i:i + 2] for i in range(0, 12, 2))


def times_of(first, last):
    return {"start_ms": first, "end_ms": last}


def ports_of(source, destination):
    return {"src_port": int(source), "dst_port": int(destination)}


def icmp_of(value):
    """Type and code of their common element."""
    return {"icmp_type": int(value) >> 8, "icmp_code": int(value) & 255}


def of_weir(r, source_id):
    """A record as `weir replay --print=json` has it."""
    return {
        "src_addr": addr(r["src_addr"]), "dst_addr": addr(r["dst_addr"]), "proto": r["proto"],
        "src_port": r["src_port"], "dst_port": r["dst_port"], "icmp_type": r["icmp_type"],
        "icmp_code": r["icmp_code"], "tcp_flags": r["tcp_flags"], "tos": r["ip_tos"],
        "packets": r["packets"], "bytes": r["bytes"],
        "start_ms": r["time_flow_start_ns"] // 10**6, "end_ms": r["time_flow_end_ns"] // 10**6,
        "end_reason": r["flow_end_reason"], "direction": 0, "in_if": r["in_if"],
        "out_if": r["out_if"], "ttl_min": r["ip_ttl"], "ttl_max": r["ip_ttl_max"],
        "vlan": r["vlan_id"], "src_mac": r["src_mac"], "dst_mac": r["dst_mac"],
        "sampling": r["sampling_rate"], "source_id": source_id,
    }


def replay(*arguments):
    """Runs weir replay. Captures that are damaged end with 1, after all that could be read has
    been exported."""
    done = subprocess.run([tap.WEIR, "replay", "--ledger=none", *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done


class Case:
    """A capture, and how it is replayed. Each is another sensor to the collectors, by its source
    id, so that one collector can be given all of them."""

    def __init__(self, number, path, options=()):
        self.name = " ".join([os.path.basename(path), *options])
        self.source_id = number
        self.arguments = [*options, f"--source-id={number}", path]

    def truth(self):
        done = replay("--print=json", *self.arguments)
        return [of_weir(json.loads(line), self.source_id) for line in done.stdout.splitlines()]


def own_cases():
    """The captures of the tree: whole, and one of them sampled."""
    names = sorted(n for n in os.listdir(tap.CAPTURES) if ".pcap" in n)
    assert len(names) >= 9, names
    cases = [Case(number, own(name)) for number, name in enumerate(names, 1)]
    return cases + [Case(len(names) + 1, own("mixed.pcap.gz"), ["--sample=random:7"])]


def corpus_cases():
    """The public captures, where they are."""
    if not os.path.isdir(tap.CORPUS):
        raise tap.Skip(f"no captures in {tap.CORPUS}")
    names = sorted(n for n in os.listdir(tap.CORPUS) if ".pcap" in n or n.endswith(".snoop"))
    return [Case(number, os.path.join(tap.CORPUS, name)) for number, name in enumerate(names, 1)]


class Udp:
    """A way on which records travel in datagrams: a scheme of --collector, options of replay, and
    fields that it has not. Another transport or template is one more of these."""

    def __init__(self, name, scheme, options=(), tells=lambda r: True):
        self.name = name
        self.scheme = scheme
        self.options = list(options)
        self.tells = tells  # whether it has words for a record

    def replay(self, case, destinations):
        collectors = [f"--collector={self.scheme}{d}" for d in destinations]
        replay(*collectors, *self.options, *case.arguments)

    def feed(self, cases, *destinations):
        """Replays all to the destinations; returns the datagrams of all, in order."""
        with Datagrams() as receiver:
            for case in cases:
                self.replay(case, [receiver.destination(), *destinations])
        return receiver.received[0]


class File:
    """Messages of IPFIX in a file, by way of the archive."""

    name = "IPFIX file"

    @staticmethod
    def feed(cases, folder):
        paths = []
        for case in cases:
            archive = tempfile.mkdtemp(dir=folder)
            replay("--archive", archive, *case.arguments)
            if not any(files for _, _, files in os.walk(archive)):
                continue  # no record
            paths.append(os.path.join(folder, f"{case.source_id}.ipfix"))
            subprocess.run([tap.WEIR, "export", "--archive", archive, f"--to=ipfix:{paths[-1]}",
                            f"--source-id={case.source_id}", "--ledger=none"],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
        return paths


class Tcp:
    """A session of IPFIX over TCP: its octets, one behind the other, are such a file."""

    name = "IPFIX over TCP"

    scheme_of_session = "ipfix+tcp"

    @classmethod
    def options(cls, _folder):
        return []

    @classmethod
    def accept(cls, server):
        return server.accept()[0]

    @classmethod
    def feed(cls, cases, folder):
        paths = []
        options = cls.options(folder)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(20)
            destination = "%s://127.0.0.1:%d" % (cls.scheme_of_session, server.getsockname()[1])
            for case in cases:
                if not case.truth():
                    continue  # no record, and perhaps no session
                paths.append(os.path.join(folder, f"{case.source_id}.ipfix"))
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    session = pool.submit(cls.read, server)
                    replay("--collector", destination, *options, *case.arguments)
                with open(paths[-1], "wb") as file:
                    file.write(session.result())
        return paths

    @classmethod
    def read(cls, server):
        octets = bytearray()
        connection = cls.accept(server)
        with connection:
            connection.settimeout(20)
            while some := connection.recv(65536):
                octets += some
        return octets


class Tls(Tcp):
    """The same over TLS, to a server whose certificate is its own authority."""

    name = "IPFIX over TLS"
    scheme_of_session = "ipfix+tls"
    context = None

    @classmethod
    def options(cls, folder):
        paths = [os.path.join(folder, name) for name in ("certificate.pem", "key.pem")]
        subprocess.run(
            [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=collector",
             "-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]],
            capture_output=True, check=True, timeout=20,
        )
        cls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cls.context.load_cert_chain(*paths)
        return ["--tls-ca", paths[0]]

    @classmethod
    def accept(cls, server):
        return cls.context.wrap_socket(server.accept()[0], server_side=True)


V9 = Udp("v9", "netflow9://")
V9_MORE = Udp("v9 with both VLAN tags and MPLS", "netflow9://", ["--fields=standard+qinq+mpls"])
V5 = Udp("v5", "netflow5://", tells=lambda r: ":" not in r["src_addr"])
IPFIX = Udp("IPFIX", "ipfix://")
