"""The table of what is compared: each way to each collector, and what is known to come out
otherwise than it was sent, field by field, with the reason. A known difference is checked like
everything else: the collector must say exactly what is expected here."""

import tempfile

import readers
from records import FIELDS, IPFIX, V5, V9, V9_MORE, File, Tcp, Tls, is_icmp

EQUAL, SECONDS, SCALED, UNKNOWN = "equal", "whole seconds", "scaled", "not known"


class Known:
    """A difference: its verdict, what the collector says instead (a function of the record;
    None = nothing) and the line for the document."""

    def __init__(self, verdict, expected, note):
        self.verdict = verdict
        self.expected = expected
        self.note = note


def unknown(note):
    return Known(UNKNOWN, lambda r: None, note)


def but_icmp(field):
    return Known(EQUAL, lambda r: None if is_icmp(r) else r[field],
                 "ICMP has type and code in their place")


def overlaid_port(r):
    if is_icmp(r):
        return None
    return r["dst_port"] if r["proto"] in (6, 17) else 0


def scaled(field):
    return Known(SCALED, lambda r: r[field] * r["sampling"],
                 "multiplies by the sampling interval that is announced; equal where it is 1")


def rounded_up(field):
    return Known(SECONDS, lambda r: -(-r[field] // 1000) * 1000,
                 "takes a flow's age in whole seconds, rounded down, off the header's second; so the "
                 "milliseconds are lost, and the second is the next one")


NFDUMP = {
    "src_port": but_icmp("src_port"),
    "dst_port": but_icmp("dst_port"),
    "end_reason": unknown("not stored"),
    "ttl_min": unknown("not stored"),
    "ttl_max": unknown("not stored"),
    "sampling": unknown("not in its output"),
    "source_id": unknown("has a number of its own for each exporter"),
}


NO_WORDS = "NetFlow v5 has no words for it"
OF_V5 = {f: unknown(NO_WORDS) for f in ("vlan", "src_mac", "dst_mac", "end_reason", "ttl_min", "ttl_max")}


class Column:
    """A collector and a way to it. `read` gives its records of some cases, and appends what it
    says besides to `log`; `check` looks at that."""

    def __init__(self, package, wire, read, known=None, check=None, name=None):
        self.package = package
        self.wire = wire
        self.read = read
        self.known = known or {}
        self.check = check or (lambda log, facts: None)
        self.name = f"{name or package}, {wire.name}"

    @property
    def version(self):
        return readers.version(self.package)

    def expected(self, r):
        """What the collector should say of a record, in the order of FIELDS."""
        return tuple(self.known[f].expected(r) if f in self.known else r[f] for f in FIELDS)


def check_nfcapd(n_sequence_errors):
    def check(log, facts):
        flows = f"Flows: {facts['records']}, "
        rest = f"Sequence Errors: {n_sequence_errors(facts)}, Bad Packets: 0"
        said = [line for line in log[0].splitlines() if "Sequence Errors" in line]
        assert len(said) == 1 and flows in said[0] and rest in said[0], (flows, rest, said)

    return check


def check_tshark(log, _):
    assert log == [""], log[0][:2000]


def of_files(wire):
    def read(cases, _log, _feeds):
        with tempfile.TemporaryDirectory(prefix="weir-ipfix-") as folder:
            return readers.ipfixdump(wire.feed(cases, folder))

    return read


def columns_of(wire, nfdump, nfacctd, sequence_errors):
    """Those of a wire in datagrams."""
    return [
        Column("nfdump", wire, lambda cases, log, feeds: readers.nfdump(wire, cases, log),
               NFDUMP | nfdump, check_nfcapd(sequence_errors)),
        Column("pmacct", wire, lambda cases, log, feeds: readers.nfacctd(*feeds(wire)), nfacctd),
        Column("tshark", wire, lambda cases, log, feeds: readers.tshark(feeds(wire)[0], log), None,
               check_tshark),
    ]


COLUMNS = [
    *columns_of(V9, {f: scaled(f) for f in ("packets", "bytes")},
                {f: rounded_up(f) for f in ("start_ms", "end_ms")}, lambda facts: 0),
    # It counts no records of options, as RFC 7011 section 3.1 has it, and so misses one at the
    # first message behind each.
    *columns_of(IPFIX, {"dst_port": Known(EQUAL, overlaid_port, "ICMP has type and code in its place; 0 "
                                          "if the protocol is none of TCP, UDP and ICMP, where "
                                          "element 32 is taken for it")}, {}, lambda facts: facts["after_options"]),
    Column("libfixbuf-tools", File, of_files(File), name="ipfixDump"),
    Column("libfixbuf-tools", Tcp, of_files(Tcp), name="ipfixDump"),
    Column("libfixbuf-tools", Tls, of_files(Tls), name="ipfixDump"),
    Column("tshark", V9_MORE, lambda cases, log, feeds: readers.tshark(feeds(V9_MORE)[0], log), None,
           check_tshark),
    Column("nfdump", V9_MORE, lambda cases, log, feeds: readers.nfdump(V9_MORE, cases, log),
           NFDUMP | {f: scaled(f) for f in ("packets", "bytes")}, check_nfcapd(lambda facts: 0)),
    Column("nfdump", V5, lambda cases, log, feeds: readers.nfdump(V5, cases, log),
           NFDUMP | OF_V5 | {f: scaled(f) for f in ("packets", "bytes")}, check_nfcapd(lambda facts: 0)),
]
NODE = Column("node-netflowv9", V9, lambda cases, log, feeds: readers.node(feeds(V9)[0]))
