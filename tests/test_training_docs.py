"""The commands of docs/how-to/other-methods.md are ones that the scripts take; curricula train, and resume exactly."""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import train
from policy.ranks import Ranks
from run import run_folder
from study import cost, hacking
from tests.conftest import ROOT, SMALL, composed, stopped
from tests.starter_lua import split
from training.settings import TrainSettings

PAGE = (ROOT / "docs/how-to/other-methods.md").read_text()
COMMANDS = [
    line.partition(" #")[0].strip()
    for block in re.findall(r"^```(?:sh|text)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", "").splitlines()
    if line.strip()
]


def test_the_page_has_commands_and_names_every_choice() -> None:
    assert len(COMMANDS) > 6
    for group in ("reward", "curriculum"):
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            assert f"| `{path.stem}`" in PAGE, path


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("A", "B", "NAME"):
        (tmp_path / "runs" / name).symlink_to(calm)
    words = shlex.split(command)
    assert words[0] == "python"
    if words[1] == "-m":
        {"study.hacking": hacking.main, "study.cost": cost.main}[words[2]](words[3:])
        return
    # of a sweep, its first job
    overrides = [word.partition(",")[0] if "-m" in words else word for word in words[2:] if word != "-m"]
    config = composed(*overrides, script=Path(words[1]).stem)
    if words[1] == "train.py":
        TrainSettings.read(config)


def trained(folder: Path, data: Path, *overrides: str) -> None:
    files = (f"dataset.train={data}/train.jsonl", f"dataset.heldout={data}/heldout.jsonl")
    config = composed(*SMALL, *files, *overrides, "heldout.every=0", f"run_dir={folder}", "resume=auto")
    train.train(config, run_folder.create(config)[0], Ranks())


def test_a_curriculum_goes_on_exactly(tmp_path: Path) -> None:
    """With rewards by test, which need every test run, and a stop by SIGTERM in the middle."""
    (tmp_path / "train.jsonl").write_text("".join(split("train", 28)))
    (tmp_path / "heldout.jsonl").write_text("".join(split("heldout", 2)))
    changes = ("reward=dense", "curriculum=pass_rate", "steps=5")
    trained(tmp_path / "calm", tmp_path, *changes)
    folder = tmp_path / "stopped"

    files = (f"dataset.train={tmp_path}/train.jsonl", f"dataset.heldout={tmp_path}/heldout.jsonl")
    arguments = (*SMALL, *files, *changes, "heldout.every=0", f"run_dir={folder}", "resume=auto")
    assert "interrupted: saved after step" in stopped(arguments, signal.SIGTERM, folder / "checkpoints/step_000002")
    trained(folder, tmp_path, *changes)
    for path in sorted((tmp_path / "calm/rollouts").iterdir()):
        assert pq.read_table(path).equals(pq.read_table(folder / "rollouts" / path.name)), path.name
    ends = [run / "checkpoints/step_000005" for run in (tmp_path / "calm", folder)]
    for name in ("model.safetensors", "trainer/trainer.json"):
        assert (ends[0] / name).read_bytes() == (ends[1] / name).read_bytes(), name
    rollouts = [row for path in (folder / "rollouts").glob("step_*") for row in pq.read_table(path).to_pylist()]
    for row in rollouts:
        assert (row["verdict"] == "passed") == (row["reward"] == 1.0) and 0 <= row["reward"] <= 1
