"""Every command of the README runs. Those too large for a test run with fewer steps, samples and tokens, no more."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SMALL

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition(" #")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.strip() and not line.startswith("#")
]
TINY_STEPS = ["steps=1", *SMALL, "rollout.max_new_tokens=16"]


def test_the_readme_has_commands() -> None:
    assert {"make train", "make test"} <= set(COMMANDS)
    assert len(COMMANDS) > 8


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, calm: Path, few: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    stdin = None
    if words[0] == "make":
        # `make test` runs this very test, and CI runs `make test`; what `make train` does, its parts' tests run.
        words = ["make", "--dry-run", "--directory", str(ROOT), *words[1:]]
    elif "qwen3_4b" in command or "cpu_first_result" in command:  # weights of GBs: the config is what can be checked
        words = [sys.executable, str(ROOT / words[1]), *words[2:], "--cfg", "job"]
    elif words[1] == "train.py":
        extra = [] if "--help" in words else [*TINY_STEPS, few]
        words = [sys.executable, str(ROOT / words[1]), *words[2:], *extra]
    elif words[1] == "evaluate.py":
        words = [sys.executable, str(ROOT / words[1]), *words[2:], few, "rollout.max_new_tokens=16"]
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs/NAME").symlink_to(calm)
    else:
        if "runs" in command:  # they write into it
            shutil.copytree(calm, tmp_path / "runs/NAME")
        script = [str(ROOT / words[1])] if (ROOT / words[1]).is_file() else [words[1]]
        words = [sys.executable, *script, *words[2:]]
    if "<" in words:  # jobs.jsonl > verdicts.jsonl
        job = {
            "id": "sum",
            "program": "print(io.read('*n') + io.read('*n'))",
            "tests": [{"input": "2 3", "output": "5"}],
        }
        stdin = json.dumps(job) + "\n"
        words = words[: words.index("<")]
    done = subprocess.run(
        words, cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=1200, env=environment()
    )
    assert done.returncode == 0, done.stderr[-3000:]
    if stdin:
        assert json.loads(done.stdout)["status"] == "passed"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_set_up_is_done_once_and_whole(tmp_path: Path) -> None:
    """A fresh checkout's files are newer than an old environment's; one that was left half changed is set up anew."""
    for name in ("Makefile", "requirements.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    tools = tmp_path / ".venv/bin"
    tools.mkdir(parents=True)
    for name in ("python", "pip", "ruff", "mypy"):
        (tools / name).symlink_to("/bin/true")
    lint = ["make", "--directory", str(tmp_path), "lint"]

    def runs() -> tuple[int, bool]:
        """Its exit code, and whether it installed."""
        done = subprocess.run(lint, capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""}, timeout=60)
        return done.returncode, "pip install" in done.stdout

    assert runs() == (0, True)
    os.utime(tmp_path / "requirements.txt", (2e9, 2e9))  # after the environment
    assert runs() == (0, False)
    (tmp_path / "requirements.txt").write_text("hydra-core==1.3.2\n")
    (tools / "pip").unlink()
    (tools / "pip").symlink_to("/bin/false")
    assert runs() == (2, True)
    (tmp_path / "requirements.txt").write_bytes(
        (ROOT / "requirements.txt").read_bytes()
    )  # as it was; the packages are not
    assert runs() == (2, True)
