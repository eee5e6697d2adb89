from __future__ import annotations

import tempfile
import time

from run.watchdog import Watchdog


def sleeping_beauty(seconds: float) -> None:
    time.sleep(seconds)


def test_a_stall_says_which_phase_which_programs_and_where() -> None:
    with tempfile.TemporaryFile("w+") as out:
        with Watchdog(0.5, lambda: [f"job {n}" for n in range(12)], out) as watchdog:
            watchdog.phase("sampling")
            sleeping_beauty(0.8)
            watchdog.phase("update")
        out.seek(0)
        text = out.read()
    assert "the phase 'sampling' has taken" in text
    assert "job 0, job 1" in text and "and 2 more" in text
    assert "in sleeping_beauty" in text
    assert "'update'" not in text
    assert text.count("watchdog:") == 1, "once, and again only after twice the time"


def test_a_run_that_moves_is_left_alone() -> None:
    with tempfile.TemporaryFile("w+") as out:
        with Watchdog(0.4, list, out) as watchdog:
            for n in range(8):
                watchdog.phase(str(n))
                time.sleep(0.1)
        out.seek(0)
        assert out.read() == ""
