#!/usr/bin/python3
"""The config file of `weir run`: its example, its options, and a run with it."""

import json
import os
import re
import signal
import subprocess
import tempfile

from collect import tap

MANUALS = os.environ["WEIR_MANUALS"]


def weir(*arguments, status=0):
    done = subprocess.run([tap.WEIR, *arguments], capture_output=True, text=True, timeout=60,
                          check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == status, (arguments, done)
    return done


def config(text):
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    file.write(text)
    file.flush()
    return file


def example(port="eth1", collector="192.0.2.10:2055"):
    text = weir("show-config", "--example").stdout
    assert "    - eth1\n" in text and "    - 192.0.2.10:2055\n" in text, text
    return config(text.replace("- eth1\n", f"- {port}\n").replace("- 192.0.2.10:2055\n",
                                                                  f"- {collector}\n"))


def settings(*arguments):
    lines = weir("show-config", "--json", *arguments).stdout.splitlines()
    return {setting["key"]: setting for setting in map(json.loads, lines)}


def test_the_example_is_without_mistakes_but_for_its_two_lines():
    with example() as file:
        done = weir("check-config", file.name, status=1)
        assert re.fullmatch(
            rf"weir check-config: {file.name}:\d+: export.collectors: 192.0.2.10:2055 is only an "
            r"example; set this to your collector, and capture.ports, line \d+, to the ports to "
            r"meter\n", done.stderr), done
    with example(collector="198.51.100.1:2055") as file:
        done = weir("check-config", file.name)
        assert done.stdout.startswith(f"{file.name}: good; 2 values"), done
        assert done.stderr == "", done


def test_what_is_shown_is_a_config_file_itself():
    with example(collector="198.51.100.1:2055") as file:
        shown = weir("show-config", file.name, "--filter", "tcp port 443", "--no-sandbox").stdout
    with config(shown) as again:
        weir("check-config", again.name)
        second = weir("show-config", again.name).stdout
    strip = re.compile(r" +# .*")
    assert strip.sub("", shown) == strip.sub("", second), second


def test_each_value_comes_with_where_it_comes_from():
    with config("capture:\n  ports: [eth1, eth2]\ncache:\n  entries: 64k\n") as file:
        found = settings("--idle-timeout=5s", file.name)
        text = weir("show-config", file.name, "--idle-timeout=5s").stdout
    ports, entries = found["capture.ports"], found["cache.entries"]
    assert (ports["value"], ports["origin"], ports["line"]) == (["eth1", "eth2"], "file", 2)
    assert (entries["value"], entries["file"], entries["line"]) == ("64k", file.name, 4)
    assert found["cache.idle_timeout"]["origin"] == "command line", found
    assert found["cache.active_timeout"]["origin"] == "default", found
    assert re.search(rf"  entries: 64k +# {file.name}:4\n", text), text
    assert re.search(r"  idle_timeout: 5s +# command line, --idle-timeout\n", text), text
    assert re.search(r"  active_timeout: 60s +# default\n", text), text


def test_every_option_is_a_key_and_every_key_an_option():
    options = set()
    for option in ("--help=all", "--help-archive"):
        text = weir("run", option).stdout
        options |= {name.replace("--no-", "--") for name in
                    re.findall(r"^(?:  -\w, |      )(--[a-z-]+)", text, re.M)}
    keys = settings("--port", "eth1")
    found = {setting["option"] for setting in keys.values()}
    assert options - found == {"--config", "--instance", "--help-archive"}, options ^ found
    assert found - options == set(), found - options
    with open(f"{MANUALS}/weir-run.8", encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    for setting in keys.values():
        name = setting["option"][2:]
        assert re.search(rf"-(no-)?{name}\b", manual), name


def test_an_instance_has_defaults_of_its_own_that_its_file_wins_over():
    found = settings("--instance=lan", "--port=eth1")
    assert found["serve.socket"]["value"] == "/run/weir/lan.sock", found
    assert found["serve.http"]["value"] is None, found
    assert found["archive.sensor"]["value"].endswith("-lan"), found
    with config("serve: {http: 9481, socket: /run/other.sock}\narchive: {dir: /a, sensor: b}\n"
                ) as file:
        found = settings("--instance=lan", file.name)
    assert (found["serve.http"]["value"], found["serve.socket"]["value"],
            found["archive.sensor"]["value"]) == ("9481", "/run/other.sock", "b"), found
    for name in ("weir", "", ".lan", "a/b", "a" * 33):
        assert "--instance" in weir("run", f"--instance={name}", "--port=eth1", status=2).stderr


def test_mistakes_of_a_file_are_those_of_a_run_too():
    with config("capture:\n  ports: [eth1]\n  fitler: tcp\ncache:\n  entries: 5x\n") as file:
        checked = weir("check-config", file.name, status=1).stderr
        refused = weir("run", "--config", file.name, status=2).stderr
        weir("show-config", file.name, status=1)
    assert checked.replace("weir check-config:", "weir run:") == refused, (checked, refused)
    lines = checked.splitlines()
    assert len(lines) == 2, lines
    assert f"{file.name}:3: capture.fitler: not known; did you mean capture.filter?" in lines[0]
    assert f"{file.name}:5: cache.entries: 5x: must be a whole number" in lines[1]


def section(name, *lines):
    return "".join([f"{name}:\n", *(f"  {line}\n" for line in lines)])


def said_of(text):
    """(status, lines) of check-config about a file whose name is left out of them."""
    with config("capture:\n  ports: [eth1]\n" + text) as file:
        done = subprocess.run([tap.WEIR, "check-config", file.name], capture_output=True, text=True,
                              timeout=60, check=False, stdin=subprocess.DEVNULL)
        return done.returncode, done.stderr.replace(f"weir check-config: {file.name}:", "").splitlines()


def collectors(*names):
    return section("export", "collectors: [" + ", ".join(f"'{name}'" for name in names) + "]")


# What stands below "capture: {ports: [eth1]}", in lines from 3 on, and how the line begins and ends
# that it gets.
SPOKEN = "weir speaks netflow9://, ipfix:// and netflow5:// over UDP"
MISTAKES = (
    (collectors("udp://192.0.2.10:2055"), "4: export.collectors: udp://192.0.2.10:2055: " + SPOKEN),
    (collectors("ipfix+udp://192.0.2.10:1"), "4: export.collectors: ipfix+udp://192.0.2.10:1: " + SPOKEN),
    (collectors("IPFIX://192.0.2.10:1"), "4: export.collectors: IPFIX://192.0.2.10:1: " + SPOKEN),
    (collectors("ipfix://192.0.2.10"), "4: export.collectors: ipfix://192.0.2.10: no port; use HOST:PORT"),
    (collectors("192.0.2.10:"), "4: export.collectors: 192.0.2.10:: the port is not a number; use"),
    (collectors("192.0.2.10:0"), "4: export.collectors: 192.0.2.10:0: the port must be from 1 to 65535"),
    (collectors("192.0.2.10:70000"), "4: export.collectors: 192.0.2.10:70000: the port must be from"),
    (collectors("192.0.2.10:netflow"), "4: export.collectors: 192.0.2.10:netflow: the port is not a"),
    (collectors("ipfix://2001:db8::1:4739"), "4: export.collectors: ipfix://2001:db8::1:4739: an IPv6"),
    (collectors("[2001:db8::1]"), "4: export.collectors: [2001:db8::1]: not [ADDRESS]:PORT; use HOST:PORT"),
    (collectors(":2055"), "4: export.collectors: :2055: no host that could be one; use HOST:PORT"),
    (collectors(*(f"192.0.2.{i}:1" for i in range(17))), "4: export.collectors: 192.0.2.16:1: at most 16"),
    (section("security", "user: no-such-user"), "4: security.user: no-such-user: there is no such user"
     " here; 'useradd --system no-such-user' makes it, or remove the line"),
    (section("security", "user: root"), "4: security.user: root: that is root itself; name a user who"),
    (section("threads", "cores: '1000'"), "4: threads.cores: 1000: there is no core 1000 here; use others"),
    (section("threads", "cores: 0-1023"), "4: threads.cores: 0-1023: not a list of cores; use numbers"),
    (section("threads", "cores: 0,0"), "4: threads.cores: 0,0: not a list of cores; use numbers and"),
    (section("export", "tls_ca: /etc"), "4: export.tls_ca: /etc: a folder; name a file in it"),
    (section("export", "tls_ca: /etc/passwd"), "4: export.tls_ca: says nothing without a collector over"
     " TLS; write one such as ipfix+tls://192.0.2.10:4740, or remove the line"),
    (section("export", "tls_name: a.example.org"), "4: export.tls_name: says nothing without a collector"),
    (collectors("ipfix+tls://192.0.2.10:4740") + "  tls_ca: /etc/passwd\n", "5: export.tls_ca:"
     " /etc/passwd holds no certificate in PEM, whose first line says BEGIN CERTIFICATE"),
    (section("serve", "http: 127.0.0.1:-1"), "4: serve.http: 127.0.0.1:-1: no address; use PORT, HOST:"),
    (section("serve", "http: '::1:9480'"), "4: serve.http: ::1:9480: no address; use PORT, HOST:PORT,"),
    (section("archive", "dir: ''"), "4: archive.dir: no value; use the name of a folder, such as"),
)
WARNINGS = (
    ("", " export.collectors: warning: flow records go nowhere; add collectors, archive.dir or"),
    (collectors("192.0.2.10:1", "192.0.2.10:1"), "4: export.collectors: warning: 192.0.2.10:1: given"
     " twice, and gets every record twice; remove one"),
    (section("archive", "dir: /no/such/folder"), "4: archive.dir: warning: /no/such/folder: cannot be made"
     " in /no/such: No such file or directory; make the folder, and give it to the user who runs weir"),
    (section("archive", "dir: /dev/null"), "4: archive.dir: warning: /dev/null: user "),
    (section("archive", "dir: ."), "4: archive.dir: warning: .: another place for each folder that weir"),
    (collectors("192.0.2.10:1") + section("serve", "socket: /no/such/socket"), "6: serve.socket: warning:"
     " /no/such/socket: no socket can be made in /no/such: No such file or directory; make the folder"),
    (collectors("192.0.2.10:1") + section("cache", "entries: 1073741824"), "6: cache.entries: warning:"
     " 1073741824 flows take "),
    (collectors("192.0.2.10:1") + section("cache", "active_timeout: 0", "idle_timeout: 0"),
     "7: cache.idle_timeout: warning: 0, as cache.active_timeout: flows are reported when the cache is"),
    (collectors("192.0.2.10:1") + "  scale_counters: true\n", "5: export.scale_counters: warning: says"
     " nothing without capture.sample; add that, or remove this"),
    (collectors("192.0.2.10:1") + "  distribute: balance\n", "5: export.distribute: warning: says nothing"
     " with fewer than two collectors; add one, or remove this"),
    (collectors("192.0.2.10:1") + section("security", "user: nobody", "sandbox: false"),
     "6: security.user: warning: says nothing with security.sandbox false; remove one of them"),
    (collectors("192.0.2.10:1") + section("threads", "workers: 2", "cores: '0'"), "7: threads.cores:"
     " warning: 1 cores for 2 workers, who then wait for each other; name a core for each"),
)


def test_what_the_machine_or_the_whole_does_not_allow_is_a_mistake():
    for text, begins in MISTAKES:
        status, lines = said_of(text)
        assert status == 1 and len(lines) == 1 and lines[0].startswith(begins), (text, lines)


def test_what_is_hardly_meant_is_a_warning():
    for text, begins in WARNINGS:
        status, lines = said_of(text)
        assert status == 0 and len(lines) == 1 and lines[0].startswith(begins), (text, lines)


def test_a_key_that_others_may_read_is_a_warning():
    with tempfile.TemporaryDirectory(prefix="weir-config-") as folder:
        key, cert = f"{folder}/key.pem", f"{folder}/cert.pem"
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=weir", "-days",
             "2", "-keyout", key, "-out", cert], capture_output=True, check=False)
        assert made.returncode == 0, made.stderr
        text = collectors("ipfix+tls://192.0.2.10:4740") + (
            f"  tls_ca: {cert}\n  tls_cert: {cert}\n  tls_key: {key}\n")
        os.chmod(key, 0o600)
        assert said_of(text) == (0, [])
        os.chmod(key, 0o644)
        status, lines = said_of(text)
        assert status == 0 and lines == [f"7: export.tls_key: warning: {key}: others than its owner may"
                                         f" read or write it; 'chmod 600 {key}'"], lines
        status, lines = said_of(text.replace(f"tls_key: {key}", f"tls_key: {cert}"))
        assert status == 1 and lines[0].startswith(f"7: export.tls_key: {cert} holds no private key"), lines


