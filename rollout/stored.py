"""Rollouts as JSON, for the checkpoint of a run that samples one step ahead.

Such a batch was drawn with weights that are gone once the run has stopped, so it cannot be drawn again. Problems are
named by their ids: the data set is there when the run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from base.errors import CheckpointError
from policy.samplers.sampler import Completion
from problems.problem import Problem
from rollout.rollout import Rollout
from sandbox.job import Status, TestResult, Verdict


def write(path: Path, rollouts: Sequence[Rollout], kept: Sequence[Rollout]) -> None:
    """All rollouts that were drawn, and which of them (the very objects) are kept to train on."""
    places = {id(rollout): place for place, rollout in enumerate(rollouts)}
    rows = [
        {
            **vars(rollout),
            "problem": rollout.problem.id,
            "completion": asdict(rollout.completion),
            "verdict": _verdict_row(rollout.verdict),
        }
        for rollout in rollouts
    ]
    path.write_text(json.dumps({"rollouts": rows, "kept": [places[id(rollout)] for rollout in kept]}))


def read(path: Path, problems: Sequence[Problem]) -> tuple[list[Rollout], list[Rollout]]:
    """What `write` was given. Raises CheckpointError, also where one of the problems is not in `problems`."""
    known = {problem.id: problem for problem in problems}
    try:
        stored = json.loads(path.read_text())
        if isinstance(stored, list):  # of a run before 2026-11-28, which kept no others
            stored = {"rollouts": stored, "kept": range(len(stored))}
        rollouts = [
            Rollout(
                **row
                | {
                    "problem": known[row["problem"]],
                    "completion": Completion(**row["completion"]),
                    "verdict": _verdict(row["verdict"]),
                }
            )
            for row in stored["rollouts"]
        ]
        return rollouts, [rollouts[place] for place in stored["kept"]]
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise CheckpointError(
            f"cannot read {path} ({type(error).__name__}: {error}): the batch that was under way when the run stopped; "
            "is the data set another now? Without that file the run goes on with a batch drawn anew"
        ) from error


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    compiled = verdict.compile and verdict.compile._asdict()
    return vars(verdict) | {"tests": [test._asdict() for test in verdict.tests], "compile": compiled}


def _verdict(row: dict[str, Any]) -> Verdict:
    compiled = row["compile"] and _result(row["compile"])
    return Verdict(row["id"], Status(row["status"]), tuple(map(_result, row["tests"])), compiled, row["message"])


def _result(row: dict[str, Any]) -> TestResult:
    return TestResult(**row | {"status": Status(row["status"])})
