#!/usr/bin/python3
"""What weir run tells at its HTTP address: against its own ledger, against Prometheus' own programs,
and against the names that the rules and the dashboard in docs/ use."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

from collect import tap, until
from live import Line, Weir
from run_test import ipv4_udp, odd_frames

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")
SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def get(line, path, *arguments, status="200"):
    done = line.exec("b", "curl", "-s", "-w", "\n%{http_code}", *arguments,
                     f"http://127.0.0.1:9480{path}")
    text, _, got = done.stdout.decode().rpartition("\n")
    assert got == status, (path, got, text)
    return text


class Scrape:
    def __init__(self, text):
        self.families = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        self.samples = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                key = (name, frozenset(LABEL.findall(labels or "")))
                assert key not in self.samples, line
                self.samples[key] = float(value)

    def get(self, name, **labels):
        return self.samples[name, frozenset(labels.items())]

    def by(self, name, label):
        """The sum of all with each value of the label."""
        sums = {}
        for (sample, labels), value in self.samples.items():
            if sample == name:
                key = dict(labels)[label]
                sums[key] = sums.get(key, 0) + value
        return sums


def check_ledger(scrape, ledger):
    """What a scrape said when all was quiet is what the ledger says at the end, but for the flows
    that ended with it."""
    for kind in ("packets", "bytes"):
        for part in ("received", "metered"):
            assert scrape.get(f"weir_{part}_{kind}_total") == ledger[part][kind], (part, kind)
        unmetered = scrape.by(f"weir_unmetered_{kind}_total", "reason")
        for reason, count in ledger["not_metered"].items():
            assert unmetered[reason] == count[kind], (reason, kind)
        assert scrape.get(f"weir_received_{kind}_total") \
            == scrape.get(f"weir_metered_{kind}_total") + sum(unmetered.values())
    for port in ledger["ports"]:
        labels = {"port": port["name"], "queue": str(port["queue"])}
        assert scrape.get("weir_packets_total", **labels) == port["packets"], port
        assert scrape.get("weir_bytes_total", **labels) == port["bytes"], port
    records = scrape.by("weir_flow_records_total", "reason")
    running = sum(scrape.by("weir_cache_flows", "worker").values())
    assert records["idle"] == ledger["records_by_end"]["idle"] > 0, (records, ledger)
    assert running == ledger["records_by_end"]["forced"] > 0, (running, ledger)
    made = sum(records.values())
    assert made + running == ledger["records"]
    for sink in ledger["sinks"]:
        assert scrape.get("weir_sink_records_total", sink=sink["name"]) == made, sink
        lost = sum(v for (name, labels), v in scrape.samples.items()
                   if name == "weir_sink_lost_records_total" and ("sink", sink["name"]) in labels)
        assert scrape.get("weir_sink_sent_records_total", sink=sink["name"]) + lost == made, sink
    assert scrape.get("weir_ageing_lateness_seconds_count") == records["idle"]


def used_names():
    """Of metrics, by the rules, the dashboard and the page that explains them."""
    names = {}
    for file in ("weir.rules.yml", "grafana-weir.json", "operate.md"):
        with open(os.path.join(DOCS, file), encoding="utf-8") as text:
            names[file] = set(re.findall(r"\b(?:weir|process)_[a-z_]+\b(?!\.|\()", text.read()))
            assert len(names[file]) > 8, names
    return names


def promtool(*arguments, text=None):
    program = shutil.which("promtool", path="/usr/bin:/usr/local/bin")
    if program is None:
        raise tap.Skip("promtool is not installed (Debian's package prometheus)")
    done = subprocess.run([program, "check", *arguments], input=text, capture_output=True,
                          timeout=60)
    assert done.returncode == 0 and b"lint" not in done.stderr, (done.stdout, done.stderr)


def check_pages(line):
    assert get(line, "/healthz") == "ok\n"
    assert get(line, "/readyz") == "ready; 1 of 1 ports are up\n"
    assert "/metrics /healthz /readyz" in get(line, "/nothing", status="404")
    get(line, "/metrics", "-d", "x=1", status="405")
    line.exec("b", "curl", "-sfI", "http://127.0.0.1:9480/metrics")
    openmetrics = get(line, "/metrics", "-H", f"Accept: {OPENMETRICS}")
    assert openmetrics.endswith("\n# EOF\n"), openmetrics[-100:]


def test_metrics_are_the_ledger_and_have_every_name_that_docs_use():
    with Line() as line, tempfile.TemporaryDirectory(prefix="weir-metrics-") as folder, \
            line.socket("b", socket.AF_INET, socket.SOCK_DGRAM) as collector:
        os.chmod(folder, 0o755)
        collector.bind(("127.0.0.1", 2055))
        archive = os.path.join(folder, "flows")
        with Weir(line, "b", "--port", "vb0", "--workers=2", "--idle-timeout=2s",
                  "--collector", "127.0.0.1:2055", "--archive", archive,
                  "--archive-flush=100ms") as weir:
            line.send("a", "va0", [ipv4_udp(i % 50, i) for i in range(2000)])
            line.send("a", "va0", odd_frames())
            check_pages(line)
            seen = []

            def metered_and_sent(packets, records):
                seen.append(get(line, "/metrics"))
                scrape = Scrape(seen[-1])
                sent = scrape.by("weir_sink_sent_records_total", "sink")
                return scrape.get("weir_metered_packets_total") >= packets \
                    and len(sent) == 2 and min(sent.values()) >= records

            until(lambda: metered_and_sent(2003, 53), "the flows at both sinks")
            before = Scrape(seen[-1]).get("weir_metered_packets_total")
            line.send("a", "va0", [ipv4_udp(200 + i) for i in range(5)] * 3)
            until(lambda: metered_and_sent(before + 15, 53), "running flows")
            ledger = weir.stop()
    scrape = Scrape(seen[-1])
    check_ledger(scrape, ledger)
    for file, names in used_names().items():
        missing = {re.sub("_bucket$", "", name) for name in names} - scrape.families
        assert not missing, (file, missing)
    assert scrape.families <= used_names()["operate.md"], scrape.families
    promtool("metrics", text=seen[-1].encode())


def test_prometheus_rules_are_right():
    promtool("rules", os.path.join(DOCS, "weir.rules.yml"))


def test_the_dashboard_is_one():
    with open(os.path.join(DOCS, "grafana-weir.json"), encoding="utf-8") as file:
        dashboard = json.load(file)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]) > 10
    for panel in dashboard["panels"]:
        assert panel["title"] and all(t["expr"] for t in panel["targets"]), panel


CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: weir
    static_configs: [{targets: ["127.0.0.1:9480"]}]
"""


