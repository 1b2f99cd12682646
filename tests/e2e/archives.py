"""Archives for the tests, and weir's commands that read them."""

import os
import subprocess
import tempfile

from collect import own, tap

MAKE_ARCHIVE = os.environ.get("WEIR_MAKE_ARCHIVE", "build/tests/make_archive")


def command(*arguments, status=0, **options):
    """Runs `weir`; returns the finished process. Fails if it ends otherwise,
    unless `status` is None."""
    options = {"stdin": subprocess.DEVNULL, "timeout": 120} | options
    done = subprocess.run([tap.WEIR, *map(str, arguments)], capture_output=True, **options)
    if status is not None and done.returncode != status:
        raise AssertionError(
            f"weir {arguments}: exit status {done.returncode}, not {status}\n"
            + done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        )
    return done


class Archive:
    """An archive of captures, for the time of a `with`."""

    def __init__(self, *captures, rows=100, group=40, options=()):
        self.captures = captures
        self.options = ["-f", str(rows), "-g", str(group), *options]
        self.folder = tempfile.TemporaryDirectory(prefix="weir-archive-")
        self.path = os.path.join(self.folder.name, "archive")

    def add(self, *captures, options=()):
        subprocess.run([MAKE_ARCHIVE, *self.options, *options, self.path, *map(own, captures)],
                       check=True, timeout=120, stdin=subprocess.DEVNULL)

    def __enter__(self):
        self.add(*self.captures)
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def files(self):
        """Of every kind, oldest first."""
        return sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(self.path) for name in names if name[0] != "."
        )

    def csv(self, *options, **more):
        """The lines of the records, without the names of the columns."""
        done = command("export", "--archive", self.path, "--to=csv", "--ledger=none", *options, **more)
        return done.stdout.decode().splitlines()[1:]


def csv_of(*captures, options=()):
    """What a replay prints of the same."""
    done = tap.weir("--print=csv", "--ledger=none", *options, *map(own, captures))
    return done.stdout.decode().splitlines()[1:]


def flip(path, offset):
    """One bit of a file is another."""
    with open(path, "r+b") as file:
        file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
        octet = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([octet ^ 1]))
