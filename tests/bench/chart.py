#!/usr/bin/python3
"""Draws Mpps against flows from the CSV of flow_cache_bench: chart.py CSV > SVG."""

import csv
import math
import sys

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 130, 48, 56
SERIES = {"uniform": "#1f6feb", "zipf": "#1a7f37", "churn": "#bc4c00"}
LINE_RATE = 14.88  # Mpps of 10 GbE with 64-octet frames


def label(flows):
    """64k, 1m: a number of flows."""
    return f"{flows >> 20}m" if flows >= 1 << 20 else f"{flows >> 10}k"


def svg(rows):
    """The chart of the rows, dictionaries as csv.DictReader gives them, as SVG."""
    points = {}
    for row in rows:
        kind = row["row"].split("-")[0]
        if kind in SERIES:
            points.setdefault(kind, []).append((int(row["flows"]), float(row["mpps"])))
    flows = sorted({f for series in points.values() for f, _ in series})
    low, high = math.log2(flows[0]), math.log2(flows[-1])
    top = max(m for series in points.values() for _, m in series)
    step = 10 if top > 30 else 5
    top = math.ceil(top / step) * step

    def x(f):
        return LEFT + (math.log2(f) - low) / (high - low or 1) * (WIDTH - LEFT - RIGHT)

    def y(m):
        return HEIGHT - BOTTOM - m / top * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="26" font-size="16" fill="#1f2328">'
        "Packets per second of one worker, against flows alive</text>",
    ]
    for m in range(0, top + 1, step):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(m):.1f}" y2="{y(m):.1f}" '
                   'stroke="#d8dee4"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(m) + 4:.1f}" text-anchor="end" '
                   f'fill="#59636e">{m}</text>')
    for f in flows:
        out.append(f'<text x="{x(f):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" '
                   f'fill="#59636e">{label(f)}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle" '
               'fill="#59636e">flows</text>')
    out.append(f'<text x="18" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" fill="#59636e" '
               f'transform="rotate(-90 18 {(TOP + HEIGHT - BOTTOM) / 2})">million packets/s</text>')
    out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(LINE_RATE):.1f}" '
               f'y2="{y(LINE_RATE):.1f}" stroke="#59636e" stroke-dasharray="5 4"/>')
    out.append(f'<text x="{LEFT + 6}" y="{y(LINE_RATE) - 6:.1f}" fill="#59636e" font-size="12">'
               f"{LINE_RATE}: 10 GbE, 64-octet frames</text>")
    ends = []
    for kind, series in points.items():
        series.sort()
        path = " ".join(f"{x(f):.1f},{y(m):.1f}" for f, m in series)
        out.append(f'<polyline points="{path}" fill="none" stroke="{SERIES[kind]}" '
                   'stroke-width="2.5"/>')
        for f, m in series:
            out.append(f'<circle cx="{x(f):.1f}" cy="{y(m):.1f}" r="4" fill="{SERIES[kind]}">'
                       f"<title>{kind}, {label(f)} flows: {m:.1f} Mpps</title></circle>")
        ends.append((y(series[-1][1]), x(series[-1][0]), kind))
    ends.sort()
    last = -math.inf
    for at, right, kind in ends:  # apart, where lines end close together
        last = max(at, last + 16)
        out.append(f'<text x="{right + 10:.1f}" y="{last + 4:.1f}" fill="{SERIES[kind]}" '
                   f'font-weight="bold">{kind}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = file.read().split("\n\n", 1)[0].splitlines()
    rows = [row for row in csv.DictReader(lines)
            if row["pages"] == "thp" and row["packets"] == "cached" and row["readers"] == "0"]
    best = {}
    for row in rows:  # the first of a kind is the fastest path's
        best.setdefault(row["row"], row)
    sys.stdout.write(svg(list(best.values())))


if __name__ == "__main__":
    main()
