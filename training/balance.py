"""Cuts a batch into parts of nearly equal cost, as many for every rank.

A part is what goes through the model at once: rows (completions) behind their prompts. A prompt that has rows in two
parts is computed twice, so groups are laid end to end and cut at the least number of places; then rows change places
between pairs of parts until both cost about the same. With FSDP2 all ranks compute in step, and a step waits for the
costliest part, so the parts come sorted, and those of one round are alike.

Everything here is a pure function of lengths. Each rank computes it for itself and finds the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

TRIES = 4  # how many groups may come first, for the best of these cuts
PASSES = 8  # over all pairs of parts, at most
FAIR = 1.005  # times the mean: more balance is not worth looking for
OVER = 1e9  # cost of a token beyond the budget: outweighs any gain in balance


@dataclass(frozen=True)
class CostModel:
    """FLOPs of a training pass over a sequence, as a multiple of those of one token of a prompt."""

    head: float = 0.0  # more per token that is scored: the language-model head
    attention: float = 0.0  # per pair of a token and one that it sees

    @classmethod
    def of(cls, config: Any, parameters: int, head: int) -> CostModel:
        """For a transformers configuration; `parameters` of the whole model and `head`, those of its head, which a
        tied embedding is too."""
        config = config.get_text_config()
        heads = widest(config, "num_attention_heads") or 1
        size = widest(config, "head_dim") or config.hidden_size // heads
        body = max(parameters - head * (1 if getattr(config, "tie_word_embeddings", False) else 2), 1)
        # two products of 2 FLOPs per pair, head and its width, against 2 FLOPs per parameter and token
        return cls(head / body, 2 * config.num_hidden_layers * heads * size / body)

    def prompt(self, length: int) -> float:
        return length + self.attention * length**2 / 2

    def row(self, prompt: int, length: int) -> float:
        return length * (1 + self.head) + self.attention * length * (prompt + length / 2)


def widest(config: Any, key: str) -> int:
    """The largest value of a key of a transformers configuration, which each layer may have its own of; 0 where it is
    not there at all."""
    layers = config.per_layer_config if config.is_heterogeneous else [config]
    values = [getattr(layer, key, None) or 0 for layer in layers]
    return max(max(value) if isinstance(value, list) else value for value in values)


@dataclass
class Part:
    """Rows of a micro-batch, by the number of their group."""

    rows: dict[int, list[int]] = field(default_factory=dict)  # group -> indices of rows, in this group's numbering
    cost: float = 0.0
    tokens: int = 0

    @property
    def count(self) -> int:
        return sum(map(len, self.rows.values()))


@dataclass(frozen=True)
class Lengths:
    """Token lengths of a batch, by group: its prompt and its rows. `shared`: a prompt is computed once for its rows in
    a part."""

    prompts: Sequence[int]
    rows: Sequence[Sequence[int]]
    model: CostModel = CostModel()
    shared: bool = True

    def prompt_cost(self, group: int) -> tuple[float, int]:
        """Cost and tokens of a group's prompt in a part."""
        return (self.model.prompt(self.prompts[group]), self.prompts[group]) if self.shared else (0.0, 0)

    def row_cost(self, group: int, row: int) -> tuple[float, int]:
        prompt, length = self.prompts[group], self.rows[group][row]
        cost, own = self.model.row(prompt, length), 0 if self.shared else prompt
        return cost + (self.model.prompt(prompt) if own else 0.0), length + own

    def cost(self) -> float:
        """Of the whole batch, each prompt once where that can be."""
        return sum(
            self.prompt_cost(group)[0] + sum(self.row_cost(group, row)[0] for row in range(len(rows)))
            for group, rows in enumerate(self.rows)
        )


def cut(lengths: Lengths, budget: int, ranks: int) -> list[Part]:
    """k x `ranks` parts for the smallest k that keeps each within `budget` tokens (or is a single row).

    Fewer parts only where there are fewer rows. Costliest first, so that parts[r * ranks : (r + 1) * ranks] are alike.
    """
    rows = sum(map(len, lengths.rows))
    if not rows:
        return []
    tokens = sum(lengths.prompt_cost(g)[1] + sum(lengths.row_cost(g, r)[1] for r in range(len(own)))
                 for g, own in enumerate(lengths.rows) if own)  # fmt: skip
    rounds = max(1, math.ceil(tokens / budget / ranks))
    while True:
        count = min(rounds * ranks, rows)
        firsts = range(min(len(lengths.prompts), TRIES))
        orders = (True, False) if any(len(set(own)) > 1 for own in lengths.rows) else (True,)  # of equal rows, one
        starts = product(firsts, orders)
        tries = [_balanced(lengths, count, budget, *start) for start in starts]
        fitting = [parts for parts in tries if all(p.tokens <= budget or p.count == 1 for p in parts) or count == rows]
        if fitting:
            return min(fitting, key=lambda parts: in_step(parts, ranks))
        rounds += 1


def in_step(parts: Sequence[Part], ranks: int) -> float:
    """What a batch costs when all ranks wait for the costliest part of each round."""
    return sum(max(part.cost for part in parts[at : at + ranks]) for at in range(0, len(parts), ranks))


