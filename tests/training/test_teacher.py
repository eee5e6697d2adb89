"""A teacher's answers as people bring them."""

from __future__ import annotations

import json
from pathlib import Path

import languages
from policy.model import Policy
from problems.problem import Problem
from problems.task import Stdio
from training.teacher import from_file


def test_half_of_a_surrogate_pair_is_replaced_and_counted(policy: Policy, tmp_path: Path) -> None:
    problem = Problem("a", "Print 1.", ())
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"problem": "a", "completion": "print(1) \ud83d"}) + "\n")
    (row,) = from_file(path, Stdio([problem], languages.load("lua")), [problem], policy)
    assert row["completion"] == "print(1) ?"
    assert row["completion_tokens"] == len(policy.encode("print(1) ?"))
