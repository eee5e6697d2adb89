"""pass@k against its definition, intervals against what they promise, and what the scores leave out."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.pass_at_k import interval, pass_at_k, scores, wilson
from study import report

counts = st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))


@given(counts)
def test_pass_at_k_is_the_share_of_draws_of_k_that_hold_a_right_one(case: tuple[int, int, int]) -> None:
    n, passed, k = case
    draws = list(combinations([True] * passed + [False] * (n - passed), k))
    assert pass_at_k(n, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_is_exact_where_floats_of_factorials_overflow() -> None:
    assert pass_at_k(2000, 1, 1000) == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "passed", "k"), [(5, 2, 6), (5, 6, 1), (5, 2, 0), (0, 0, 1)])
def test_pass_at_k_that_cannot_be_estimated(n: int, passed: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot be estimated"):
        pass_at_k(n, passed, k)


def test_a_95_percent_interval_holds_the_truth_19_times_in_20() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        low, high = interval((random.random(60) < 0.3).astype(float).tolist(), seed=trial)
        hits += low <= 0.3 <= high
    assert 180 <= hits <= 199


def test_equal_values_are_no_certainty() -> None:
    low, high = interval([0.25] * 8)
    assert (low, high) == wilson(2, 8) and low < 0.25 < high


def row(problem: str, sample: int, verdict: str | None) -> dict[str, Any]:
    return {"problem": problem, "sample": sample, "verdict": verdict, "finished": True, "completion_tokens": 10}


def test_scores() -> None:
    verdicts: dict[str, list[str | None]] = {
        "a": ["passed", "passed", "wrong_output", "wrong_output"],
        "b": ["timeout", "no_program", "wrong_output", "passed"],
        "c": ["infrastructure_error", "passed", "passed", "passed"],
        "d": ["infrastructure_error"] * 3 + [None],
    }
    found = scores([row(p, n, v) for p, group in verdicts.items() for n, v in enumerate(group)], [1, 3, 4, 5])
    assert found["pass@1"]["value"] == pytest.approx((0.5 + 0.25 + 1.0) / 3)
    assert found["pass@1"]["low"] < found["pass@1"]["value"] < found["pass@1"]["high"]
    assert found["pass@3"]["value"] == pytest.approx((1.0 + 0.75 + 1.0) / 3)
    assert found["pass@4"]["problems"] == 2  # c has three samples that count
    assert "pass@5" not in found
    assert (found["problems"], found["samples"], found["infrastructure_errors"]) == (4, 16, 5)
    assert found["verdicts"]["passed"] == 6 / 16
    assert found["verdicts"]["unverified"] == 1 / 16
    assert sum(found["verdicts"].values()) == pytest.approx(1.0)
    assert found["per_problem"][1] == {
        "problem": "b",
        "samples": 4,
        "passed": 1,
        "verdicts": {"timeout": 1, "no_program": 1, "wrong_output": 1, "passed": 1},
    }


@pytest.mark.parametrize(("passed", "wanted"), [(0, (0.0, 0.2775)), (5, (0.2366, 0.7634)), (10, (0.7225, 1.0))])
def test_none_of_ten_is_no_proof_of_zero(passed: int, wanted: tuple[float, float]) -> None:
    verdicts = ["passed"] * passed + ["wrong_output"] * (10 - passed)
    found = scores([row(str(n), 0, verdict) for n, verdict in enumerate(verdicts)], [1])["pass@1"]
    assert (found["low"], found["high"]) == pytest.approx(wanted, abs=1e-4)  # as published tables have them
    several = [row(str(n), sample, "wrong_output") for n in range(10) for sample in range(4)]
    assert scores(several, [1, 4])["pass@1"]["high"] == pytest.approx(0.2775, abs=1e-4)


def test_nothing_but_infrastructure_errors_is_no_score() -> None:
    found = scores(
        [row(p, n, verdict) for p in "ab" for n, verdict in enumerate(["infrastructure_error", None])], [1, 2]
    )
    assert found["pass@1"] is None and "pass@2" not in found and found["infrastructure_errors"] == 4
    lines = dict(report.lines({**found, "unanswered": 0, "seconds": 1.0}))
    assert lines["pass@1, % [95 % interval]"] == "none: every verdict is an infrastructure error"
