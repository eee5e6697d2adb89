"""How long the overlap of 5,000 problems with a benchmark of 500 takes. About ten seconds:

    python benchmarks/contamination.py
    python benchmarks/contamination.py problems=20000 benchmark=1000

The texts are drawn: 150 to 600 words each by Zipf's law from 20,000, and among them the sentences that contest
problems have in common. Fifty problems are copies of benchmark problems with one word in sixty changed; every one of
them, and nothing else, must be flagged by the paper's rule. The last line is one JSON object, times in seconds.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from base import script
from base.command_line import Command
from base.settings import Count
from problems.contamination import RULES, overlap
from problems.problem import Problem
from sandbox.job import Test

COPIES = 50
COMMON = [
    f"The {place} line contains {what} integer{' ' if one else 's '}{names} ({low} <= {names} <= {high})."
    for place in ("first", "second", "next")
    for what, one, names in (("a single", True, "n"), ("two", False, "n and m"), ("n", False, "a_1, ..., a_n"))
    for low, high in ((1, "10^5"), (0, "10^9"))
]
WORDS = 20_000


def texts(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    chance = 1 / np.arange(1, WORDS + 1)
    chance /= chance.sum()
    found = []
    for _ in range(count):
        words = [f"w{n}" for n in generator.choice(WORDS, generator.integers(150, 600), p=chance)]
        for sentence in generator.choice(COMMON, 4):
            words.insert(int(generator.integers(len(words))), str(sentence))
        found.append(" ".join(words))
    return found


def changed(text: str, seed: int) -> str:
    """`text` with one word in sixty replaced."""
    draw = random.Random(seed)
    return " ".join("changed" if draw.random() < 1 / 60 else word for word in text.split())


def made(name: str, found: list[str]) -> list[Problem]:
    return [Problem(f"{name}-{n}", text, (Test("", ""),)) for n, text in enumerate(found)]


class Sizes(Command):
    usage: ClassVar[str] = "python benchmarks/contamination.py problems=5000 benchmark=500"

    problems: Count = 5000
    benchmark: Count = 500


def main(words: list[str]) -> None:
    sizes = Sizes.parse(words).model_dump()
    theirs = texts(sizes["benchmark"], 0)
    ours = texts(sizes["problems"], 1)
    for n in range(COPIES):
        ours[n * (len(ours) // COPIES)] = changed(theirs[n], n)
    problems, benchmark = made("problem", ours), made("benchmark", theirs)
    mean = sum(len(text) for text in ours) / len(ours)
    result: dict[str, float | int] = {**sizes, "characters_mean": round(mean)}
    for name, rule in RULES.items():
        started = time.perf_counter()
        pairs = overlap(problems, benchmark, rule)
        result[f"{name}_s"] = round(time.perf_counter() - started, 2)
        flagged = {pair.problem for pair in pairs if pair.flagged}
        result[f"{name}_flagged"] = len(flagged)
        copies = {f"problem-{n * (len(ours) // COPIES)}" for n in range(COPIES)}
        assert flagged >= copies if rule.threshold == 0 else flagged == copies, f"{name}: {len(flagged & copies)} found"
    print(json.dumps(result))


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])
