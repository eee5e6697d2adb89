"""Parts of a batch hold every row once, within the budget, and the slowest rank has little more to do than the mean."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Qwen3Config

from benchmarks import balance as benchmark
from training import balance
from training.balance import CostModel, Lengths, cut


@pytest.mark.parametrize("ranks", benchmark.RANKS)
@pytest.mark.parametrize("name", benchmark.CASES)
def test_a_step_takes_at_most_a_tenth_more_than_the_ideal(name: str, ranks: int) -> None:
    """By arithmetic, in each of twenty drawn batches."""
    found = [benchmark.over_ideal(benchmark.CASES[name](seed), ranks) for seed in range(20)]
    assert max(found) <= 1.10, found


GROUPS = st.lists(st.tuples(st.integers(1, 400), st.lists(st.integers(1, 300), max_size=9)), max_size=5)


@given(GROUPS, st.integers(1, 1500), st.integers(1, 4), st.booleans())
@settings(deadline=None)
def test_every_row_is_in_one_part_within_the_budget(
    groups: list[tuple[int, list[int]]], budget: int, ranks: int, shared: bool
) -> None:
    lengths = Lengths([prompt for prompt, _ in groups], [rows for _, rows in groups], CostModel(0.1, 1e-4), shared)
    parts = cut(lengths, budget, ranks)
    rows = sorted((group, row) for part in parts for group, own in part.rows.items() for row in own)
    assert rows == [(group, row) for group, own in enumerate(lengths.rows) for row in range(len(own))]
    for part in parts:
        tokens = sum(
            lengths.prompts[group] * (1 if shared else len(own)) + sum(lengths.rows[group][row] for row in own)
            for group, own in part.rows.items()
        )
        assert part.tokens == tokens and (tokens <= budget or part.count == 1)
        cost = sum(
            lengths.prompt_cost(group)[0] + sum(lengths.row_cost(group, row)[0] for row in own)
            for group, own in part.rows.items()
        )
        assert part.cost == pytest.approx(cost)
    assert len(parts) == len(rows) or len(parts) % ranks == 0
    assert [part.cost for part in parts] == sorted((part.cost for part in parts), reverse=True)


def test_few_long_rows_are_spread_and_short_ones_fill_up() -> None:
    parts = cut(Lengths([10], [[100, 100, 50, 50, 50, 50]]), 1000, 2)
    assert [part.cost for part in parts] == [210, 210]


def test_equal_rows_are_laid_down_in_one_order_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which comes to half of the time for the longest step of all; every rank spends it before its update."""
    real, starts = balance._balanced, []

    def balanced(lengths: Lengths, count: int, budget: int, first: int, longest: bool) -> list[balance.Part]:
        starts.append((first, longest))
        return real(lengths, count, budget, first, longest)

    monkeypatch.setattr(balance, "_balanced", balanced)
    cut(Lengths([10, 20], [[100] * 8, [90] * 8]), 1000, 2)
    assert len(starts) == len(set(starts)) == 2
    cut(Lengths([10, 20], [[100] * 8, [90, 80] * 4]), 1000, 2)
    assert len(starts) == 2 + 4


def test_the_cost_model_is_that_of_flops() -> None:
    """Qwen3-4B: a token at the end of 1,324 sees them all, which is a tenth of what its layers cost."""
    config = Qwen3Config(
        hidden_size=2560, num_hidden_layers=36, num_attention_heads=32, head_dim=128, tie_word_embeddings=True
    )
    head = 151_936 * 2560
    model = CostModel.of(config, 4_022_468_096, head)
    assert model.head == pytest.approx(head / (4_022_468_096 - head))
    assert model.attention * 1324 == pytest.approx(4 * 36 * 32 * 128 * 1324 / (2 * (4_022_468_096 - head)))
