"""problems.prepare: files that train and evaluate read again, with a card that says what is in them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import languages
from base.errors import RunError
from base.lock import locked
from problems.checkers import REFUSED, TAKEN
from problems.load import dataset, load
from problems.prepare import run
from problems.problem import read_jsonl
from problems.prompt import render
from tests.conftest import ROOT, composed
from tests.problems.source_rows import judge, mbpp, solution, write_lines
from tests.problems.sources.test_codeforces_x import CHECKER


def prepare(tmp_path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "problems.prepare", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
    )


def front_and_body(card: Path) -> tuple[dict[str, object], str]:
    _, front, body = card.read_text().split("---\n", 2)
    return yaml.safe_load(front), body


def test_a_data_set_is_written_with_splits_prompts_and_card(tmp_path: Path) -> None:
    rows: list[Any] = [mbpp(1), mbpp(2, tests=[]), mbpp(11), b'{"half', mbpp(601)]
    source = write_lines(tmp_path / "source.jsonl", rows)
    done = prepare(tmp_path, "dataset=mbpp_x", f"dataset.path={source}", "language=lua", "run_dir=made")
    assert done.returncode == 0, done.stderr
    assert "made/train.jsonl: 2 problems, 6 tests\n  1 dropped: no tests (source.jsonl, line 2)\n" in done.stdout
    made = tmp_path / "made"
    assert sorted(path.name for path in made.iterdir()) == [
        "README.md", "heldout.jsonl", "heldout.lua.jsonl", "train.jsonl", "train.lua.jsonl",
    ]  # fmt: skip

    problems = list(read_jsonl(made / "train.jsonl"))
    assert [problem.id for problem in problems] == ["mbpp-1", "mbpp-601"]
    prompts = [json.loads(line) for line in (made / "train.lua.jsonl").read_text().splitlines()]
    lua = languages.load("lua")
    assert prompts == [{"id": problem.id, "prompt": render(problem, lua)} for problem in problems]
    again = dataset({"name": "jsonl", "train": str(made / "train.jsonl")})
    assert load(again, "train") == problems

    front, body = front_and_body(made / "README.md")
    assert front["license"] == "cc-by-4.0"
    assert front["source_datasets"] == ["nuprl/mbpp-agnostic-translation"]
    assert "| train | 2 | 6 | exact | headings | 2 characters |" in body
    assert "| heldout | 1 | 3 | exact | headings | 2 characters |" in body
    assert "| train | 1 | no tests | source.jsonl, line 2 |" in body
    assert "| train | 1 | not JSON, or half a row | source.jsonl, line 4 |" in body
    assert "    Add 1 to a number." in body


def test_the_card_leads_the_hubs_library_to_the_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    done = prepare(tmp_path, "dataset=starter")
    assert done.returncode == 0, done.stderr
    found = datasets.load_dataset(str(tmp_path / "data/starter"), split="heldout")
    expected = list(read_jsonl(ROOT / "problems/starter/data/heldout.jsonl"))
    assert found["id"][:] == [problem.id for problem in expected]


def test_codeforces_with_checkers_leaves_out_those_that_refuse_the_reference(tmp_path: Path) -> None:
    rows = [solution(f"1/{n}") for n in range(8)] + [solution(f"2/{letter}") for letter in "ABC"]
    write_lines(tmp_path / "source/solutions_py_decontaminated/train.jsonl", rows)
    judges = [judge(f"1/{n}") for n in range(8)]
    sound = CHECKER.replace("output[0] != given[0]", "output")
    judges += [judge("2/A", "checker", sound), judge("2/B", "checker", "print(0)"), judge("2/C", "checker", "print(1)")]
    write_lines(tmp_path / "source/checker_interactor/train.jsonl", judges)
    done = prepare(
        tmp_path,
        "dataset=codeforces",
        f"dataset.path={tmp_path / 'source'}",
        "dataset.heldout_random=1",
        "dataset.checkers=true",
    )
    assert done.returncode == 0, done.stderr
    train = list(read_jsonl(tmp_path / "data/codeforces/train.jsonl"))
    assert [problem.id for problem in train if problem.compare.rule == "checker"] == ["codeforces-2/A"]
    assert len(train) == 3 and len(list(read_jsonl(tmp_path / "data/codeforces/heldout.jsonl"))) == 6
    body = front_and_body(tmp_path / "data/codeforces/README.md")[1]
    assert f"| train | 1 | {REFUSED} | codeforces-2/B |" in body
    assert f"| train | 1 | {TAKEN} | codeforces-2/C |" in body
    assert "exact 2, checker 1" in body


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dataset=mbpp_x", "dataset.path=none"], "dataset.path: there is no file or folder none"),
        (["dataset=mbpp_x"], "nuprl/mbpp-agnostic-translation cannot be read"),
        (["dataset=jsonl", "dataset.train=null", "dataset.heldout=null"], "dataset=jsonl names no split"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_sentence(words: list[str], message: str, tmp_path: Path) -> None:
    done = prepare(tmp_path, *words)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f"error: {message}")
    assert "Traceback" not in done.stderr


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    source, made = tmp_path / "source.jsonl", tmp_path / "made"
    write_lines(source, [mbpp(number) for number in range(601, 975)] * 500)  # seconds of work: the same ids are dropped
    words = ["dataset=mbpp_x", f"dataset.path={source}", "language=lua", f"run_dir={made}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "problems.prepare", *words], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    while not (made / ".train.jsonl.part").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: interrupted; what is written is whole" in err and "Traceback" not in err
    assert list(made.iterdir()) == []


def test_two_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunError, match=r"is in use by process \d+ on "):
        run(composed("dataset=mbpp_x", f"run_dir={tmp_path}", script="prepare"))


def test_nothing_is_left_of_a_split_that_failed(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "source.jsonl", [mbpp(1, tests=[]), mbpp(11)])
    done = prepare(tmp_path, "dataset=mbpp_x", f"dataset.path={source}", "language=lua", "run_dir=made")
    assert done.returncode == 1
    assert "error: dataset.train=train holds no problem: 1 dropped: no tests (source.jsonl, line 1)" in done.stderr
    assert list((tmp_path / "made").iterdir()) == []
