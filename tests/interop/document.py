"""docs/interop.md: a table of collectors, fields and verdicts, made of what a run saw."""

import os

from columns import EQUAL
from records import FIELDS

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "interop.md")
HEAD = """# What collectors make of it

Made by `tests/interop/run`, which replays the captures of `pcaps/` to each collector and compares
every field of every record that it tells of with what `weir replay --print=json` has. A verdict
holds for each of the {n} records; over NetFlow v5, which has no IPv6, of the {n_v5} that it tells.

- *equal*: in every record, times to the millisecond.
- *not known*: the collector does not store or show it.
- *whole seconds*: coarser than what it was sent.
- *scaled*: an estimate of what was before sampling.
- *DIFFERS*: anything else. There is none, or the suite has failed.

The letters lead to what the collector does.
"""
WORDS = {
    "src_addr": "source address", "dst_addr": "destination address", "proto": "protocol",
    "src_port": "source port", "dst_port": "destination port", "icmp_type": "ICMP type",
    "icmp_code": "ICMP code", "tcp_flags": "TCP flags", "tos": "TOS", "packets": "packets",
    "bytes": "octets", "start_ms": "start", "end_ms": "end", "end_reason": "end reason",
    "direction": "direction", "in_if": "input interface", "out_if": "output interface",
    "ttl_min": "least TTL", "ttl_max": "greatest TTL", "vlan": "VLAN", "src_mac": "source MAC",
    "dst_mac": "destination MAC", "sampling": "sampling interval", "source_id": "source id",
}
# What holds of a collector as a whole.
REMARKS = (
    "nfdump (nfcapd): `first` and `last` are those of its JSON; its CSV has whole seconds, and %ter "
    "prints wrong milliseconds.",
    "nfdump, IPFIX: reports a sequence error at the first message behind each options record. RFC "
    "7011 section 3.1 counts those records, and so does weir.",
    "pmacct (nfacctd): end reason, TTLs, ICMP and direction by way of `aggregate_primitives`.",
    "tshark, v9: shows times as uptime; beside the header's they give the milliseconds in the table. "
    "The sampling interval of tshark, ipfixDump and node-netflowv9 is that of the options records.",
    "node-netflowv9 does not read IPFIX.",
)
seen = {}  # column name: field: verdict, note
counts = {}


def clear():
    seen.clear()
    counts.clear()


def add(column, truth, got, expected):
    """Works out the verdicts of the first replays that a column is given: the tree's."""
    if column.name in seen:
        return
    counts[column.name] = len(truth)
    seen[column.name] = {}
    for i, field in enumerate(FIELDS):
        known = column.known.get(field)
        same = marginal(got, i) == marginal(expected, i)
        differs = known is not None and any(known.expected(r) != r[field] for r in truth)
        if not same:
            verdict, note = "DIFFERS", "not as it was expected"
        elif known is None:
            verdict, note = EQUAL, None
        elif differs:
            verdict, note = known.verdict, known.note
        else:
            verdict, note = "DIFFERS", f"a difference that was known is not seen: {known.note}"
        seen[column.name][field] = (verdict, note)


def marginal(records, i):
    """How often each value of one field occurs, in flows between the same addresses."""
    values = {}
    for r, n in records.items():
        values[r[0], r[1], r[i]] = values.get((r[0], r[1], r[i]), 0) + n
    return values


def title(column):
    return f"{column.name.split(',')[0]} {version_of(column)}, {column.wire.name}"


def version_of(column):
    if column.package == "node-netflowv9":
        return os.environ["WEIR_NODE_DECODER_VERSION"]
    return column.version


def verdict_of(column, field):
    return seen.get(column.name, {}).get(field, ("DIFFERS", "no records"))


def table(columns):
    """Rows of cells; and the notes by their letters, in the order of appearance."""
    letters = {}
    rows = [["field", *(title(c) for c in columns)]]
    for field in FIELDS:
        row = [WORDS[field]]
        for column in columns:
            verdict, note = verdict_of(column, field)
            if note is not None:
                key = (column.package, note)
                verdict += f" ({letters.setdefault(key, name_of(len(letters)))})"
            row.append(verdict)
        rows.append(row)
    return rows, [f"- ({letter}) {package}: {note}." for (package, note), letter in letters.items()]


def name_of(i):
    return "abcdefghijklmnopqrstuvwxyz"[i]


def line_of(cells):
    return "| " + " | ".join(cells) + " |"


def text_of(columns):
    rows, notes = table(columns)
    n_v5, n = sorted(set(counts.values()))
    lines = [line_of(rows[0]), "|" + "---|" * len(rows[0]), *map(line_of, rows[1:])]
    remarks = [f"- {remark}" for remark in REMARKS]
    return HEAD.format(n=n, n_v5=n_v5) + "\n" + "\n".join([*lines, "", *notes, "", *remarks]) + "\n"


def not_as_expected(columns):
    for column in columns:
        for field in FIELDS:
            verdict, note = verdict_of(column, field)
            if verdict == "DIFFERS":
                yield f"{column.name}: {field}: {note}"


def write(columns):
    """Writes the document; yields what is not as expected."""
    text = text_of(columns)
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)
    yield from not_as_expected(columns)


def plain(cell):
    return cell.split(" (")[0]


def compare(columns):
    """Yields what the document has otherwise. Of collectors that are not here nothing is known."""
    yield from not_as_expected(columns)
    with open(PATH, encoding="utf-8") as file:
        text = file.read()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    mine, notes = table(columns)
    for i, name in enumerate(mine[0]):
        if name not in rows[0]:
            yield f"docs/interop.md has no column {name!r}; tests/interop/run writes it anew"
            continue
        place = rows[0].index(name)
        theirs = [plain(row[place]) for row in rows]
        if theirs != [plain(row[i]) for row in mine]:
            yield f"docs/interop.md is out of date at {name!r}; tests/interop/run writes it anew"
    for note in notes:
        if note.split(") ", 1)[1] not in text:
            yield f"docs/interop.md lacks {note!r}; tests/interop/run writes it anew"
