"""Tests in Python, reported as TAP: every function of a module that is named test_..."""

import json
import os
import subprocess
import sys
import traceback

WEIR = os.environ.get("WEIR", "build/weir")
CAPTURES = os.environ.get("WEIR_OWN_CAPTURES", "pcaps")
CORPUS = os.environ.get("WEIR_CAPTURES", "../shared/pcaps")


class Skip(Exception):
    pass


def weir(*arguments, status=0, **options):
    """Runs `weir replay`; returns the finished process. Fails if it ends otherwise."""
    options = {"stdin": subprocess.DEVNULL, "timeout": 120} | options
    if "input" in options:
        del options["stdin"]
    done = subprocess.run([WEIR, "replay", *map(str, arguments)], capture_output=True, **options)
    if done.returncode != status:
        raise AssertionError(
            f"weir replay {arguments}: exit status {done.returncode}, not {status}\n"
            + done.stderr.decode(errors="replace")
        )
    return done


def ledger_of(text):
    """The ledger as JSON among other lines of a stream."""
    lines = [line for line in text.decode().splitlines() if line.startswith("{")]
    return json.loads(lines[-1])


def run(tests):
    """Runs (name, function) pairs and ends the program."""
    print(f"TAP version 13\n1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            for line in traceback.format_exc().splitlines()[-25:]:
                print(f"# {line}", flush=True)
    sys.exit(failed != 0)


def run_module(names):
    run([(name[5:], f) for name, f in names.items() if name.startswith("test_")])
