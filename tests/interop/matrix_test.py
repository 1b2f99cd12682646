#!/usr/bin/python3
"""Every field of every record, as each collector tells it, beside what weir prints; and
docs/interop.md, which says what came out.

By itself it replays the captures of the tree and checks that docs/interop.md is what it sees. With
WEIR_INTEROP_WRITE=1 it writes that file anew, with WEIR_INTEROP_CORPUS=1 it also replays the public
captures, and with WEIR_NODE_DECODER it asks node-netflowv9 too; tests/interop/run sets all three.
"""

import collections
import concurrent.futures
import functools
import os

import document
from columns import COLUMNS, NODE
from records import FIELDS, corpus_cases, own_cases, tap
from strict import Message

WRITE = os.environ.get("WEIR_INTEROP_WRITE") == "1"
CORPUS = os.environ.get("WEIR_INTEROP_CORPUS") == "1"
columns = [*COLUMNS, NODE] if "WEIR_NODE_DECODER" in os.environ else COLUMNS


class Replays:
    """Cases given to all collectors at once, since some of them mostly wait."""

    def __init__(self, cases):
        self.cases = cases
        self.truth = [r for case in cases for r in case.truth()]
        # nfacctd reads a time of 0, of a capture that has none, as absent and puts its own.
        self.without_time = {r["source_id"] for r in self.truth if r["start_ms"] == 0}
        self.feed = functools.cache(self.feed)
        for wire in {column.wire for column in columns if hasattr(column.wire, "scheme")}:
            self.feed(wire)
        self.logs = {column.name: [] for column in columns}
        self.pool = concurrent.futures.ThreadPoolExecutor(4)
        # The slowest first.
        order = sorted(columns, key=lambda column: column.package != "pmacct")
        self.results = {
            c.name: self.pool.submit(c.read, cases, self.logs[c.name], self.feed) for c in order
        }

    def feed(self, wire):
        """The datagrams of a wire, and how many records there are to find in them."""
        return wire.feed(self.cases), len(self.told(wire))

    def told(self, wire):
        return [r for r in self.truth if getattr(wire, "tells", lambda _: True)(r)]

    def facts(self, wire):
        facts = {"records": len(self.told(wire))}
        if getattr(wire, "scheme", "").startswith("ipfix"):
            facts["after_options"] = after_options(self.feed(wire)[0])
        return facts

    def compare(self, column):
        left_out = self.without_time if column.package == "pmacct" else set()
        truth = [r for r in self.told(column.wire) if r["source_id"] not in left_out]
        got = collections.Counter(
            tuple(r.get(f) for f in FIELDS) for r in self.results[column.name].result()
            if r.get("source_id") not in left_out)
        expected = collections.Counter(map(column.expected, truth))
        document.add(column, truth, got, expected)
        missing, surplus = (list(c.elements()) for c in (expected - got, got - expected))
        assert not missing and not surplus, "\n".join(
            [f"{len(missing)} of {len(truth)} records are otherwise; in {column.name} so:"]
            + differences(missing, surplus))
        column.check(self.logs[column.name], self.facts(column.wire))


def after_options(datagrams):
    """How many messages follow one with records of options, of the same source."""
    n, had_options = 0, {}
    for datagram in datagrams:
        message = Message(datagram)
        n += had_options.get(message.source_id, 0)
        had_options[message.source_id] = bool(message.options)
    return n


def differences(missing, surplus):
    """The first records that differ, each beside the one it resembles most."""
    lines = []
    for wanted in missing[:8]:
        near = max(surplus, key=lambda r: sum(a == b for a, b in zip(r, wanted)), default=None)
        if near is None:
            lines.append(f"lacks {dict(zip(FIELDS, wanted))}")
        else:
            told = (f"{f} {b!r} for {a!r}" for f, a, b in zip(FIELDS, wanted, near) if a != b)
            lines.append(f"{', '.join(told)} of {dict(zip(FIELDS, wanted))}")
    return lines or [f"has {dict(zip(FIELDS, r))}" for r in surplus[:5]]


@functools.cache
def of_tree():
    document.clear()
    return Replays(own_cases())


@functools.cache
def of_corpus():
    return Replays(corpus_cases())


def check_document():
    for problem in document.write(columns) if WRITE else document.compare(columns):
        raise AssertionError(problem)


def make_tests():
    for column in columns:
        yield (f"{column.name}: every field of every record",
               lambda column=column: of_tree().compare(column))
    yield "docs/interop.md says what was seen", check_document
    for column in columns if CORPUS else []:
        yield (f"{column.name}: every field of every record of the public captures",
               lambda column=column: of_corpus().compare(column))


if __name__ == "__main__":
    tap.run(list(make_tests()))
