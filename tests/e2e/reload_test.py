#!/usr/bin/python3
"""A running sensor whose config file is read again: what changes, what does not, and that no packet
and no record is lost over it."""

import glob
import ipaddress
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

from collect import need, tap, until
from live import SLOW, Line, Weir
from run_test import ipv4_udp

A, B = "192.0.2.1:9991", "192.0.2.1:9992"


class Config:
    """A config file, which others may read, and weir reload of who runs with it."""

    def __init__(self, line, folder, **keys):
        self.line = line
        self.path = os.path.join(folder, "weir.yaml")
        self.socket = os.path.join(folder, "sock")
        self.keys = {"export.collectors": [A], "capture.ports": ["vb0"], "serve.http": "none",
                     "serve.socket": self.socket, "cache.idle_timeout": "1s",
                     "cache.entries": 65536} | {k.replace("__", "."): v for k, v in keys.items()}
        self.write()

    def write(self, **keys):
        self.keys |= {k.replace("__", "."): v for k, v in keys.items()}
        sections = {}
        for key, value in self.keys.items():
            section, name = key.split(".")
            if value is not None:
                sections.setdefault(section, []).append(f"  {name}: {json.dumps(value)}\n")
        with open(self.path, "w", encoding="utf-8") as file:
            for section, lines in sections.items():
                file.write(f"{section}:\n" + "".join(lines))

    def reload(self, status=0, **keys):
        """What weir reload prints, to both."""
        self.write(**keys)
        done = subprocess.run(
            [*self.line.prefix("b"), tap.WEIR, "reload", "--socket", self.socket],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == status, (done.returncode, said)
        return said


class Collector:
    """weir decode, strict, in the namespace of who sends to it."""

    def __init__(self, line, port):
        self.out = open(f"/tmp/weir-reload-{os.getpid()}-{port}", "w+b")
        self.process = line.start("a", tap.WEIR, "decode", "--strict", "--format=json",
                                  "--listen", f"192.0.2.1:{port}", stdout=self.out,
                                  stderr=subprocess.PIPE)
        until(lambda: line.exec("a", "ss", "-Hlun", f"sport = :{port}").stdout, "weir decode")

    def __enter__(self):
        return self

    def records(self):
        """The addresses that records came from, as numbers."""
        with open(self.out.name, encoding="utf-8") as file:
            text = file.read()
        found = []
        for row in text.splitlines():
            record = json.loads(row) if row.endswith("}") else {}
            if record.get("type") == "record" and ":" not in record["src_addr"]:
                octets = bytes(map(int, record["src_addr"].split(".")))
                found.append(int.from_bytes(octets, "big"))
        return found

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        said = self.process.stderr.read().decode()
        self.process.wait(20)
        assert self.process.returncode == 0, said
        return self.records()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self.out.close()
        os.unlink(self.out.name)


class Setup:
    """A line, and a weir with a config file at its end `b`."""

    def __init__(self, *arguments, **keys):
        self.line = Line()
        self.arguments = arguments
        self.keys = keys

    def __enter__(self):
        self.line.__enter__()
        try:
            self.config = Config(self.line, self.folder(), **self.keys)
            self.weir = Weir(self.line, "b", "--config", self.config.path, *self.arguments)
            self.weir.__enter__()
        except BaseException:
            self.line.__exit__()
            raise
        return self

    def folder(self):
        self.path = f"/tmp/weir-reload-{os.getpid()}"
        os.makedirs(self.path, exist_ok=True)
        os.chmod(self.path, 0o755)
        return self.path

    def send(self, first, n, **options):
        """`n` packets, each a flow of its own."""
        self.line.send("a", "va0", [ipv4_udp(i) for i in range(first, first + n)], **options)

    def log(self):
        return self.weir.text("err")

    def __exit__(self, *_):
        self.weir.__exit__()
        self.line.__exit__()
        for name in os.listdir(self.path):
            os.unlink(os.path.join(self.path, name))
        os.rmdir(self.path)


# An IPFIX collector over TLS that wants a certificate: of each session the name in it is printed, and
# what came is in a file of its own.
TLS_COLLECTOR = '''
import socket, ssl, sys, threading
port, folder = int(sys.argv[1]), sys.argv[2]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{folder}/collector.crt", f"{folder}/collector.key")
context.verify_mode = ssl.CERT_REQUIRED
context.load_verify_locations(f"{folder}/authority.crt")
def serve(server):
    for number in range(1000):
        plain, _ = server.accept()
        try:
            session = context.wrap_socket(plain, server_side=True)
        except (ssl.SSLError, OSError) as error:
            print("refused", error, flush=True)
            continue
        print(dict(name[0] for name in session.getpeercert()["subject"])["commonName"], flush=True)
        threading.Thread(target=take, args=(session, number), daemon=True).start()
def take(session, number):
    with open(f"{folder}/session-{number}.ipfix", "wb", buffering=0) as file:
        while octets := session.recv(65536):
            file.write(octets)
server = socket.create_server(("192.0.2.1", port))
print("listens", flush=True)
serve(server)
'''


def certificate(folder, name, subject, *more):
    """NAME.crt and NAME.key, of the folder's authority or, for that itself, of its own."""
    new = os.path.join(folder, name)
    of = os.path.join(folder, "authority")
    signed = [] if name == "authority" else ["-CA", f"{of}.crt", "-CAkey", f"{of}.key"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={subject}", *signed, *more,
         "-out", f"{new}.crt", "-keyout", f"{new}.key"],
        capture_output=True, check=True, timeout=20)


