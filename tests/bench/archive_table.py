"""What tests/bench/archive_peers has measured: its rows, its tables in Markdown and as CSV, and whether
weir reaches its goals."""

import csv
import dataclasses
import statistics

# What weir is to reach.
MOST_OF_LZ4 = 0.6
LEAST_WRITTEN_PER_S = 2e6
LEAST_SCANNED_PER_S = 5e6
MOST_EXCLUDED_MS = 10


@dataclasses.dataclass
class Row:
    records: str  # of which set
    what: str  # write, scan, no time, no address, start
    program: str
    flows: int
    octets: int | None = None
    cpu_s: list = dataclasses.field(default_factory=list)
    remarks: str = ""

    def ns(self):
        return statistics.median(self.cpu_s) / self.flows * 1e9 if self.cpu_s else None

    def ms(self):
        return statistics.median(self.cpu_s) * 1e3


class Table:
    def __init__(self):
        self.rows = {}

    def add(self, flows, what, program, cpu_s=None, octets=None, remarks=""):
        row = self.rows.setdefault((flows.name, what, program),
                                   Row(flows.name, what, program, flows.records))
        if cpu_s is not None:
            row.cpu_s.append(cpu_s)
        if octets is not None:
            row.octets = octets
        row.remarks = remarks or row.remarks

    def get(self, name, what, program):
        return self.rows.get((name, what, program))

    def of(self, name, what):
        return [row for (n, w, _), row in self.rows.items() if (n, w) == (name, what)]


def number(value, form):
    return "-" if value is None else format(value, form)


def spread(row):
    if len(row.cpu_s) < 2:
        return ""
    return f"{min(row.cpu_s) / row.flows * 1e9:,.0f}-{max(row.cpu_s) / row.flows * 1e9:,.0f}"


def print_set(table, name):
    rows = table.of(name, "write")
    print(f"\n**{name}**, {rows[0].flows:,} records\n\n"
          "| | octets/flow | of weir's | CPU ns/flow to write | rounds | M flows/s | |\n"
          "|---|---:|---:|---:|---:|---:|---|")
    for r in rows:
        ns = r.ns()
        print(f"| {r.program} | {r.octets / r.flows:.2f} | {r.octets / rows[0].octets:.2f} | "
              f"{number(ns, ',.0f')} | {spread(r)} | {number(1e3 / ns if ns else None, '.2f')} | "
              f"{r.remarks} |")
    print("\n| | two columns: CPU ns/flow | rounds | M flows/s | a time that none has: CPU ms "
          "| an address that none has: CPU ms |\n|---|---:|---:|---:|---:|---:|")
    for r in table.of(name, "scan"):
        ms = [row.ms() if (row := table.get(name, what, r.program)) else None
              for what in ("no time", "no address")]
        print(f"| {r.program} | {r.ns():,.1f} | {spread(r)} | {1e3 / r.ns():.2f} | "
              f"{number(ms[0], ',.1f')} | {number(ms[1], ',.1f')} |")
    starts = [f"{r.program} {r.ms():.1f}" for r in table.of(name, "start")]
    print(f"\nOf which is the start of the program, CPU ms: {', '.join(starts)}.")


def goals(table, name):
    """Lines of what weir is to reach: what, value, limit, reached."""
    def octets(program):
        row = table.get(name, "write", program)
        return row and row.octets

    weir, start, found = octets("weir"), table.get(name, "start", "weir query"), []
    for peer, share in (("nfcapd lz4", MOST_OF_LZ4), ("nfcapd bz2", 1), ("DuckDB zstd", 1)):
        if octets(peer):
            of = weir / octets(peer)
            found.append((f"octets a flow, of {peer}", f"{of:.3f}",
                          f"{'<=' if share < 1 else '<'} {share}",
                          of <= share if share < 1 else of < share))
    # Fewer records than this tell the start of a program and not its speed.
    if table.get(name, "write", "weir").flows >= 200_000:
        ns = table.get(name, "write", "weir").ns()
        if ns:
            found.append(("M flows/s written", f"{1e3 / ns:.2f}", f">= {LEAST_WRITTEN_PER_S / 1e6:g}",
                          1e9 / ns >= LEAST_WRITTEN_PER_S))
        ns = table.get(name, "scan", "weir query").ns() - start.ns()
        found.append(("M flows/s scanned, without the start", f"{1e3 / ns:.2f}",
                      f">= {LEAST_SCANNED_PER_S / 1e6:g}", 1e9 / ns >= LEAST_SCANNED_PER_S))
    for what in ("no time", "no address"):
        ms = table.get(name, what, "weir query").ms() - start.ms()
        found.append((f"CPU ms, {what}, without the start", f"{ms:.1f}", f"<= {MOST_EXCLUDED_MS}",
                      ms <= MOST_EXCLUDED_MS))
    return found


def print_goals(table, names):
    print("\n| records | | measured | goal | reached |\n|---|---|---:|---:|---|")
    for name in names:
        for what, value, limit, reached in goals(table, name):
            print(f"| {name} | {what} | {value} | {limit} | {'yes' if reached else 'NO'} |")


def write_csv(path, table):
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("records", "what", "program", "flows", "octets", "octets_per_flow",
                      "cpu_ns_per_flow", "cpu_ns_min", "cpu_ns_max", "rounds", "remarks"))
        for r in table.rows.values():
            cpu = [f"{s / r.flows * 1e9:.2f}" for s in (
                (statistics.median(r.cpu_s), min(r.cpu_s), max(r.cpu_s)) if r.cpu_s else ())]
            out.writerow((r.records, r.what, r.program, r.flows, number(r.octets, "d"),
                          number(r.octets and r.octets / r.flows, ".3f"), *(cpu or ["-"] * 3),
                          len(r.cpu_s), r.remarks))
