"""A verdict -> a reward. A reward config maps statuses to numbers; a status that is not named is worth 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policy.choice import ConfigError
from sandbox.job import Status, Verdict


def check(reward: Mapping[Any, Any]) -> dict[str, float]:
    """The config group `reward` as a plain mapping. ConfigError for a status that cannot earn anything."""
    choices = [status.value for status in Status if status is not Status.INFRASTRUCTURE_ERROR]
    for status in reward:
        if status not in choices:
            raise ConfigError(
                f"reward.{status} is no verdict that earns a reward; the choices are {', '.join(choices)}"
            )
    return {status: float(value) for status, value in reward.items()}


def of(verdict: Verdict, reward: Mapping[str, float]) -> float | None:
    """The reward, or None for an infrastructure error: the sandbox's failure says nothing about the program."""
    if verdict.status is Status.INFRASTRUCTURE_ERROR:
        return None
    return float(reward.get(verdict.status.value, 0.0))
