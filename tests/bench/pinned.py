"""Programs pinned to a core and measured, and the sink that counts what they send."""

import contextlib
import ctypes
import dataclasses
import fcntl
import json
import os
import select
import signal
import subprocess
import tempfile
import time

CORE = 0
SINK_CORE = 1
REPORT_S = 60
POLL_S = 0.02

PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """A program did not do what it was started for."""


@dataclasses.dataclass
class Usage:
    user_s: float  # of the program and its children
    system_s: float
    mib: float  # peak resident memory of its largest process
    output: str


def adopt_orphans():
    """Children whose parent ends before them become ours, so that they are measured too."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise Failed("prctl(PR_SET_CHILD_SUBREAPER) failed")


@contextlib.contextmanager
def turn(lock):
    """Holds the file `lock`, if any, as flock(1) does."""
    if lock is None:
        yield
        return
    with open(lock, "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wait_for_group(group, timeout_s):
    """Waits for every process of a group. Returns their usage, and the leader's status."""
    deadline = time.monotonic() + timeout_s
    total, status, late = Usage(0, 0, 0, ""), None, False
    while True:
        try:
            pid, ended, usage = os.wait4(-group, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            if not late and time.monotonic() > deadline:
                late = True
                os.killpg(group, signal.SIGKILL)  # of our own making: its leader is not reaped
            time.sleep(POLL_S)
            continue
        total.user_s += usage.ru_utime
        total.system_s += usage.ru_stime
        total.mib = max(total.mib, usage.ru_maxrss / 1024)
        if pid == group:
            status = os.waitstatus_to_exitcode(ended)
    if late:
        raise Failed(f"killed after {timeout_s:g} s")
    return total, status


def last_words(output):
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:120] if lines else "said nothing"


def run_pinned(command, timeout_s, lock=None):
    """Runs a command alone on its core; raises Failed where it does not end well."""
    with turn(lock), tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, {CORE}),
        )
        try:
            usage, status = wait_for_group(process.pid, timeout_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        process.returncode = status
        out.seek(0)
        usage.output = output = out.read().decode(errors="replace")
    if status < 0:
        raise Failed(f"aborted: {signal.Signals(-status).name}: {last_words(output)}")
    if status != 0:
        raise Failed(f"aborted: exit status {status}: {last_words(output)}")
    return usage


class Sink:
    """udp_sink on its core, for the time of a `with`; `prefix` of its command may put it into
    another network namespace."""

    def __init__(self, program, prefix=()):
        self.program = program
        self.prefix = prefix

    def __enter__(self):
        self.process = subprocess.Popen(
            [*self.prefix, self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {SINK_CORE}),
        )
        self.port = self.answer()["port"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def answer(self):
        if not select.select([self.process.stdout], [], [], REPORT_S)[0]:
            self.process.kill()
            raise Failed("udp_sink does not answer")
        line = self.process.stdout.readline()
        if not line:
            raise Failed("udp_sink ended")
        return json.loads(line)

    def count(self):
        """What arrived since the last count, once all of it is decoded."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self.answer()
