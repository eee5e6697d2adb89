"""A reward function for verl: 1 for a program that passes all tests, 0 for any other.

    python -m verl.trainer.main_ppo reward.custom_reward_function.path=.../sandbox/rewards/verl.py \
        reward.custom_reward_function.name=compute_score ...

`ground_truth` is an object, or the JSON text of one, with the keys `language`, `tests` (a list of {input, output}), and
if need be `compare` and `limits`, as in a job of `sandbox.verify`.
"""

from __future__ import annotations

import json
from typing import Any

from base.errors import DataError
from sandbox.job import SandboxError, Status
from sandbox.rewards.judge import statuses

KEYS = {"language", "tests", "compare", "limits"}


def compute_score(data_source: str, solution_str: str, ground_truth: Any, **_: Any) -> dict[str, float]:
    """The score of a completion. Raises UserError; SandboxError where it has none: that is no zero."""
    try:
        row = json.loads(ground_truth) if isinstance(ground_truth, str) else ground_truth
    except ValueError as error:
        raise DataError(f"{data_source}: ground_truth is no JSON ({error})") from error
    if not isinstance(row, dict) or not {"language", "tests"} <= set(row) <= KEYS:
        raise DataError(f"{data_source}: ground_truth must be an object with the keys {', '.join(sorted(KEYS))}")
    [status] = statuses([row | {"completion": solution_str}])
    if status is Status.INFRASTRUCTURE_ERROR:
        raise SandboxError(f"{data_source}: the sandbox has failed on a completion, which therefore has no score")
    score = float(status is Status.PASSED)
    return {"score": score, "acc": score}