def _balanced(lengths: Lengths, count: int, budget: int, first: int, longest: bool) -> list[Part]:
    """Parts, costliest first; `first` is the group laid down first, the `longest` rows of each before the others."""
    costs = [[lengths.row_cost(group, row) for row in range(len(rows))] for group, rows in enumerate(lengths.rows)]
    prompts = [lengths.prompt_cost(group) for group in range(len(costs))]
    parts = _laid_end_to_end(costs, prompts, count, first, longest)
    for _ in range(PASSES):
        mean = sum(part.cost for part in parts) / count
        order = sorted(range(count), key=lambda number: -parts[number].cost)
        moved = False
        for at, one in enumerate(order):
            for other in reversed(order[at + 1 :]):
                if parts[one].cost <= mean * FAIR and parts[one].tokens <= budget:
                    break
                moved |= _evened(parts[one], parts[other], costs, prompts, budget)
        if not moved:
            break
    return sorted(parts, key=lambda part: -part.cost)


def _laid_end_to_end(
    costs: Sequence[Sequence[tuple[float, int]]],
    prompts: Sequence[tuple[float, int]],
    count: int,
    first: int,
    longest: bool,
) -> list[Part]:
    """Groups after one another, their rows by length, cut where the cost so far is a multiple of the mean.

    Each part has at least one row.
    """
    order = [
        (group, row)
        for group in [*range(first, len(costs)), *range(first)]
        for row in sorted(range(len(costs[group])), key=lambda row: costs[group][row][0], reverse=longest)
    ]
    parts = [Part() for _ in range(count)]
    left = sum(cost for rows in costs for cost, _ in rows) + sum(
        cost for (cost, _), rows in zip(prompts, costs, strict=True) if rows
    )
    number = 0
    for at, (group, row) in enumerate(order):
        part, cost = parts[number], costs[group][row][0]
        share = (part.cost + left) / (count - number)  # what this part and those after it should each cost
        full = part.cost + cost / 2 > share
        if part.count and number + 1 < count and (full or len(order) - at <= count - number - 1):
            if group in part.rows:
                left += prompts[group][0]  # its prompt is computed once more
            number += 1
            part = parts[number]
        before = part.cost
        _put(part, group, row, costs, prompts)
        left -= part.cost - before
    return parts


def _put(part: Part, group: int, row: int, costs: Any, prompts: Any) -> None:
    fresh = group not in part.rows
    part.rows.setdefault(group, []).append(row)
    part.cost += costs[group][row][0] + fresh * prompts[group][0]
    part.tokens += costs[group][row][1] + fresh * prompts[group][1]


def _take(part: Part, group: int, row: int, costs: Any, prompts: Any) -> None:
    part.rows[group].remove(row)
    gone = not part.rows[group]
    if gone:
        del part.rows[group]
    part.cost -= costs[group][row][0] + gone * prompts[group][0]
    part.tokens -= costs[group][row][1] + gone * prompts[group][1]


def _evened(high: Part, low: Part, costs: Any, prompts: Any, budget: int) -> bool:
    """Moves the row, or swaps the two rows, that lowers the costlier of two parts most. Whether there were any."""
    if high.cost < low.cost:
        high, low = low, high
    give = [(group, row) for group, rows in high.rows.items() for row in rows]
    take = [(group, row) for group, rows in low.rows.items() for row in rows]
    # a row that takes the place of one of its own group leaves all prompts where they are
    same = np.equal.outer([group for group, _ in give], [-1] + [group for group, _ in take])  # [give, 1 + take]

    def costlier(which: int, of_high: float, of_low: float) -> Any:
        """Cost or tokens of the costlier part [give, 1 + take] after a swap; the first column takes nothing."""

        def own(rows: Any) -> Any:
            return np.array([costs[group][row][which] for group, row in rows])  # [rows]

        def prompt(rows: Any, part: Part, stays: int) -> Any:
            """Of each row's prompt, what it costs a part that has at most `stays` rows of it."""
            # [rows]
            return np.array([prompts[group][which] * (len(part.rows.get(group, ())) <= stays) for group, _ in rows])

        # Of the rows that are given [give, 1], of those that are taken [1 + take].
        given, taken = own(give)[:, None], np.concatenate([[0], own(take)])
        leaves, comes = prompt(give, high, 1)[:, None], np.concatenate([[0], prompt(take, high, 0)])
        arrives, goes = prompt(give, low, 0)[:, None], np.concatenate([[0], prompt(take, low, 1)])
        difference = taken - given  # [give, 1 + take]
        return np.maximum(
            of_high + difference + np.where(same, 0, comes - leaves),
            of_low - difference + np.where(same, 0, arrives - goes),
        )

    def value(cost: Any, tokens: Any) -> Any:
        return cost + OVER * np.maximum(tokens - budget, 0)

    enough = value(high.cost, max(high.tokens, low.tokens)) * (1 - 1e-9)
    found = costlier(0, high.cost, low.cost)  # [give, 1 + take]
    if high.count == 1:
        found[:, 0] = np.inf  # a part keeps a row
    if found.min() >= enough:
        return False  # that is most pairs, and tokens beyond the budget would only add to it
    found = value(found, costlier(1, high.tokens, low.tokens))  # [give, 1 + take]
    best = np.unravel_index(int(np.argmin(found)), found.shape)
    if found[best] >= enough:
        return False
    moves = [(give[best[0]], high, low), *([(take[best[1] - 1], low, high)] if best[1] else [])]
    for row, _, goal in moves:
        _put(goal, *row, costs, prompts)
    for row, source, _ in moves:
        _take(source, *row, costs, prompts)
    return True
