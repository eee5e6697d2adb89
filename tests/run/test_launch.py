"""Ranks that this machine starts: one that is killed is told of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

KILLED = """
import os, signal, sys, time
from run.launch import launch

def work(folder):
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)

if __name__ == "__main__":
    launch(2, work, sys.argv[1])
"""


LEFT = """
import atexit, sys, time
from base.errors import ConfigError
from run.launch import launch, rank

def train(config, folder, ranks):
    if ranks.first:
        ranks.all_gather([1])
    atexit.register(time.sleep, 2)  # long enough for the first rank to see that nobody answers
    raise ConfigError("this one cannot go on")

if __name__ == "__main__":
    launch(2, rank, train, "samplers: 0", sys.argv[1])
"""


def launched(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "work.py").write_text(script)
    return subprocess.run(
        [sys.executable, folder / "work.py", folder], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_rank_that_was_killed_is_told_of(tmp_path: Path) -> None:
    done = launched(KILLED, tmp_path)
    assert done.returncode == 1
    assert f"error: rank 1 was killed by signal {int(signal.SIGKILL)} (SIGKILL)" in done.stderr
    assert "Traceback" not in done.stderr


def test_of_a_rank_that_left_the_others_say_nothing(tmp_path: Path) -> None:
    """They see a connection closed: no fault of theirs, and no traceback to read before the sentence."""
    done = launched(LEFT, tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error") == 1 and "error on rank 1: this one cannot go on" in done.stderr
