"""Ends a soak in order, and gathers what its checks judge; and the table at the end."""

import calendar
import os
import re
import statistics
import time

from collect import tap, until
from soak_checks import calm, growth, settled
from soak_site import COLLECTOR, MORE_PORT, PORTS, ROTATE_S
from soak_watch import total

LINE = re.compile(r"\S+ (error|warning|notice|info|debug) weir run: (.*)$")
STOP_WAIT_S = 60
AGE = re.compile(r"(\d+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def log_of(text):
    """(level, message) of each line, and the lines that are no such thing."""
    lines, others = [], []
    for line in text.splitlines():
        found = LINE.match(line)
        if found:
            lines.append(found.groups())
        elif line.strip():
            others.append(line)
    return lines, others


def too_old(names, retain, now_s):
    """Closed files that should have gone: their names say when they were begun."""
    number, unit = AGE.match(retain).groups()
    limit_s = int(number) * SECONDS[unit] + 3 * ROTATE_S + 10
    old = []
    for name in names:
        begun = re.search(r"-(\d{8}T\d{6})", name)
        if begun:
            begun_s = calendar.timegm(time.strptime(begun[1], "%Y%m%dT%H%M%S"))
            if now_s - begun_s > limit_s:
                old.append(name)
    return old


def end(site, troubles, watchers, begun):
    """Stops everything, upstream first. Returns the facts, those of the calm looks apart."""
    facts = {"top": {"status": watchers["terminal"].end(),
                     "silence_s": watchers["terminal"].silence_s,
                     "tail": watchers["terminal"].tail[-300:]}}
    watchers["once"].end()
    facts["top"] |= {"failures": watchers["once"].failures, "n": watchers["once"].n}
    site.quiet()
    facts["sources"] = [source.end() | {"port": port} for source, (port, *_) in
                        zip(site.sources, PORTS)]
    for source, (_, interface, _) in zip(facts["sources"], PORTS):
        # While the packet socket's port was down its source was held.
        source["flaps"] = troubles.counts.get("link_under_traffic", 0) * (interface == "vb2")
    scraper = watchers["scraper"]
    n = scraper.n
    until(lambda: scraper.n > n + 2 or scraper.failures, "a last scrape")
    scraper.end()
    facts["scrapes"] = {name: getattr(scraper, name)
                        for name in ("n", "failures", "slowest_s", "backwards")}
    facts["refusals"] = total(scraper.last, "weir_collector_refusals_total")
    watchers["archive"].end()
    watchers["memory"].end()
    facts["seconds"] = time.monotonic() - begun
    stop(site, facts)
    for name in ("nfcapd", "receiver", "more"):
        collector = getattr(site, name)
        collector.read_all()
        collector.end()
        facts[f"{name}_dropped"] = collector.dropped
        facts[f"{name}_restarts"] = collector.restarts
    facts |= {"nfcapd": site.nfcapd.told(), "receiver": site.receiver.lives,
              "more": site.more.lives, "more_name": f"{COLLECTOR}:{MORE_PORT}",
              "nfcapd_may_lack": troubles.nfcapd_may_lack, "troubles": troubles.counts,
              "times_added": troubles.times_added, "reloads": troubles.reloads}
    gather_archive(site, facts, watchers["archive"])
    facts["log"], facts["unread_log"] = log_of(site.log())
    return facts


def stop(site, facts):
    process = site.weir.process
    at = time.monotonic()
    process.terminate()
    process.wait(STOP_WAIT_S)
    facts["stop_s"] = time.monotonic() - at
    facts["status"] = process.returncode
    facts["ledger"] = tap.ledger_of(site.weir.text("out").encode())


def gather_archive(site, facts, watcher):
    now_s = time.time()
    watcher.once()
    verified = site.weir_command("archive", "verify", "-q", "--archive", site.path["archive"])
    names = [os.path.join(folder, name)
             for folder, _, names in os.walk(site.path["archive"]) for name in names]
    facts["archive"] = {
        "files": watcher.files, "verify_status": verified.returncode,
        "verify": (verified.stdout + verified.stderr)[-500:],
        "parts": [name for name in names if name.endswith(".part")],
        "too_old": too_old([n for n in names if n.endswith(".parquet")],
                           site.state["retain"], now_s)}


def table(facts):
    """Lines of what it took and what it did."""
    looks = calm(facts)
    yield f"{'':<24}{'start':>10}{'median':>10}{'end':>10}{'by line':>10}"
    for name, unit in (("anonymous", "KiB"), ("pss", "KiB"), ("fds", ""),
                       ("archive_fds", ""), ("threads", "")):
        values = [look[name] for look in looks] or [0]
        grew = f"{growth(facts, name):+.1f}" if len(settled(facts)) > 1 else "-"
        yield (f"{name + ' ' + unit:<24}{values[0]:>10}{statistics.median(values):>10.0f}"
               f"{values[-1]:>10}{grew:>10}")
    peak = max((look["anonymous"] for look in facts["looks"]), default=0)
    ledger = facts["ledger"]
    sinks = {s["name"].split("/")[0] if s["name"].startswith("archive") else s["name"]: s
             for s in ledger["sinks"]}
    yield f"anonymous KiB, at most    {peak} of {len(facts['looks'])} looks, " \
          f"{len(looks)} calm ones after a warm-up of {facts['warm_up_s']:.0f} s"
    yield f"packets                   {sum(s['sent'] for s in facts['sources'])} sent, " \
          f"{ledger['received']['packets']} received, {ledger['metered']['packets']} metered"
    reasons = {n: c["packets"] for n, c in ledger["not_metered"].items() if c["packets"]}
    yield f"not metered               {reasons}"
    yield f"flows sent                {sum(s['flows'] for s in facts['sources'])}"
    ends = {n: c for n, c in ledger["records_by_end"].items() if c}
    yield f"records                   {ledger['records']}, {ends}, {ledger['records_lost']} lost"
    for name, one in sinks.items():
        lost = {n: c for n, c in one["lost"].items() if c}
        yield f"  to {name:<23} {one['sent']} sent, lost {lost or 'none'}"
    archived = facts["archive"]["files"]
    yield f"arrived                   nfcapd {facts['nfcapd']['flows']}, own " \
          f"{sum(s['records'] for life in facts['receiver'] for s in life)}, archive " \
          f"{sum(n for n, _ in archived.values())} in {len(archived)} files"
    yield f"troubles                  {facts['troubles']}"
    yield f"reloads                   {facts['reloads'] or 'none'}"
    yield f"scrapes                   {facts['scrapes']['n']}, the slowest " \
          f"{facts['scrapes']['slowest_s']:.2f} s; weir top --once {facts['top']['n']} times"
    yield f"weir top on a terminal    silent for {facts['top']['silence_s']:.1f} s at most"
    yield f"stop                      {facts['stop_s']:.2f} s, exit status {facts['status']}"
