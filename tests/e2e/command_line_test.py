#!/usr/bin/python3
"""The command line as a whole: versions, help, exit statuses, and the completion of bash, which are
held against the options that the sources have."""

import json
import os
import re
import shutil
import subprocess

from collect import tap

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
COMPLETION = os.environ["WEIR_COMPLETION"]
MANUALS = os.environ["WEIR_MANUALS"]
YAML_PAGE = os.environ["WEIR_YAML_PAGE"]
SOURCES = {
    "run": ("settings_table.c", "run_options.c"),
    "top": ("top_options.c",),
    "check-config": ("check_config.c",),
    "show-config": ("show_config.c",),
    "replay": ("replay_options.c", "send_options.h", "archive_options.h"),
    "query": ("query_options.c",),
    "export": ("export_options.c", "send_options.h"),
    "archive": ("upkeep_options.c",),
    "reload": ("reload_command.c",),
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
    for command in commands():
        done = run(command, "--help=al", status=2)
        assert done.stdout == "" and done.stderr == (
            f"weir {command}: --help=al: not known; use --help or --help=all\n"), done
        assert run("help", command).stdout == run(command, "--help").stdout


def test_what_is_not_known_is_answered_with_what_is_near():
    cases = {
        ("rnu",): "weir: no command 'rnu'; did you mean 'run'? ",
        ("chek-config",): "weir: no command 'chek-config'; did you mean 'check-config'? ",
        ("frobnicate",): "weir: no command 'frobnicate'; 'weir --help' lists them",
        ("help", "verson"): "weir: no command 'verson'; did you mean 'version'? ",
        ("--port", "eth1"): "weir: option '--port' before any command; 'weir COMMAND [OPTIONS]'",
        ("archive", "lst"): "weir archive: lst: no such action; did you mean ls?",
        ("archive", "frob"): "weir archive: frob: no such action; use ls, verify, repair or compact",
        ("run", "--colector", "x"): "weir run: unknown option '--colector'; did you mean --collector? See",
        ("run", "--tls=x"): "weir run: option '--tls' may be --tls-ca, --tls-cert, --tls-key, --tls-name;",
        ("run", "--no-sandbox=x"): "weir run: option '--no-sandbox' takes no value; see 'weir run --help'",
        ("run", "-P"): "weir run: option '--port' needs a value; see 'weir run --help'",
        ("decode", "--strict", "-Zq"): "weir decode: unknown option '-Z'; see 'weir decode --help'",
        ("doctor", "--hugepage=x"): "weir doctor: option '--hugepages' takes no value; see",
        ("version", "json"): "weir version: 'json': takes no arguments",
    }
    # Its name of before, and the keys of the config file.
    for command in ("run", "replay", "export", "show-config"):
        for old in ("--export-rate=5", "--export-rates"):
            cases[(command, old)] = f"weir {command}: unknown option '{old}'; did you mean --rate? See"
    for arguments, said in cases.items():
        done = run(*arguments, status=2)
        assert done.stdout == "" and done.stderr.startswith(said), (arguments, done.stderr)
        assert done.stderr.count("\n") == 1, done.stderr
    for command in commands():
        option = max(options(command) - {"--help-archive"}, key=lambda name: (len(name), name))
        if len(option) > len("--help"):
            done = run(command, option[:-1] + "xy", status=2)
            assert f"did you mean {option}? See" in done.stderr, (command, done.stderr)


def pages():
    """Name of a page and its section: its text in plain signs."""
    found = {}
    for name in os.listdir(MANUALS):
        if re.fullmatch(r"weir(-[a-z-]+)?\.[18]", name):
            with open(os.path.join(MANUALS, name), encoding="utf-8") as file:
                found[name] = file.read().replace("\\-", "-")
    with open(YAML_PAGE, encoding="utf-8") as file:
        found["weir.yaml.5"] = file.read().replace("\\-", "-")
    return found


def options_of_page(text):
    found, tagged = set(), False
    for line in text.splitlines():
        if line.startswith(".It Fl"):
            found |= {"--" + name for name in re.findall(r"Fl -([a-z0-9-]+)", line)}
        elif tagged:
            found |= set(re.findall(r"--[a-z0-9-]+", line))
        tagged = line in (".TP", ".TQ")
    return found


def test_every_command_has_a_manual_page_with_its_options_and_exit_status():
    all_pages = pages()
    for command in commands():
        text = next(all_pages[name] for name in (f"weir-{command}.1", f"weir-{command}.8")
                    if name in all_pages)
        # Of a flag the page may have both ways.
        both = {"--no-scale-counters"} if command == "run" else set()
        found = options_of_page(text) - both - {"--help"}
        wanted = options(command) - {"--help"}
        assert found == wanted, (command, found ^ wanted)
        assert re.search(r"^\.S[Hh] EXIT STATUS$", text, re.M), command
        assert re.search(r"^\.S[Hh] EXAMPLES$", text, re.M), command
        assert "Exit status: 0" in " ".join(run(command, "--help").stdout.split()), command
        assert f"weir-{command} (" in all_pages["weir.1"], command


def test_manual_pages_refer_to_pages_that_there_are():
    all_pages = pages()
    for name, text in all_pages.items():
        for page, section in (re.findall(r"^\.Xr (weir[a-z.-]*) (\d)", text, re.M)
                              + re.findall(r"\b(weir[a-z.-]*) ?\((\d)\)", text)):
            assert f"{page}.{section}" in all_pages, (name, page, section)


def test_manual_pages_are_without_mistakes_of_their_language():
    if not shutil.which("mandoc"):
        raise tap.Skip("mandoc is not installed")
    for name in pages():
        path = YAML_PAGE if name == "weir.yaml.5" else os.path.join(MANUALS, name)
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_manual_page_and_the_example_of_the_config_file_have_every_key():
    keys = {setting["key"]: setting for setting in
            map(json.loads, run("show-config", "--json", "--port=eth1").stdout.splitlines())}
    page = dict(re.findall(r'^\.TP\n\.BR ([a-z_.]+) " \((--[a-z-]+)\)"$', pages()["weir.yaml.5"], re.M))
    assert set(page) == set(keys), set(page) ^ set(keys)
    for key, option in page.items():
        assert option in (keys[key]["option"], keys[key]["option"].replace("--", "--no-")), key
    section, found = "", set()
    for line in run("show-config", "--example").stdout.splitlines():
        match = re.match(r"([a-z]+):$|  #?([a-z_]+):", line)
        if match and match.group(1):
            section = match.group(1)
        elif match:
            found.add(f"{section}.{match.group(2)}")
    assert found == set(keys), found ^ set(keys)


def test_bash_completes_every_command_and_option():
    assert complete("") == {*commands(), "--help", "--version"}
    assert complete("re") == {"reload", "replay"}
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
