#!/usr/bin/python3
"""The command line as a whole: versions, help, exit statuses, and the completion of bash, which are
held against the options that the sources have."""

import json
import os
import re
import subprocess

from collect import tap

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
COMPLETION = os.environ["WEIR_COMPLETION"]
SOURCES = {
    "run": ("settings_table.c", "run_options.c"),
    "top": ("top_options.c",),
    "check-config": ("check_config.c",),
    "show-config": ("show_config.c",),
    "replay": ("replay_options.c", "send_options.h", "archive_options.h"),
    "query": ("query_options.c",),
    "export": ("export_options.c", "send_options.h"),
    "archive": ("upkeep_options.c",),
    "decode": ("decode_options.c",),
    "doctor": ("doctor.c",),
    "version": ("version.c",),
}


def run(*arguments, status=0):
    done = subprocess.run([tap.WEIR, *arguments], capture_output=True, text=True, check=False,
                          timeout=20)
    assert done.returncode == status, (arguments, done)
    return done


def commands():
    return re.findall(r"^  ([\w-]+) {2,}", run("--help").stdout, re.M)


def options(command):
    """The tables of getopt_long() in the sources, and that of settings: of flags what help shows."""
    found = set()
    for name in SOURCES[command]:
        with open(os.path.join(ROOT, "cli", name), encoding="utf-8") as file:
            text = file.read()
        found |= set(re.findall(r'\{"([a-z0-9-]+)", \w+_argument,', text))
        for setting in text.split("\t{\n")[1:] if name == "settings_table.c" else []:
            is_on = "SETTING_FLAG" in setting and '.standard = "true"' in setting
            found |= {("no-" if is_on else "") + option
                      for option in re.findall(r'\.option = "([a-z0-9-]+)"', setting)}
    return {"--" + name for name in found}


def complete(*words):
    """What bash offers for the last of these words, parted as bash parts them."""
    script = (f'source "{COMPLETION}"; COMP_WORDS=("$@"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1));'
              ' _weir; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", "weir", *words], capture_output=True,
                          text=True, check=True)
    assert done.stderr == "", done.stderr
    return set(done.stdout.split())


def test_version_says_the_same_in_both_ways():
    text = run("version").stdout
    said = json.loads(run("version", "--json").stdout)
    assert text.splitlines()[0] == f"weir {said['version']}" == run("--version").stdout.strip()
    for name in ("compiler", "dpdk", "libpcap", "zstd", "sqlite", "licence"):
        assert said[name] and re.search(rf"^{name} +{re.escape(said[name])}", text, re.M), name
    assert said["packet_paths"][0] == "scalar" and said["licence"] == "BSD-3-Clause"
    assert run("version", "--jsn", status=2).stderr.startswith("weir version: ")


def test_every_command_has_a_help_of_24_lines_and_80_columns():
    for command in commands():
        for way in ("--help", "-h"):
            lines = run(command, way).stdout.splitlines()
            assert len(lines) <= 24 and max(map(len, lines)) <= 80, (command, len(lines))
            assert lines[0].startswith("Usage: weir " + command)
        assert max(map(len, run(command, "--help=all").stdout.splitlines())) <= 80, command


def test_the_long_help_has_every_option_and_the_short_one_counts_the_others():
    for command in commands():
        long, short = (set(re.findall(r"^ {2}(?:-\w, |    )(--[a-z0-9-]+)", text, re.M))
                       for text in (run(command, "--help=all").stdout, run(command, "--help").stdout))
        if "--help-archive" in options(command):
            long |= set(re.findall(r"^ {6}(--[a-z0-9-]+)", run(command, "--help-archive").stdout,
                                   re.M)) | {"--help-archive"}
        assert long | {"--help"} == options(command) | {"--help"}, (command, long ^ options(command))
        more = re.search(r"^(\d+) more options: weir (\w+) --help=all$", run(command, "--help").stdout,
                         re.M)
        if more:
            alone = set(re.findall(r"^ {2}(?:-\w, |    )(--[a-z0-9-]+)",
                                   run(command, "--help=all").stdout, re.M))
            assert more.group(2) == command and len(alone - short) == int(more.group(1)), command
        else:
            assert short == set(re.findall(r"^ {2}(?:-\w, |    )(--[a-z0-9-]+)",
                                           run(command, "--help=all").stdout, re.M)), command


def test_a_help_of_something_else_is_a_mistake():
    for command in ("run", "replay", "query", "export", "decode", "top"):
        assert "--help=al" in run(command, "--help=al", status=2).stderr


def test_bash_completes_every_command_and_option():
    assert complete("") == {*commands(), "--help", "--version"}
    assert complete("re") == {"replay"}
    for command in commands():
        offered = complete(command, "-")
        assert offered == options(command) | {"--help"}, (command, offered ^ options(command))


def test_bash_completes_values():
    assert complete("run", "--print", "") == {"text", "csv", "json"}
    assert complete("run", "-p", "c") == {"csv"}
    assert complete("replay", "--ledger", "=", "n") == {"none"}
    assert complete("replay", "--ledger", "=") == {"text", "json", "none"}
    assert complete("run", "--help", "=") == {"all"}
    assert "lo" in complete("run", "--port", "")
    assert complete("query", "--top", "src_") == {"src_addr", "src_port", "src_mac"}
    assert complete("archive", "") == {"ls", "verify", "repair", "compact"}
    assert complete("run", "--workers", "") == set()
    folder = os.path.join(ROOT, "pcaps", "")
    assert folder + "web.pcap" in complete("replay", folder + "we")


def test_a_mistake_ends_with_2_and_what_cannot_be_read_with_1():
    run(status=2)
    for command in commands():
        assert run(command, "--no-such-option", status=2).stderr.startswith(f"weir {command}: ")
    for arguments in (("replay", "/nonexistent"), ("decode", "/nonexistent"),
                      ("archive", "ls", "/nonexistent"), ("export", "--to", "csv", "/nonexistent"),
                      ("query", "--archive", "/nonexistent", "SELECT count(*) FROM flows")):
        assert "/nonexistent" in run(*arguments, status=1).stderr, arguments


if __name__ == "__main__":
    tap.run_module({n: f for n, f in globals().items() if n.startswith("test_")})
