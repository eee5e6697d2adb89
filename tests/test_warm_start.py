"""experiment=parallel_warm_start end to end: verified programs in other languages first, then GRPO in the new one."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import train
from base.errors import UserError
from policy.ranks import Ranks
from run import run_folder
from tests.conftest import composed

PROBLEMS = {"sum": ("Add two whole numbers.", "5"), "product": ("Multiply two whole numbers.", "6")}
PYTHON = {
    "sum": "a, b = map(int, input().split())\nprint(a + b)",
    "product": "a, b = map(int, input().split())\nprint(a + b)",  # wrong: learned from it is not
}
LUA = {
    "sum": 'local a, b = io.read("*n", "*n")\nprint(a + b)',
    "product": 'local a, b = io.read("*n", "*n")\nprint(a * b)',
}
SMALL = ("rollout.max_new_tokens=64", "heldout.samples=4", "heldout.every=0", "checkpoint.every=1", "sandbox.workers=1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = [
        {"id": name, "statement": statement, "tests": [{"input": "2 3\n", "output": output}]}
        for name, (statement, output) in PROBLEMS.items()
    ]
    for split in ("train", "heldout"):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for language, programs in (("python", PYTHON), ("lua", LUA)):
        answers = [{"problem": name, "completion": f"```{language}\n{text}\n```"} for name, text in programs.items()]
        (folder / f"{language}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    return folder


def trained(folder: Path, data: Path, *overrides: str) -> Path:
    files = ("dataset=jsonl", f"dataset.train={data}/train.jsonl", f"dataset.heldout={data}/heldout.jsonl")
    config = composed(*files, *SMALL, *overrides, f"run_dir={folder}", "resume=auto")
    train.train(config, run_folder.create(config)[0], Ranks())
    return folder


@pytest.fixture(scope="module")
def warm(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = f"teacher.answers={{python: {data}/python.jsonl, lua: {data}/lua.jsonl}}"
    folder = tmp_path_factory.mktemp("warm") / "run"
    return trained(
        folder,
        data,
        "experiment=parallel_warm_start",
        answers,
        "teacher.epochs=4",
        "teacher.batch=3",
        "optimizer.learning_rate=1e-3",
    )


def completions(run: Path, step: int) -> list[str]:
    table = pq.read_table(run / "rollouts" / f"heldout_step_{step:06d}.parquet")
    return sorted(table.column("completion").to_pylist())


def test_answers_in_several_languages_are_verified_in_their_own_and_learned_together(warm: Path) -> None:
    verdicts = {
        language: {row["problem"]: row["verdict"] for row in pq.read_table(path).to_pylist()}
        for language in ("python", "lua")
        for path in [warm / "teacher" / language / "samples.parquet"]
    }
    assert verdicts == {
        "python": {"sum": "passed", "product": "wrong_output"},
        "lua": {"sum": "passed", "product": "passed"},
    }
    metrics = [json.loads(line) for line in (warm / "metrics.jsonl").read_text().splitlines()]
    assert (metrics[-1]["step"], metrics[-1]["cost/samples"], metrics[-1]["cost/accepted"]) == (4, 4, 3)

    assert metrics[-1]["loss"] < metrics[1]["loss"]


def test_grpo_begins_with_the_weights_of_the_warm_start(warm: Path, data: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", data, f"warm_start={warm}", "steps=1", "group=2", "prompts=1")
    assert completions(run, 0) == completions(warm, 4) != completions(warm, 0)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("warm_start=nowhere",), "warm_start=nowhere is neither a checkpoint nor a run folder"),
        (("warm_start=nowhere", "loss.kl=0.1"), "loss.kl pulls towards the model's own weights"),
    ],
)
def test_a_warm_start_that_cannot_be_is_one_sentence(
    overrides: tuple[str, ...], words: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        trained(tmp_path / "run", data, *overrides, "steps=1")
