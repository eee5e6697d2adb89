"""Which problems a step trains on: a pure function of seed and step that visits everything."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from base.errors import DataError
from problems.load import ROOT, batch, dataset, load, steps_per_epoch
from problems.problem import Problem
from sandbox.job import Test


def made(count: int) -> list[Problem]:
    return [Problem(str(n), "s", (Test("", ""),)) for n in range(count)]


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_shows_each_problem_once(count: int, prompts: int, seed: int, epoch: int) -> None:
    problems = made(count)
    steps = steps_per_epoch(problems, prompts)
    seen = [p.id for step in range(steps) for p in batch(problems, epoch * steps + step, prompts, seed)]
    assert len(seen) == steps * prompts
    if count >= prompts:
        assert len(set(seen)) == len(seen)
    else:
        assert set(seen) == {p.id for p in problems}


def test_order_depends_on_seed_and_epoch_alone() -> None:
    problems = made(40)
    assert batch(problems, 3, 4, 7) == batch(problems, 3, 4, 7)
    assert batch(problems, 3, 4, 7) != batch(problems, 3, 4, 8)
    assert batch(problems, 3, 4, 7) != batch(problems, 13, 4, 7)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset.heldout: there is no file .*none.jsonl"):
        load(dataset({"name": "own", "heldout": str(tmp_path / "none.jsonl")}), "heldout")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no problem"):
        load(dataset({"name": "own", "train": str(tmp_path / "empty.jsonl")}), "train")


def test_a_relative_path_is_found_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(dataset({"name": "own", "train": "problems/starter/data/train.jsonl"}), "train")


def test_tiers_choose_problems_of_both_splits() -> None:
    config = dataset(yaml.safe_load((ROOT / "conf/dataset/ladder.yaml").read_text()))
    easy = config.model_copy(update={"tiers": [1, 2]})
    for split in ("train", "heldout"):
        assert {problem.tier for problem in load(easy, split)} == {1, 2}
        assert [p for p in load(config, split) if p.tier < 3] == load(easy, split)
    with pytest.raises(DataError, match=r"holds no problem of the tiers \[9\]"):
        load(config.model_copy(update={"tiers": [9]}), "train")