def test_none_is_a_value_wherever_a_user_is_told_so():
    """The manual says of which keys; and it takes back what was said, for run and show-config."""
    page = weir("show-config", "--example").stdout
    with_none = {f"{name}.{key}" for name, keys in
                 re.findall(r"^([a-z]+):\n((?:  .*\n|\n)+)", page, re.M)
                 for key in re.findall(r", or\s(?:  # )?none\.(?:\n  # Default.*| Default.*)?(?:\n  # .*)*\n  #?([a-z_]+):",
                                       keys)}
    assert {"capture.filter", "output.print", "export.collectors", "serve.http"} <= with_none, with_none
    # Of the ledger it is a word like the others.
    for key in with_none - {"output.ledger"}:
        name, _, own = key.partition(".")
        value = "[none]" if own == "collectors" else "none"
        text = section(name, f"{own}: {value}")
        text = text.replace("capture:\n", "") if name == "capture" else text
        status, lines = said_of(text)
        assert status == 0 and all(": warning: " in line for line in lines), (key, lines)
        with config("capture:\n  ports: [eth1]\n" + text) as file:
            found = settings(file.name)[key]
        assert found["value"] in (None, []) and found["origin"] == "file", found
        option = settings("--port=eth1", f"{found['option']}=none")[key]
        assert option["value"] in (None, []) and option["origin"] == "command line", option


def test_wrong_use_is_told():
    weir("check-config", "/nowhere/weir.yaml", status=1)
    weir("check-config", "a", "b", status=2)
    weir("check-config", "--colour", status=2)
    weir("show-config", "--cache-entries", status=2)
    weir("show-config", "--cache-entries=5x", status=2)
    weir("show-config", "a", "b", status=2)
    weir("run", "--config", "/nowhere/weir.yaml", status=2)


def test_the_example_with_its_two_lines_edited_runs():
    with example("vdev:net_ring0", "127.0.0.1:9") as file:
        process = subprocess.Popen(
            [tap.WEIR, "run", "--config", file.name, "--http=none", "--socket=none",
             "--cache-entries=1000", "--ledger=json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            for line in process.stderr:
                if b"metering" in line:
                    break
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, (out, err)
    assert b'"collectors"' in out + err or b"127.0.0.1:9" in out + err, (out, err)


if __name__ == "__main__":
    tap.run_module(dict(globals()))
