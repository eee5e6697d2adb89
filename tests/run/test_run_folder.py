"""A run's folder: what it was started with decides who may go on in it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

import train
from base.errors import ModelError, RunError
from base.lock import locked
from run import run_folder
from tests.conftest import SMALL, command, composed


def test_what_changes_no_result_may_differ(tmp_path: Path) -> None:
    folder, _ = run_folder.create(composed(f"run_dir={tmp_path}/run"))
    for change in ("stall_s=5", "checkpoint.every=1", "checkpoint.keep=7", "optimizer.token_budget=99", "wandb=offline",
                   "sandbox.workers=1", "debug=true", "prompts_too_long=refuse"):  # fmt: skip
        assert run_folder.create(composed(f"run_dir={tmp_path}/run", "resume=auto", change))[0] == folder
    for change in ("optimizer.learning_rate=1e-3", "reward=partial", "seed=1", "heldout.samples=2"):
        with pytest.raises(Exception, match="was started with another"):
            run_folder.create(composed(f"run_dir={tmp_path}/run", "resume=auto", change))


def test_a_run_of_before_has_the_names_of_today(tmp_path: Path) -> None:
    folder, _ = run_folder.create(composed(f"run_dir={tmp_path}/run"))
    text = (folder / run_folder.CONFIG).read_text()
    places = ("problems/starter/data/train.jsonl", "problems/data/starter/train.jsonl")
    for new, old in (("policy.builtin.tiny", "policy.tiny"), ("  answers: null", "  samples: null"), places):
        assert new in text
        text = text.replace(new, old)
    (folder / run_folder.CONFIG).write_text(
        "\n".join(line for line in text.splitlines() if "function: null" not in line)
    )
    assert run_folder.create(composed(f"run_dir={tmp_path}/run", "resume=auto"))[0] == folder


def test_a_failed_start_takes_away_only_what_it_made(tmp_path: Path) -> None:
    theirs = ("data/train.jsonl", "checkpoints/sft/model.safetensors", "wandb/notes.txt", "thesis.tex")
    for name in theirs:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    _, before = run_folder.create(composed(f"run_dir={tmp_path}"))
    for name in (
        "data/heldout.jsonl",
        "data.json",
        "wandb-id.txt",
        "wandb/run/files/config.yaml",
        "rollouts/a.parquet",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    run_folder.discard(tmp_path, before)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(theirs)
    assert not (tmp_path / "rollouts").exists()

    new, before = run_folder.create(composed(f"run_dir={tmp_path}/new"))
    run_folder.discard(new, before)
    assert not new.exists()


def test_data_that_changed_are_noticed(tmp_path: Path, few: str) -> None:
    problem = {"id": "a", "statement": "Print 1.", "tests": [{"input": "", "output": "1\n"}]}
    data = tmp_path / "train.jsonl"
    data.write_text(json.dumps(problem) + "\n")
    arguments = (*SMALL, few, f"dataset.train={data}", "steps=2", "checkpoint.every=1", f"run_dir={tmp_path}/run")
    train.main(composed(*arguments))
    (tmp_path / "run" / run_folder.FINISHED).unlink()
    data.write_text(json.dumps(problem | {"statement": "Print 2."}) + "\n")
    with pytest.raises(SystemExit, match=r"the problems of dataset\.train are not those that the run in"):
        train.main(composed(*arguments, "resume=auto"))


def test_a_model_that_changed_is_noticed(tmp_path: Path) -> None:
    """LoRA's checkpoints hold adapters only, and the KL term wants the weights of the beginning."""
    run_folder.same_data(tmp_path, {"train": "a"})
    for _ in range(2):  # noted, and found again
        run_folder.same_model(tmp_path, {"commit": "0123"})
    with pytest.raises(ModelError, match="the files of the model are not those that the run in"):
        run_folder.same_model(tmp_path, {"commit": "4567"})
    run_folder.same_data(tmp_path, {"train": "a"})


def test_two_processes_do_not_share_a_folder(tmp_path: Path, few: str) -> None:
    """The second one is told whose it is; a lock that a killed process has left is none."""
    arguments = (*SMALL, few, "steps=50", f"run_dir={tmp_path}/run", "resume=auto")
    with subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while not (tmp_path / "run/metrics.jsonl").exists():
            assert first.poll() is None
        with pytest.raises(RunError, match=f"is in use by process {first.pid} on "):
            train.main(composed(*arguments))
        first.send_signal(signal.SIGKILL)
    with locked(tmp_path / "run"):
        pass


def test_a_prompt_that_is_too_long_is_known_before_the_first_step(
    tmp_path: Path, few: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = [{"input": "", "output": "1\n"}]
    problems = [{"id": f"p{n}", "statement": "Print 1. " * (1 if n else 200), "tests": tests} for n in range(3)]
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    arguments = (*SMALL, few, f"dataset.train={data}", "steps=2", "rollout.max_prompt_tokens=400")
    train.main(composed(*arguments, f"run_dir={tmp_path}/drop"))
    said = "left out: 1 problem with a prompt longer than rollout.max_prompt_tokens=400 tokens: 'p0' ("
    assert said in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"1 problem with a prompt.*'p0' \("):
        train.main(composed(*arguments, "prompts_too_long=refuse", f"run_dir={tmp_path}/refuse"))
    assert not (tmp_path / "refuse").exists()
