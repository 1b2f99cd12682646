"""kill -9 of a weir that fills an archive, a few times; tests/soak/archive_crash does it often."""

from archive_crash import crash, tap


def test_whatever_was_flushed_survives_kill_9_at_random_moments():
    counts = crash(20)
    assert counts["killed"] >= 10, counts


if __name__ == "__main__":
    tap.run_module(globals())
