"""Bugs by theme from a folder of evaluate.py and from a run, with a scripted chat model behind a real HTTP server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import evaluate
from base.errors import UserError
from benchmarks.scripted_endpoint import Raw, serve
from problems.task import Stdio
from rollout.samples import Samples
from study import bugs
from tests.conftest import ROOT, composed

WRONG = "print('this is no answer')"
BROKEN = "local a = io.read('*n'\nprint(a)"
MISSING = "print(add(io.read('*n', '*n')))"


bugs_config = partial(composed, script="bugs")


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory, few: str) -> Path:
    """What an evaluation leaves: six problems with three failed programs, one without any, and one that passed."""
    folder = tmp_path_factory.mktemp("scores")
    config = composed(few, f"run_dir={folder}", "compare=lines", script="evaluate")
    evaluation = evaluate.Evaluation.read(config)
    task = evaluation.task()
    assert isinstance(task, Stdio)
    evaluate.begin(*evaluate.results_folder(evaluation, None, task))
    samples = Samples(folder)
    for problem in task.problems:
        programs = [
            (WRONG, "wrong_output"), (BROKEN, "runtime_error"), (MISSING, "runtime_error"), (None, "no_program"),
            ("x", "passed"),
        ]  # fmt: skip
        for number, (program, verdict) in enumerate(programs):
            row = {"problem": problem.id, "sample": number, "prompt": json.dumps(task.prompt(problem)), "message": ""}
            row |= {"completion": "", "program": program, "verdict": verdict, "tests_passed": 0, "tests": 1}
            samples.add(row | {"completion_tokens": 1, "finished": True})
    samples.finish()
    return folder


def themes_of(request: dict[str, Any]) -> str | Raw:
    """A model that is right about two kinds of programs, strange about the third at first, and refuses one question."""
    text = request["messages"][0]["content"]
    if len(request["messages"]) > 1:
        return '{"themes": [5, 2]}'
    if BROKEN in text:
        return '```json\n{"themes": [1], "why": "a bracket is missing"}\n```'
    return "Themes: 6" if MISSING in text else 'I think {"themes": [6]}'


def test_rules_alone_ask_no_model(scores: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(scores, tmp_path / "scores")
    found = bugs.run(bugs_config(f"folder={folder}"))
    assert (found["programs"], found["problems"], found["model"]) == (18, 6, None)
    assert found["drawn"] == {"drawn": 30, "no_program": 6, "passed": 6}
    counts = {theme: row["rules"] for theme, row in found["themes"].items()}
    assert {theme: count for theme, count in counts.items() if count} == {"syntax": 6, "functions": 6, "logic": 6}
    assert found["unlabelled"] == {"rules": 0}
    labels = [json.loads(line) for line in (folder / "bugs/labels.jsonl").read_text().splitlines()]
    assert len(labels) == 18 and {row["language"] for row in labels} == {"lua"}
    page = (folder / "bugs/bugs.md").read_text()
    assert "| Syntax and typos | 6 (33%) |" in page and "kappa" not in page


def test_outputs_are_compared_as_the_evaluation_did(scores: Path) -> None:
    found = bugs.Source.read(scores, step=None)
    assert len(found.problems) == 6 and {problem.compare.rule for problem in found.problems} == {"lines"}


def test_a_model_labels_too_and_is_asked_once(scores: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(scores, tmp_path / "scores")
    with serve(themes_of) as server:
        endpoint = ("model=endpoint", f"model.base_url={server.url}", "model.name=scripted", "samples=5")
        found = bugs.run(bugs_config(f"folder={folder}", *endpoint))
        asked = len(server.requests)
        assert asked == 18 + 6, "each program once, and once more where no theme was named"
        assert {request["temperature"] for request in server.requests} == {0.0}
        assert all("Expected output:" in request["messages"][0]["content"] for request in server.requests)
        again = bugs.run(bugs_config(f"folder={folder}", *endpoint))
        assert len(server.requests) == asked and again == found
    assert found["model"] == "scripted"
    syntax, functions, inputs = (found["themes"][theme] for theme in ("syntax", "functions", "input"))
    assert (syntax["model"], syntax["both"], syntax["kappa"]) == (6, 6, 1.0)
    assert (functions["model"], inputs["model"], inputs["rules"]) == (6, 6, 0)
    assert found["compared"] == 18 and found["jaccard"] == pytest.approx((6 + 6 + 3) / 18)
    page = (folder / "bugs/bugs.md").read_text()
    assert "| theme | rules | model | both | kappa |" in page and "mean Jaccard index" in page


def test_what_was_run_is_not_run_again(scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(scores, tmp_path / "scores")
    first = bugs.run(bugs_config(f"folder={folder}", "problems=2"))
    assert (first["programs"], first["problems"]) == (6, 2)
    with open(folder / "bugs/failures.jsonl", "a") as kept:
        kept.write('{"key": "cut o')
    monkeypatch.setattr(bugs, "open_pool", lambda *_, **__: pytest.fail("a program was run"))
    assert bugs.run(bugs_config(f"folder={folder}", "problems=2")) == first


def test_a_run_by_step(calm: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(calm, tmp_path / "run")
    found = bugs.run(bugs_config(f"folder={folder}", "step=0"))
    rows = pq.read_table(folder / "rollouts/heldout_step_000000.parquet").to_pylist()
    failed = [row for row in rows if row["verdict"] not in ("passed", "no_program", "infrastructure_error")]
    assert found["programs"] == len(failed) > 0
    assert (folder / "bugs/step_000000/bugs.json").exists()
    bugs.run(bugs_config(f"folder={folder}"))
    assert (folder / "bugs/step_000004/bugs.json").exists()
    batch = bugs.run(bugs_config(f"folder={folder}", "split=train", "step=1", "samples=8"))
    rows = pq.read_table(folder / "rollouts/step_000001.parquet").to_pylist()
    assert batch["programs"] == sum(row["verdict"] not in ("passed", "no_program") for row in rows)
    assert (folder / "bugs/train_step_000001/bugs.json").exists()
    with pytest.raises(UserError, match="no heldout rollouts of step 1; there are 0, 2, 4"):
        bugs.run(bugs_config(f"folder={folder}", "step=1"))


def test_an_endpoint_that_is_down_loses_nothing(scores: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(scores, tmp_path / "scores")
    words = (f"folder={folder}", "model=endpoint", "model.base_url=http://127.0.0.1:9/v1", "model.name=m", "problems=1")
    with pytest.raises(UserError, match=r"model\.base_url: no server answers at http://127\.0\.0\.1:9/v1"):
        bugs.run(bugs_config(*words))
    assert len((folder / "bugs/failures.jsonl").read_text().splitlines()) == 3


def test_other_problems_than_those_of_the_folder_are_noticed(scores: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(scores, tmp_path / "scores")
    table = pq.read_table(folder / "samples.parquet").to_pylist()
    samples = Samples(tmp_path / "other")
    (tmp_path / "other").mkdir()
    for row in table:
        samples.add({**row, "problem": "gone"} if row["sample"] == 0 else row)
    samples.finish()
    shutil.copy(tmp_path / "other/samples.parquet", folder / "samples.parquet")
    with pytest.raises(UserError, match="has no problem 'gone' any more"):
        bugs.run(bugs_config(f"folder={folder}"))


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path} is no folder of a run"):
        bugs.run(bugs_config(f"folder={tmp_path}"))


def test_from_the_command_line(scores: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(scores, tmp_path / "scores")
    words = [sys.executable, "-m", "study.bugs", f"folder={folder}", "problems=1"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (folder / "bugs/bugs.md").read_text()
    done = subprocess.run([*words[:3], f"folder={tmp_path}"], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {tmp_path} is no folder of a run")


def test_a_failure_of_the_sandbox_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "failures.jsonl"
    for key, verdict in (("a", "infrastructure_error"), ("b", "passed")):
        bugs.Kept(path).add(key, {"verdict": verdict})
    assert list(bugs.Kept(path).rows) == ["b"]