class TlsCollector:
    """Of one line and folder; `sessions` are the names that its clients had, in turn."""

    def __init__(self, line, folder, port):
        self.folder = folder
        self.sessions = []
        self.process = line.start("a", sys.executable, "-c", TLS_COLLECTOR, str(port), folder,
                                  stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "listens\n"
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for row in self.process.stdout:
            self.sessions.append(row.strip())

    def files(self):
        return sorted(glob.glob(f"{self.folder}/session-*.ipfix"))

    def records(self):
        """The addresses that records of each session came from."""
        found = []
        for file in self.files():
            done = subprocess.run([tap.WEIR, "decode", "--format=json", file],
                                  capture_output=True, check=False, timeout=60)
            rows = map(json.loads, done.stdout.decode().splitlines())
            found.append([row["src_addr"] for row in rows if row.get("type") == "record"])
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


def flow(number):
    return 0x0A000000 + number


def number_of(address):
    return int(ipaddress.ip_address(address))


def sinks_of(ledger):
    return {sink["name"]: sink for sink in ledger["sinks"]}


def test_every_record_goes_to_the_collectors_of_its_time():
    n = 20000 // SLOW
    with Setup() as it, Collector(it.line, 9991) as first, Collector(it.line, 9992) as second:
        sender = threading.Thread(target=it.send, args=(0, n), kwargs={"rate": n / 5})
        sender.start()
        until(lambda: len(first.records()) > 100, "records at the first")
        said = it.config.reload(export__collectors=[A, B])
        assert f"export.collectors: {A} -> {A}, {B}" in said, said
        until(lambda: len(second.records()) > 100, "records at both")
        it.config.reload(export__collectors=[B])
        sender.join()
        until(lambda: flow(n - 1) in second.records(), "the last flow")
        ledger = it.weir.stop()
        left, came = first.stop(), second.stop()
    left = [i for i in left if flow(0) <= i < flow(n)]
    came = [i for i in came if flow(0) <= i < flow(n)]
    assert len(set(left)) == len(left) and len(set(came)) == len(came), "some came twice"
    assert set(left) | set(came) == {flow(i) for i in range(n)}, "some came to nobody"
    assert set(left) & set(came), "there was a time for both"
    sinks = sinks_of(ledger)
    assert set(sinks) == {B, "former collectors"}, ledger
    assert sinks[B]["sent"] + sinks[B]["absent"] == ledger["records"], ledger
    assert sinks["former collectors"]["sent"] >= len(left), ledger
    assert ledger["metered"]["packets"] >= n, ledger
    # Neither export was metered.
    assert ledger["not_metered"]["own_export"]["packets"] > 0, ledger


def test_a_collector_that_stays_goes_on_as_it_was():
    with Setup() as it, Collector(it.line, 9991) as first, Collector(it.line, 9992):
        it.send(0, 200)
        until(lambda: len(first.records()) >= 200, "records")
        for n, others in enumerate(([B], [], [B], []), 1):
            it.config.reload(export__collectors=[A, *others])
            it.send(200 * n, 200)
        until(lambda: len(first.records()) >= 1000, "records")
        ledger = it.weir.stop()
        first.stop()  # strict: with no gap in the sequence
    assert sinks_of(ledger)[A]["absent"] == 0, ledger
    assert sinks_of(ledger)[A]["sent"] == ledger["records"], ledger


def test_other_settings_of_the_export_begin_it_anew():
    with Setup() as it, Collector(it.line, 9991) as first:
        it.send(0, 100)
        until(lambda: len(first.records()) >= 100, "records")
        said = it.config.reload(export__fields="minimal", export__distribute="balance",
                                export__collectors=[A, B])
        assert "export.fields: standard -> minimal" in said, said
        it.send(1000, 400)
        until(lambda: len(first.records()) >= 120, "some of the others")
        ledger = it.weir.stop(status=1)  # nobody listened at the second
        first.stop()
    sinks = sinks_of(ledger)
    assert sinks["former collectors"]["sent"] >= 100, ledger
    assert sinks[A]["records"] + sinks[B]["records"] + sinks[A]["absent"] \
        == ledger["records"], ledger


def test_timeouts_apply_to_flows_that_run():
    with Setup(cache__idle_timeout="10m", cache__active_timeout="1h") as it, \
            Collector(it.line, 9991) as first:
        it.send(0, 500)
        time.sleep(1.5)
        assert not first.records()
        begun = time.monotonic()
        said = it.config.reload(cache__idle_timeout="1s")
        assert "cache.idle_timeout: 10m -> 1s" in said, said
        until(lambda: len(set(first.records())) >= 500, "the flows")
        # A round of ageing or two, and a second for datagrams to fill.
        assert time.monotonic() - begun < 2.5 * SLOW, time.monotonic() - begun
        ledger = it.weir.stop()
        first.stop()
    assert ledger["records_by_end"]["idle"] >= 500, ledger
    # That they had ended long before was not late.
    assert ledger["lateness"]["max_ms"] < 600 * SLOW, ledger


def test_a_mistake_leaves_everything_as_it_is():
    with Setup() as it, Collector(it.line, 9991) as first:
        for keys, line in (
                ({"cache.idle_timout": "2s"}, "cache.idle_timout: not known; did you mean cache.idle_timeout?"),
                ({"cache.idle_timeout": "2x"}, "cache.idle_timeout: 2x: not a dur"),
                ({"export.collectors": ["nosuch.invalid:1"]}, "nosuch.invalid"),
                ({"export.collectors": ["netflow8://127.0.0.1:1"]}, "netflow8"),
                ({"export.tls_ca": "/nonexistent"}, "--tls-ca"),
                ({"export.fields": "standard+mpls"}, "restart"),
                ({"capture.ports": []}, "capture.ports"),
                ({"log.level": "loud"}, "log.level: loud: not known")):
            before = dict(it.config.keys)
            # Beside it something that could be applied.
            it.config.keys |= {"archive.level": 3, "log.report": "7s"} | keys
            said = it.config.reload(status=1)
            assert line in said and "refused; everything is as it was" in said, (line, said)
            assert line in it.log(), it.log()
            it.config.keys = before
        assert it.config.reload() == "config file read again: nothing has changed\n"
        os.unlink(it.config.path)
        done = subprocess.run([tap.WEIR, "reload", "--socket", it.config.socket],
                              capture_output=True, check=False)
        assert done.returncode == 1 and b"cannot be read: No such file" in done.stderr, done
        it.send(0, 100)
        until(lambda: len(first.records()) >= 100, "records")
        ledger = it.weir.stop()
        first.stop()
    assert sinks_of(ledger).keys() == {A}, ledger


def test_what_needs_a_restart_is_named_each_time():
    with Setup(export__collectors=None) as it:
        for _ in range(2):
            said = it.config.reload(status=3, cache__entries=1000, capture__filter="udp",
                                    log__report="3s")
            assert "cache.entries: 65536 -> 1000: needs a restart" in said, said
            assert "capture.filter: none -> udp: needs a restart" in said, said
        assert "log.report" not in said, said  # of which the first was the last
        assert it.config.reload(cache__entries=65536, capture__filter=None) \
            == "config file read again: nothing has changed\n"
        it.weir.stop(status=0)


def test_metrics_tell_what_came_of_reloads():
    port = 19479

    def told():
        text = it.line.exec("b", "curl", "-s", f"http://127.0.0.1:{port}/metrics").stdout
        text = text if isinstance(text, str) else text.decode()
        return {name: float(value) for name, value in
                (row.rsplit(" ", 1) for row in text.splitlines() if row.startswith("weir_config"))}

    def result(word):
        return f'weir_config_reloads_total{{result="{word}"}}'

    successful = "weir_config_last_reload_successful"
    when = "weir_config_last_reload_success_timestamp_seconds"
    with Setup(export__collectors=None, serve__http=f"127.0.0.1:{port}") as it:
        first = told()
        assert abs(first[when] - time.time()) < 60 * SLOW, first
        assert first[successful] == 1 and first[result("refused")] == 0, first
        it.config.reload(log__report="7s")
        # Metrics are taken each second.
        until(lambda: told()[result("applied")] == 1, "one that was applied")
        applied = told()
        assert applied[when] > first[when] and applied[successful] == 1, applied
        it.config.reload(status=3, cache__entries=1000)
        until(lambda: told()[result("partly")] == 1, "one that was in part")
        partly = told()
        assert partly[when] > applied[when] and partly[successful] == 1, partly
        it.config.reload(status=1, cache__idle_timeout="2x")
        until(lambda: told()[successful] == 0, "one that was refused")
        refused = told()
        assert refused[when] == partly[when] and refused[result("refused")] == 1, refused
        it.weir.stop(status=0)


def test_a_renewed_certificate_is_presented_by_the_next_session():
    with tempfile.TemporaryDirectory(prefix="weir-reload-tls-") as folder:
        os.chmod(folder, 0o755)
        need("openssl")
        certificate(folder, "authority", "authority")
        certificate(folder, "collector", "collector", "-addext", "subjectAltName=IP:192.0.2.1")
        certificate(folder, "sensor", "first")
        own = {name: os.path.join(folder, f"sensor.{name}") for name in ("crt", "key")}
        os.chown(own["key"], 65534, 65534)
        name = "ipfix+tls://192.0.2.1:4740"
        with Setup(security__user="nobody", export__collectors=[name],
                   export__tls_ca=f"{folder}/authority.crt", export__tls_cert=own["crt"],
                   export__tls_key=own["key"]) as it, \
                TlsCollector(it.line, folder, 4740) as collector:
            check_renewal(it, collector, name, own)


def check_renewal(it, collector, name, own):
    def came(number, first, n):
        return len({row for row in collector.records()[number]
                    if flow(first) <= number_of(row) < flow(first + n)}) == n

    until(lambda: collector.sessions == ["first"], "the first session")
    it.send(0, 200)
    until(lambda: came(0, 0, 200), "records")
    # What is as it was leaves the session alone.
    assert it.config.reload() == "config file read again: nothing has changed\n"
    said = it.config.reload(log__report="7s")
    assert "tls" not in said, said
    it.send(200, 200)
    until(lambda: came(0, 200, 200), "records of the same session")
    assert collector.sessions == ["first"], collector.sessions
    # As those do who renew one: new files, in the place of the old ones.
    certificate(collector.folder, "renewed", "second")
    renewed = os.path.join(collector.folder, "renewed")
    os.chown(f"{renewed}.key", 65534, 65534)
    for kind, path in own.items():
        os.rename(f"{renewed}.{kind}", path)
    it.send(400, 200)
    said = it.config.reload()
    assert "export.tls_cert: " in said and "export.tls_key: " in said, said
    until(lambda: collector.sessions == ["first", "second"], "a session with the new one")
    it.send(600, 200)
    until(lambda: came(1, 600, 200), "records of the next session")
    ledger = it.weir.stop()
    assert collector.sessions == ["first", "second"], collector.sessions
    got = [row for session in collector.records() for row in session]
    assert {number_of(row) for row in got} >= {flow(i) for i in range(800)}, "some came to nobody"
    assert len(got) == ledger["records"], (len(got), ledger)
    sinks = sinks_of(ledger)
    assert sinks[name]["sent"] + sinks[name]["absent"] == ledger["records"], ledger
    assert sinks["former collectors"]["sent"] == sinks[name]["absent"], ledger


def test_sighup_does_the_same_and_the_log_changes_too():
    with Setup(log__level="notice", export__collectors=None) as it:
        it.config.write(log__level="error", log__format="json")
        it.weir.process.send_signal(signal.SIGHUP)
        until(lambda: '"thing":"log.level"' in it.log() or "log.level: notice" in it.log(),
              "the reload")
        it.config.keys["log.leven"] = "info"
        it.config.reload(status=1)
        events = [json.loads(row) for row in it.log().splitlines() if row.startswith("{")]
        assert any("log.leven" in json.dumps(event) for event in events), it.log()
        it.config.keys.pop("log.leven")
        it.config.reload(log__level="info", log__format="text")
        it.weir.process.send_signal(signal.SIGTERM)
        it.weir.process.wait(20)
        assert it.weir.process.returncode == 0
        assert tap.ledger_of(it.weir.text("out").encode())["balanced"]
        assert " notice weir run: stopped within" in it.log(), it.log()


def test_a_user_who_may_not_read_it_is_told_at_the_start_and_refused():
    with Setup(security__user="nobody", export__collectors=None) as it:
        assert "will be refused" not in it.log(), it.log()
        os.chmod(it.config.path, 0o600)
        done = subprocess.run([tap.WEIR, "reload", "--socket", it.config.socket],
                              capture_output=True, check=False)
        assert done.returncode == 1 and b"Permission denied" in done.stderr, done
        it.weir.stop()
        with Weir(it.line, "b", "--config", it.config.path) as weir:
            assert "Permission denied to the user that weir runs as; 'chgrp'" in weir.text("err")
            weir.stop()


def test_without_a_config_file_there_is_nothing_to_read():
    with Line() as line:
        arguments = ["--port", "vb0", "--http", "none", "--socket", "/tmp/weir-reload-none"]
        with Weir(line, "b", *arguments) as weir:
            done = subprocess.run([tap.WEIR, "reload", "--socket", "/tmp/weir-reload-none"],
                                  capture_output=True, check=False)
            assert done.returncode == 1 and b"no config file; start it with --config" \
                in done.stderr, done
            # A terminal that is gone ends it as Ctrl-C does.
            weir.stop(signal.SIGHUP)
        with Weir(line, "b", *arguments) as weir:
            done = subprocess.run([tap.WEIR, "reload", "--socket", "/tmp/weir-reload-none",
                                   "now"], capture_output=True, check=False)
            assert done.returncode == 2, done
            weir.stop()
    done = subprocess.run([tap.WEIR, "reload", "--socket", "/tmp/weir-reload-none"],
                          capture_output=True, check=False)
    assert done.returncode == 1 and b"no sensor runs at" in done.stderr, done


def of_process(pid):
    """Descriptors and threads."""
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


def anonymous_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(row.split()[1]) for row in file if row.startswith("Anonymous:"))


