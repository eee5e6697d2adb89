"""A batch in flight comes back as it was, or with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import CheckpointError
from policy.samplers.sampler import Completion
from problems.problem import Problem
from rollout import stored
from rollout.rollout import Rollout
from sandbox.job import Status, Test, TestResult, Verdict

PROBLEM = Problem("p", "s", (Test("1\n", "2\n"),))
RESULT = TestResult(Status.WRONG_OUTPUT, "\ud800 é\x00", "", 3, None, 0.1, 0.2, 3.3)
ROLLOUTS = [
    Rollout(
        PROBLEM,
        "prompt",
        [1, 2],
        Completion(0, [5, 6], [-0.1, -1e-17], "text", True),
        "program",
        Verdict("p/0", Status.WRONG_OUTPUT, (RESULT,), TestResult(Status.PASSED), "why"),
        0.2,
        -1 / 3,
        language="lua",
    ),
    Rollout(PROBLEM, "prompt", [1, 2], Completion(0, [], [], "", False), None, Verdict("p/1", Status.NO_PROGRAM)),
]


def test_a_batch_comes_back(tmp_path: Path) -> None:
    stored.write(tmp_path / "batch.json", ROLLOUTS, ROLLOUTS[1:])
    assert stored.read(tmp_path / "batch.json", [Problem("o", "s", PROBLEM.tests), PROBLEM]) == (ROLLOUTS, ROLLOUTS[1:])


def test_a_batch_of_another_data_set_is_refused(tmp_path: Path) -> None:
    stored.write(tmp_path / "batch.json", ROLLOUTS, ROLLOUTS[1:])
    with pytest.raises(CheckpointError, match=r"batch.json \(KeyError: 'p'\).*is the data set another now"):
        stored.read(tmp_path / "batch.json", [])


def test_a_damaged_batch_is_refused(tmp_path: Path) -> None:
    for text in ("", "[{", "[{}]", "[1]", "\udcff"):
        (tmp_path / "batch.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(CheckpointError, match="cannot read"):
            stored.read(tmp_path / "batch.json", [PROBLEM])
