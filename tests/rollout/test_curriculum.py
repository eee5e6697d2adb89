"""The order of problems: a pure function of seed, step and outcomes, easy before hard, half-solved before the rest."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from base.errors import ConfigError
from problems import load
from problems.problem import Problem
from rollout.curriculum import Curriculum, CurriculumSettings, draw, easiest, share, weight
from sandbox.job import Test

CONF = Path(__file__).parents[2] / "conf" / "curriculum"


def problems(*tiers: int) -> list[Problem]:
    return [Problem(f"p{n}", "s", (Test("", ""),), tier=tier) for n, tier in enumerate(tiers)]


def config(name: str, **changes: Any) -> Any:
    return CurriculumSettings.read(OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), changes), "curriculum")


LADDER = problems(*[1] * 10, *[2] * 10, *[3] * 10)


def test_every_file_says_what_goes_wrong_and_works() -> None:
    for path in CONF.glob("*.yaml"):
        assert "Known to go wrong:" in path.read_text()
        assert len(Curriculum(config(path.stem), LADDER, 10).batch(0, 4, 0)) == 4


def test_shuffle_is_what_it_was() -> None:
    curriculum = Curriculum(config("shuffle"), LADDER, 10)
    assert all(curriculum.batch(step, 4, 7) == load.batch(LADDER, step, 4, 7) for step in range(20))


@given(st.integers(0, 99), st.integers(1, 100), st.floats(0.05, 1), st.floats(0.05, 1))
def test_the_share_rises_from_start_to_all(step: int, steps: int, start: float, full: float) -> None:
    assert start <= share(step, steps, start, full) <= share(step + 1, steps, start, full) <= 1
    assert share(0, steps, start, full) == start
    assert share(steps, steps, start, full) == pytest.approx(1)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_easiest_are_a_growing_set_without_gaps(tiers: list[int], a: float, b: float) -> None:
    everything = problems(*tiers)
    few, more = (easiest(everything, part) for part in sorted([a, b]))
    assert {p.id for p in few} <= {p.id for p in more}
    assert len(few) >= min(a, b) * len(everything) - 1e-9
    left = [p.tier for p in everything if p not in few]
    assert not left or max(p.tier for p in few) < min(left)
    assert easiest(everything, 1.0) == everything


def test_easy_comes_before_hard() -> None:
    curriculum = Curriculum(config("easy_to_hard"), LADDER, 100)
    highest = [max(p.tier for p in curriculum.batch(step, 8, 0)) for step in range(100)]
    assert set(highest[:10]) == {1}
    assert 2 in highest[20:40] and 3 not in highest[:30]
    assert [curriculum.batch(step, 8, 0) for step in (60, 99)] == [load.batch(LADDER, step, 8, 0) for step in (60, 99)]


def test_tiers_are_needed() -> None:
    with pytest.raises(ConfigError, match="several tiers"):
        Curriculum(config("easy_to_hard"), problems(0, 0, 0), 10)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order": "random"}, "curriculum.order is 'random'; the choices are 'shuffle'"),
        ({"memory": 0}, "curriculum.memory"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Curriculum(config("pass_rate", **changes), LADDER, 10)


@given(st.integers(0, 64), st.integers(0, 64), st.floats(0.01, 1))
def test_a_weight_is_largest_at_one_half(a: int, b: int, explore: float) -> None:
    passed, tried = min(a, b), max(a, b)
    found = weight((passed, tried), explore)
    assert explore - 1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(weight((tried - passed, tried), explore))
    assert found <= weight((tried / 2, tried), explore) + 1e-12
    if passed < tried / 2 - 1:
        assert found <= weight((passed + 1, tried), explore) + 1e-12


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 1000))
def test_a_draw_repeats_no_problem_before_all_are_drawn(size: int, count: int, seed: int) -> None:
    drawn = draw(LADDER[:size], [1.0] * size, count, Random(seed))
    assert len(drawn) == count
    times = Counter(problem.id for problem in drawn)
    assert max(times.values()) - min(times.get(p.id, 0) for p in LADDER[:size]) <= 1


def test_half_solved_problems_are_drawn_most() -> None:
    curriculum = Curriculum(config("pass_rate"), LADDER, 10)
    curriculum.observe((p.id, n % 2 == 0 if p.tier == 2 else p.tier == 1) for p in LADDER for n in range(32))
    drawn = Counter(p.tier for step in range(200) for p in curriculum.batch(step, 4, 0))
    assert drawn[2] > 3 * max(drawn[1], drawn[3]) and min(drawn[1], drawn[3]) > 0


def test_it_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    def outcomes(batch: list[Problem], step: int) -> list[tuple[str, bool]]:
        random = Random(step)
        return [(p.id, random.random() < p.tier / 4) for p in batch for _ in range(8)]

    def go(curriculum: Curriculum, first: int, last: int) -> list[list[Problem]]:
        batches = []
        for step in range(first, last):
            batches.append(curriculum.batch(step, 4, 3))
            curriculum.observe(outcomes(batches[-1], step))
        return batches

    whole = go(Curriculum(config("pass_rate"), LADDER, 20), 0, 20)
    stopped = Curriculum(config("pass_rate"), LADDER, 20)
    go(stopped, 0, 9)
    again = Curriculum(config("pass_rate"), LADDER, 20, json.loads(json.dumps(stopped.state)))
    assert go(again, 9, 20) == whole[9:]
    assert go(Curriculum(config("pass_rate"), LADDER, 20), 9, 20) != whole[9:], "the state matters"
