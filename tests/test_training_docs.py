"""The commands of docs/how-to/other-methods.md are ones that the scripts take; curricula train, and resume exactly."""

from __future__ import annotations

import os
import re
import shlex
import signal
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_dir

import languages
import train
from base.errors import RunError
from policy.ranks import Ranks
from run import run_folder
from study import cost, hacking
from tests.conftest import ROOT, SMALL
from tests.starter_lua import split

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
    languages.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(Path(words[1]).stem, words[2:])
    if words[1] == "train.py" and config.method != "grpo":
        train.supervised.check(config, languages.of_run(config))


def trained(folder: Path, data: Path, *overrides: str) -> None:
    languages.register()
    files = (f"dataset.train={data}/train.jsonl", f"dataset.heldout={data}/heldout.jsonl")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", [*SMALL, *files, *overrides, "heldout.every=0", f"run_dir={folder}", "resume=auto"])
    train.train(config, run_folder.create(config), Ranks())


def test_a_curriculum_goes_on_exactly(tmp_path: Path) -> None:
    """With rewards by test, which need every test run, and a stop by SIGTERM in the middle."""
    (tmp_path / "train.jsonl").write_text("".join(split("train", 28)))
    (tmp_path / "heldout.jsonl").write_text("".join(split("heldout", 2)))
    changes = ("reward=dense", "curriculum=pass_rate", "steps=5")
    trained(tmp_path / "calm", tmp_path, *changes)
    folder = tmp_path / "stopped"

    def stop() -> None:
        while not (folder / "checkpoints/step_000002").exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    with pytest.raises(RunError, match="interrupted: saved after step"):
        trained(folder, tmp_path, *changes)
    thread.join()
    trained(folder, tmp_path, *changes)
    for path in sorted((tmp_path / "calm/rollouts").iterdir()):
        assert pq.read_table(path).equals(pq.read_table(folder / "rollouts" / path.name)), path.name
    ends = [run / "checkpoints/step_000005" for run in (tmp_path / "calm", folder)]
    for name in ("model.safetensors", "trainer.json"):
        assert (ends[0] / name).read_bytes() == (ends[1] / name).read_bytes(), name
    rollouts = [row for path in (folder / "rollouts").glob("step_*") for row in pq.read_table(path).to_pylist()]
    for row in rollouts:
        assert (row["verdict"] == "passed") == (row["reward"] == 1.0) and 0 <= row["reward"] <= 1
