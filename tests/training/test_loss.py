"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.test_update import loss as config_of
from training.loss import VARIANTS, BatchSize, LossConfig, nll_loss, policy_loss, sampler_correction


def tensor(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


# Two rows: the first of two tokens with ratio e^0.1 and e^0.5, the second of one token with ratio e^-0.5.
LOGP = tensor([[-1.0, -1.0], [-2.5, -9.0]])
OLD = tensor([[-1.1, -1.5], [-2.0, -4.0]])
MASK = torch.tensor([[True, True], [True, False]])
ADVANTAGE = torch.tensor([1.0, -2.0], dtype=torch.float64)
SIZE = BatchSize(sequences=2, tokens=3, max_new_tokens=5)
R1, R2, R3 = math.exp(0.1), math.exp(0.5), math.exp(-0.5)
# A > 0: min(r, 1.2) * 1; A < 0: the larger loss of r and clip(r, 0.8): max(2 r, 2 * 0.8) = 1.6
TOKENS = (-R1, -1.2, 1.6)


def loss_of(variant: str, **settings: float | str) -> float:
    config = config_of(variant, correction="none", **settings)
    return float(policy_loss(LOGP, OLD, OLD, ADVANTAGE, MASK, SIZE, config)[0])


def test_grpo_by_hand() -> None:
    assert loss_of("grpo") == pytest.approx(((TOKENS[0] + TOKENS[1]) / 2 + TOKENS[2]) / 2)


def test_token_means_by_hand() -> None:
    assert loss_of("dapo") == pytest.approx(sum(TOKENS) / 3)


def test_nll_by_hand() -> None:
    loss, _ = nll_loss(LOGP, OLD, OLD, ADVANTAGE, MASK, SIZE, LossConfig())
    assert float(loss) == pytest.approx((1.0 + 1.0 + 2.5) / 3)


def test_dr_grpo_by_hand() -> None:
    assert loss_of("dr_grpo") == pytest.approx(sum(TOKENS) / (2 * 5))


def test_gspo_by_hand() -> None:
    first = -min(math.exp(0.3), 1.2)  # the row's ratio: e to the mean of 0.1 and 0.5, for each of its tokens
    assert loss_of("gspo") == pytest.approx((first + 1.6) / 2)


def test_cispo_by_hand() -> None:
    capped = [min(R1, 1.5), min(R2, 1.5), min(R3, 1.5)]
    expected = (-capped[0] * -1.0 - capped[1] * -1.0 - capped[2] * -2.0 * -2.5) / 3
    assert loss_of("cispo", clip_high=1.5) == pytest.approx(expected)
    config = LossConfig(variant="cispo", clip_high=1.5, correction="none")
    _, sums = policy_loss(LOGP, OLD, OLD, ADVANTAGE, MASK, SIZE, config)
    assert (float(sums["clip_low"]), float(sums["clip_high"])) == (0, sum(ratio > 1.5 for ratio in (R1, R2, R3)))


def test_kl_by_hand() -> None:
    reference = LOGP - 0.2  # k3: e^-0.2 + 0.2 - 1 for each token
    config = LossConfig(variant="dapo", kl=0.5, correction="none")
    with_kl, sums = policy_loss(LOGP, OLD, OLD, ADVANTAGE, MASK, SIZE, config, reference)
    k3 = math.exp(-0.2) + 0.2 - 1
    assert float(with_kl) == pytest.approx(sum(TOKENS) / 3 + 0.5 * k3)
    assert float(sums["kl"]) == pytest.approx(3 * k3)


def test_clipping_is_counted_by_side() -> None:
    _, sums = policy_loss(LOGP, OLD, OLD, ADVANTAGE, MASK, SIZE, LossConfig(correction="none"))
    assert (float(sums["clip_low"]), float(sums["clip_high"])) == (1, 1)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", [[1.0], [1.0]]),
        ("token_truncate", [[1.5, 1.5], [math.exp(-1), 1.0]]),
        ("token_mask", [[0.0, 0.0], [math.exp(-1), 1.0]]),
        ("sequence_truncate", [[1.5], [math.exp(-1)]]),
        ("sequence_mask", [[0.0], [math.exp(-1)]]),
    ],
)
def test_sampler_correction_by_hand(mode: str, expected: list[list[float]]) -> None:
    old, sampled = tensor([[-1.0, -1.0], [-3.0, -7.0]]), tensor([[-2.0, -1.5], [-2.0, -1.0]])
    weights = sampler_correction(old, sampled, MASK.double(), mode, cap=1.5)
    assert weights.tolist() == [pytest.approx(row) for row in expected]


def test_unknown_choices_are_named() -> None:
    with pytest.raises(ValueError, match=r"loss.variant is 'ppo'; the choices are 'grpo'"):
        LossConfig.read({"variant": "ppo"}, "loss")
    with pytest.raises(ValueError, match=r"loss.correction is 'all'; the choices are 'none'"):
        LossConfig.read({"correction": "all"}, "loss")
    with pytest.raises(ValueError, match=r"loss.clip_high is 0.2; for loss.variant=cispo, .* 1 or more"):
        LossConfig.read({"variant": "cispo"}, "loss")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(VARIANTS), st.integers(0, 2**31), st.integers(1, 6))
def test_micro_batches_add_up_to_the_batch(variant: str, seed: int, cut: int) -> None:
    """Value and gradient of a batch do not depend on how it is cut into micro-batches, nor on padding."""
    generator = torch.Generator().manual_seed(seed)
    rows, tokens = 7, 5
    logp = (-torch.rand(rows, tokens, generator=generator, dtype=torch.float64)).requires_grad_()
    old = (logp + 0.4 * torch.randn(rows, tokens, generator=generator, dtype=torch.float64)).detach()
    sampled = (old + 0.1 * torch.randn(rows, tokens, generator=generator, dtype=torch.float64)).detach()
    advantages = torch.randn(rows, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, tokens + 1, (rows, 1), generator=generator)
    mask = torch.arange(tokens) < lengths
    size = BatchSize(rows, int(mask.sum()), 8)
    config = config_of(variant)

    def gradient(parts: list[slice], pad: int) -> tuple[float, torch.Tensor]:
        total = 0.0
        logp.grad = None
        for part in parts:
            extra = (0, pad)
            loss, _ = policy_loss(
                torch.nn.functional.pad(logp[part], extra, value=-3.0),
                torch.nn.functional.pad(old[part], extra),
                torch.nn.functional.pad(sampled[part], extra),
                advantages[part],
                torch.nn.functional.pad(mask[part], extra),
                size,
                config,
            )
            loss.backward()
            total += float(loss.detach())
        assert logp.grad is not None
        return total, logp.grad.clone()

    whole, whole_gradient = gradient([slice(0, rows)], 0)
    parts, parts_gradient = gradient([slice(0, cut), slice(cut, rows)], 3)
    assert parts == pytest.approx(whole, abs=1e-12)
    torch.testing.assert_close(parts_gradient, whole_gradient, rtol=0, atol=1e-12)