def test_many_reloads_leave_nothing_behind():
    with Setup() as it:
        pid = it.weir.process.pid
        it.config.reload(export__collectors=[A, B])
        before, memory_kib = of_process(pid), anonymous_kib(pid)
        for i in range(24 // SLOW):
            it.config.reload(export__collectors=[A] if i % 2 else [B],
                             cache__idle_timeout=f"{i % 5 + 1}s")
            it.send(i * 100, 100)
        it.config.reload(export__collectors=[A, B])
        until(lambda: of_process(pid) == before, f"{before}, and not {of_process(pid)}")
        # A collector's queue is 6 MiB, and here some pages of each are touched.
        if SLOW == 1:
            assert anonymous_kib(pid) - memory_kib < 4096, (memory_kib, anonymous_kib(pid))
        # Nobody listens: that is what the exit status tells.
        ledger = it.weir.stop(status=1)
    assert ledger["metered"]["packets"] >= 24 // SLOW * 100, ledger


def test_a_stop_in_the_midst_of_a_reload_is_in_time():
    with Setup(export__collectors=None) as it:
        it.config.write(export__collectors=["192.0.2.77:9000", "ipfix+tcp://192.0.2.78:1"])
        it.weir.process.send_signal(signal.SIGHUP)
        it.weir.stop(status=0)


def test_a_reload_that_is_asked_for_during_the_stop_ends_nothing():
    with Setup(export__collectors=None) as it:
        it.send(0, 2000)
        process = it.weir.process
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.002)
        ledger = it.weir.wait(time.monotonic())
        assert ledger["metered"]["packets"] >= 2000, ledger


if __name__ == "__main__":
    # What nohup has ignored would be so in weir, too.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    tap.run_module(globals())
