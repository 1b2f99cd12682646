#!/usr/bin/python3
"""The status page of weir run and the JSON that it asks for: against the ledger, and against those who
must not read it. tests/page/run looks at it in a browser."""

import json
import re
import socket
import threading
import time

from collect import tap, until
from live import Line, Weir
from run_test import ipv4_udp, odd_frames

URL = "http://127.0.0.1:9480"
HEADERS = ["cache-control: no-store", "x-content-type-options: nosniff",
           "referrer-policy: no-referrer", "cross-origin-resource-policy: same-origin"]


def get(line, path, *arguments):
    """The status and the text of an answer."""
    done = line.exec("b", "curl", "-s", "-g", "-w", "\n%{http_code}", *arguments, f"{URL}{path}")
    text, _, status = done.stdout.decode().rpartition("\n")
    return int(status), text


def get_json(line, path):
    status, text = get(line, path)
    assert status == 200, (status, text)
    return json.loads(text)


def check_page(line):
    status, page = get(line, "/")
    assert status == 200 and page.startswith("<!doctype html>") and page.endswith("</html>\n")
    assert len(page) < 60000, len(page)
    # What it names itself is of XML, and nobody asks for it.
    assert set(re.findall(r"https?://[^\"'\s)]+", page)) <= {
        "http://www.w3.org/2000/svg"}, re.findall(r"https?://\S+", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(| on\w+=", page)
    assert not re.search(r"\b(?:src|srcset|action)=|@import|url\(", page)
    assert "<noscript>" in page
    _, head = get(line, "/", "-D", "-", "-o", "/dev/null")
    head = head.lower()
    for header in HEADERS:
        assert header in head, (header, head)
    policy = re.search(r"content-security-policy: (.*)", head).group(1)
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy, policy
    assert "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy, policy


def check_refusals(line):
    for path in ("/", "/status.json", "/history.json"):
        for host in ("127.0.0.1:9480", "localhost", "LOCALHOST:1", "[::1]:9480", "192.0.2.2"):
            assert get(line, path, "-H", f"Host: {host}")[0] == 200, (path, host)
        for host in ("evil.example", "evil.example:9480", "127.0.0.1.evil.example", "127.1", "b"):
            status, text = get(line, path, "-H", f"Host: {host}")
            assert status == 421 and "by the name given in --http" in text, (path, host, text)
            assert "packets" not in text
        assert "packets" not in get(line, path, "-H", "Host:", "-0")[1], path
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert get(line, path, "-X", method)[0] == 405, (path, method)
        line.exec("b", "curl", "-sfI", f"{URL}{path}")
    # Prometheus may have any name for the machine.
    assert get(line, "/metrics", "-H", "Host: sensor1.example:9480")[0] == 200


def check_ledger(now, ledger):
    """What it said when all was quiet is what the ledger says at the end, but for the flows that ended
    with it."""
    assert now["received"] == {k: ledger["received"][k] for k in ("packets", "bytes")}
    assert now["metered"] == {k: ledger["metered"][k] for k in ("packets", "bytes")}
    unmetered = {r["reason"]: r["packets"] for r in now["unmetered"]}
    assert unmetered == {k: r["packets"] for k, r in ledger["not_metered"].items()}
    assert {p["name"]: p["packets"] for p in now["ports"]} \
        == {p["name"]: p["packets"] for p in ledger["ports"]}
    records = {r["reason"]: r["records"] for r in now["records"]}
    assert records.pop("forced") == 0
    assert records == {k: n for k, n in ledger["records_by_end"].items() if k in records}, records
    assert now["cache"]["flows"] == ledger["records_by_end"]["forced"] > 0
    assert sum(w["flows"] for w in now["workers"]) == now["cache"]["flows"]
    assert now["cache"]["started"] == now["cache"]["flows"] + records["idle"]
    made = sum(records.values())
    for sink, final in zip(now["sinks"], ledger["sinks"], strict=True):
        assert sink["name"] == final["name"] and sink["records"] == made, (sink, final)
        assert sink["sent"] + sum(loss["records"] for loss in sink["lost"]) == made, sink


def test_the_figures_are_the_ledgers():
    with Line() as line, line.socket("b", socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 2055))
        with Weir(line, "b", "--port", "vb0", "--workers=2", "--idle-timeout=3s",
                  "--collector", "127.0.0.1:2055") as weir:
            first = get_json(line, "/status.json")
            assert first["state"] == "meters" and first["last_s"] < 30, first
            line.send("a", "va0", [ipv4_udp(i % 50, i) for i in range(2000)])
            line.send("a", "va0", odd_frames())
            check_page(line)
            check_refusals(line)
            seen = []

            def sent(packets):
                seen.append(get_json(line, "/status.json"))
                now = seen[-1]
                return now["metered"]["packets"] >= packets and now["sinks"][0]["sent"] >= 51 \
                    and now["sinks"][0]["sent"] >= sum(r["records"] for r in now["records"])

            until(lambda: sent(2003), "the flows at the collector")
            check_history(line)
            sent(0)
            before = seen[-1]["metered"]["packets"]
            line.send("a", "va0", [ipv4_udp(200 + i) for i in range(5)] * 3)
            until(lambda: sent(before + 15), "running flows")
            ledger = weir.stop()
    check_ledger(seen[-1], ledger)
    assert {line["level"] for line in seen[-1]["health"]} <= {"good", "warning"}, seen[-1]["health"]


def check_history(line):
    """Its samples add up to the counters."""
    def complete():
        history, now = get_json(line, "/history.json"), get_json(line, "/status.json")
        return sum(history["packets"]) == now["received"]["packets"] and (history, now)

    history, now = until_value(complete, "the history to have all packets")
    assert history["first"] == 0 and len({len(c) for k, c in history.items() if k != "first"}) == 1
    assert sum(history["bytes"]) == now["received"]["bytes"]
    assert sum(history["flows"]) == now["cache"]["started"]
    assert all(4000 < span < 7000 for span in history["span_ms"][1:]), history["span_ms"]
    ends = history["end_ms"]
    assert ends == sorted(ends) and abs(time.time() * 1000 - ends[-1]) < 30000


def until_value(function, what):
    found = []

    def ask():
        found.append(function())
        return found[-1]

    until(ask, what)
    return found[-1]


def test_what_moves_most_is_looked_for_when_someone_asks_and_not_more_often():
    with Line() as line:
        with Weir(line, "b", "--port", "vb0", "--socket=none") as weir:
            stop = threading.Event()

            def send():
                while not stop.is_set():
                    line.send("a", "va0", [ipv4_udp(1, octets=1000)] * 40 + [ipv4_udp(2, octets=500)]
                              * 20, rate=600)

            thread = threading.Thread(target=send)
            thread.start()
            try:
                begun = time.monotonic()
                tops = [get_json(line, "/status.json")["top"] for _ in range(20)]
                n = len({json.dumps(top) for top in tops})
                assert n <= 1 + (time.monotonic() - begun) / 4, n

                def found():
                    top = get_json(line, "/status.json")["top"]
                    return [row["addr"] for row in top["sources"][:2]] == ["10.0.0.1", "10.0.0.2"] \
                        and top

                top = until_value(found, "two sources")
            finally:
                stop.set()
                thread.join()
            first, second = (row["bits_per_s"] for row in top["sources"][:2])
            assert 3 < first / second < 5, top  # 2 * 2 times as much
            assert top["destinations"][0]["addr"] == "198.51.100.1", top
            assert (top["ports"][0]["proto"], top["ports"][0]["port"]) == (17, 1000), top
            assert top["conversations"][0] | {"addr": "10.0.0.1", "peer": "198.51.100.1"} \
                == top["conversations"][0], top
            assert top["parts"] >= top["parts_read"] >= 1, top
            weir.stop()


def test_health_says_what_is_wrong():
    with Line() as line:
        with Weir(line, "b", "--port", "vb0", "--socket=none", "--idle-timeout=1s",
                  "--collector", "127.0.0.1:9") as weir:

            def texts():
                line.send("a", "va0", [ipv4_udp(i) for i in range(100)])
                return [(said["level"], said["text"])
                        for said in get_json(line, "/status.json")["health"]]

            until(lambda: any(level == "bad" and ("127.0.0.1:9 " in text or "127.0.0.1:9:" in text)
                              for level, text in texts()), "a collector that refuses")
            line.ip("a", "link", "set", "va0", "down")
            until(lambda: ("bad", "Port vb0 is down: no packets come from it.") in [
                (said["level"], said["text"]) for said in get_json(line, "/status.json")["health"]],
                "a port that is down")
            weir.stop(status=1)  # for what it could not send


def test_the_name_given_in_http_may_ask():
    with Line() as line:
        with Weir(line, "b", "--port", "vb0", "--socket=none", "--http=localhost:9481") as weir:
            done = line.exec("b", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                             "http://localhost:9481/status.json")
            assert done.stdout == b"200", done
            weir.stop()


if __name__ == "__main__":
    tap.run_module(globals())
