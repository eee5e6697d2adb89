"""A reward function for TRL: 1 for a program that passes all tests, 0 for any other.

    GRPOTrainer(model, reward_funcs=passes_tests, train_dataset=problems, ...)

Besides `prompt`, the data set has the columns `language`, `tests` (a list of {input, output}), and if need be `compare`
and `limits`, as in a job of `sandbox.verify`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sandbox.job import Status
from sandbox.rewards.judge import statuses

Text = str | list[dict[str, Any]]  # of a conversation: its messages


def passes_tests(
    prompts: Sequence[Text], completions: Sequence[Text], language: Sequence[str], tests: Sequence[Any], **columns: Any
) -> list[float | None]:
    """One reward a completion. What the sandbox itself failed on gets the mean of its prompt's others: no advantage.

    None is in the type for TRL's sake alone. Raises UserError.
    """
    rows = []
    for number, completion in enumerate(completions):
        row = {"completion": _text(completion), "language": language[number], "tests": tests[number]}
        for key in ("compare", "limits"):
            value = columns.get(key, {}) and columns[key][number]
            # a data set fills the keys that other rows have with null
            row[key] = {name: part for name, part in value.items() if part is not None} if value else None
        rows.append(row)
    judged = statuses(rows)
    groups = defaultdict(list)
    for prompt, status in zip(prompts, judged, strict=True):
        if status is not Status.INFRASTRUCTURE_ERROR:
            groups[repr(prompt)].append(float(status is Status.PASSED))
    means = {prompt: sum(rewards) / len(rewards) for prompt, rewards in groups.items()}
    return [
        means.get(repr(prompt), 0.0) if status is Status.INFRASTRUCTURE_ERROR else float(status is Status.PASSED)
        for prompt, status in zip(prompts, judged, strict=True)
    ]


def _text(completion: Text) -> str:
    return completion if isinstance(completion, str) else str(completion[-1]["content"] or "")