def ask(line, query):
    done = line.exec("b", "curl", "-s", "-G", "--data-urlencode", f"query={query}",
                     "http://127.0.0.1:9090/api/v1/query")
    return [float(result["value"][1]) for result in json.loads(done.stdout)["data"]["result"]]


def test_prometheus_scrapes_it():
    program = shutil.which("prometheus", path="/usr/bin:/usr/local/bin")
    if program is None:
        raise tap.Skip("prometheus is not installed")
    with Line() as line, tempfile.TemporaryDirectory(prefix="weir-prometheus-") as folder:
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG % os.path.abspath(os.path.join(DOCS, "weir.rules.yml")))
        with Weir(line, "b", "--port", "vb0", "--log-level=debug") as weir:
            line.send("a", "va0", [ipv4_udp(i) for i in range(300)])
            prometheus = line.start(
                "b", program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                "--web.listen-address=127.0.0.1:9090",
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                until(lambda: line.exec("b", "ss", "-Hltn", "sport = :9090").stdout, "Prometheus")
                until(lambda: max(ask(line, "weir_metered_packets_total"), default=0) >= 300,
                      "the packets in Prometheus")
                assert ask(line, 'up{job="weir"}') == [1.0]
                assert ask(line, "weir_cache_capacity_flows") == [2.0 ** 20]
                # The older format has the same names.
                assert ask(line, "count(weir_ageing_lateness_seconds_bucket)") == [10.0]
            finally:
                prometheus.terminate()
                prometheus.wait(20)
            weir.stop()


def test_a_taken_address_hinders_none_who_did_not_ask_for_it():
    with Line() as line:
        with Weir(line, "b", "--port", "vb0") as first:
            with Weir(line, "b", "--port", "vb0", "--socket=none") as second:
                assert "--http 127.0.0.1:9480: cannot listen: Address already in use" \
                    in second.text("err"), second.text("err")
                second.stop()
            with Weir(line, "b", "--port", "vb0", "--socket=none", "--http=none") as third:
                third.stop()
                assert "http" not in third.text("err"), third.text("err")
            done = subprocess.run(
                [*line.prefix("b"), tap.WEIR, "run", "--port=vb0", "--http=127.0.0.1:9480"],
                capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
            assert done.returncode == 1 and b"cannot listen" in done.stderr, done
            first.stop()


if __name__ == "__main__":
    tap.run_module(globals())
