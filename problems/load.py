"""Data sets by config, and the order in which training goes through them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from languages import Language
from problems.problem import DataError, Problem, read_jsonl

ROOT = Path(__file__).parent.parent


def load(config: DictConfig, split: str) -> list[Problem]:
    """The problems of a split (`train` or `heldout`) of the config group `dataset`.

    A relative path is looked for in the working directory, then in this repository. Raises DataError.
    """
    path = Path(str(config[split])).expanduser()
    if not path.is_absolute() and not path.exists():
        path = ROOT / path
    if not path.is_file():
        raise DataError(f"dataset.{split}: there is no file {path}")
    problems = list(read_jsonl(path))
    if not problems:
        raise DataError(f"{path}: the file holds no problem")
    return problems


def steps_per_epoch(problems: Sequence[Problem], prompts: int) -> int:
    """Whole batches in one pass over the data; at least 1."""
    return max(1, len(problems) // prompts)


def spoken(languages: Sequence[Language], step: int, prompts: int) -> list[Language]:
    """The language of each of a step's problems: they take turns, through the steps, a pure function of the step."""
    return [languages[(step * prompts + number) % len(languages)] for number in range(prompts)]


def batch(problems: Sequence[Problem], step: int, prompts: int, seed: int) -> list[Problem]:
    """The problems of `step` (from 0): a slice of the epoch's permutation, a pure function of (seed, step).

    A remainder smaller than a batch is left out of its epoch. A data set smaller than a batch is repeated in it.
    """
    epoch, number = divmod(step, steps_per_epoch(problems, prompts))
    order = list(problems)
    random.Random(f"{seed}/{epoch}").shuffle(order)
    chosen = order[number * prompts : (number + 1) * prompts]
    while len(chosen) < prompts:
        chosen += order[: prompts - len(chosen)]
    return chosen
