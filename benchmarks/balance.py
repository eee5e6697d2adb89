"""What cutting a batch into parts costs, by arithmetic: the step of the slowest rank against perfect balance.

    python benchmarks/balance.py

Batches of the paper's recipe (4 prompts x 32 completions of up to 1,024 tokens, Qwen3-4B, 16,384 tokens per
micro-batch) with lengths as runs have them. Ranks that share a group all compute its prompt, so that eight ranks on
two groups compute at least six prompts more, which `ideal` counts. A cell has the mean and the worst of 20 drawn
batches against that, and in brackets the mean against a batch whose prompts are computed once only.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).parents[1]))

from training.balance import CostModel, Lengths, cut, in_step

GROUP, LONGEST, BUDGET = 32, 1024, 16_384
RANKS = (1, 2, 4, 8)
MODEL = CostModel(head=389e6 / 3.63e9, attention=2 * 36 * 32 * 128 / 3.63e9)  # Qwen3-4B: its head, its attention


def prompts(draw: random.Random, count: int) -> list[int]:
    """Problem statements: a few hundred tokens, now and then a thousand."""
    return [min(int(draw.lognormvariate(5.8, 0.5)), 2048) for _ in range(count)]


def mixed(draw: random.Random) -> list[int]:
    """A group of programs: around a length of their problem's own, some cut at the limit."""
    typical = draw.uniform(5.3, 6.3)
    return [min(int(draw.lognormvariate(typical, 0.5)) + 1, LONGEST) for _ in range(GROUP)]


def batch(groups: int, rows: Callable[[random.Random], list[int]], seed: int) -> Lengths:
    draw = random.Random(f"{groups} {seed}")
    return Lengths(prompts(draw, groups), [rows(draw) for _ in range(groups)], MODEL)


CASES: dict[str, Callable[[int], Lengths]] = {
    "all 1,024 tokens": lambda seed: batch(4, lambda _: [LONGEST] * GROUP, seed),
    "mixed lengths": lambda seed: batch(4, mixed, seed),
    "3 informative groups": lambda seed: batch(3, mixed, seed),
    "2 informative groups": lambda seed: batch(2, mixed, seed),
}


def ideal(lengths: Lengths, ranks: int) -> float:
    """A lower bound of what the slowest of `ranks` ranks has to do, if each has some of the rows, to a thousandth.

    A rank that has rows of a group computes its prompt too, so within a time T it takes at most T less the prompt of
    them, and the group is on so many ranks at least. All these prompts and rows must fit into `ranks` times T.
    """
    prompts = [lengths.prompt_cost(group)[0] for group in range(len(lengths.prompts))]
    groups = [
        sum(lengths.row_cost(group, row)[0] for row in range(len(rows))) for group, rows in enumerate(lengths.rows)
    ]

    def fits(bound: float) -> bool:
        if bound <= max(prompts):
            return False
        copies = [math.ceil(cost / (bound - prompt)) for cost, prompt in zip(groups, prompts, strict=True)]
        more = max(ranks - sum(copies), 0) * min(prompts)
        return sum(groups) + sum(map(math.prod, zip(copies, prompts, strict=True))) + more <= ranks * bound

    low = lengths.cost() / ranks
    return next(bound for step in count() if fits(bound := low * (1 + step / 1000)))


def over_ideal(lengths: Lengths, ranks: int) -> float:
    """Times the ideal that the step takes."""
    return in_step(cut(lengths, BUDGET, ranks), ranks) / ideal(lengths, ranks)


def main() -> None:
    print("| batch | " + " | ".join(f"{ranks} ranks" for ranks in RANKS) + " |\n|" + "---|" * (1 + len(RANKS)))
    for name, case in CASES.items():
        cells = []
        for ranks in RANKS:
            batches = [case(seed) for seed in range(20)]
            found = [over_ideal(batch, ranks) for batch in batches]
            once = [over_ideal(batch, ranks) * ideal(batch, ranks) * ranks / batch.cost() for batch in batches]
            cells.append(f"{mean(found):.3f}, worst {max(found):.3f} ({mean(once):.3f})")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
