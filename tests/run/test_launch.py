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


def test_a_rank_that_was_killed_is_told_of(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(KILLED)
    done = subprocess.run(
        [sys.executable, script, tmp_path], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"error: rank 1 was killed by signal {int(signal.SIGKILL)} (SIGKILL)" in done.stderr
    assert "Traceback" not in done.stderr
