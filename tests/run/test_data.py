"""Data come from the hub once: of two ranks one streams them, and a run that goes on asks nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from run import run_folder
from tests.conftest import HELDOUT, ROOT, SMALL, run
from tests.hub_stand_in import serve_hub

DATA = (
    *("dataset=hub", "dataset.source=me/problems", "dataset.streaming=true", "dataset.columns.id=id"),
    *("dataset.heldout=test", "dataset.columns.input_format=input_format"),
)
READ = """
import sys
from problems.load import dataset, load
from tests.conftest import composed
for split in ("train", "heldout"):
    load(dataset(composed(*sys.argv[1:]).dataset), split)
"""


def test_one_of_two_ranks_reads_the_hub_and_a_resume_reads_what_was_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = (*SMALL, *DATA, "steps=2", "gpus=2", f"run_dir={folder}", "resume=auto")
    with serve_hub("") as hub:
        hub.repositories["me/problems"] = {"kind": "dataset", "private": False}
        for split, name, count in (("train", "train", None), ("test", "heldout", HELDOUT)):
            lines = (ROOT / f"problems/starter/data/{name}.jsonl").read_bytes().splitlines(keepends=True)
            hub.files["me/problems", f"{split}.jsonl"] = b"".join(lines[:count])
        there = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf")}
        subprocess.run([sys.executable, "-c", READ, *DATA], cwd=ROOT, env={**os.environ, **there}, check=True)
        once, hub.read = sorted(hub.read), []
        assert {"train.jsonl", "test.jsonl"} == set(once)
        done = run(*arguments, env=there)
        assert done.returncode == 0, done.stderr
        assert sorted(hub.read) == once

    (folder / "checkpoints/step_000002").rename(folder / "checkpoints/.step_000002.part")
    (folder / run_folder.FINISHED).unlink()
    done = run(*arguments, env=there)  # the hub is gone
    assert done.returncode == 0, done.stderr
    assert "resuming after step 1" in done.stdout


@pytest.mark.parametrize("gpus", [1, 2])
def test_a_hub_without_the_data_is_one_sentence(gpus: int, tmp_path: Path) -> None:
    with serve_hub("") as hub:
        there = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf")}
        done = run(*SMALL, *DATA, f"gpus={gpus}", f"run_dir={tmp_path}/run", env=there)
    assert done.returncode == 1
    assert "error: me/problems cannot be read" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1, done.stderr
