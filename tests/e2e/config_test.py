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
    assert found["serve.http"]["value"] == "none", found
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
