"""An update does not depend on how its batch is cut up, and never happens on a policy the sampler does not have."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from base.errors import SamplerGapError
from policy.model import Policy
from policy.samplers.sampler import Completion
from problems.problem import Problem
from rollout.rollout import Rollout
from sandbox.job import Status, Test, Verdict
from training.loss import VARIANTS, BatchSize, LossConfig, policy_loss
from training.optimizer import OptimizerSettings, learning_rate
from training.update import Learner, Objective, batch_size, collate, micro_batches, trains

PROBLEM = Problem("p", "s", (Test("", ""),))


def batch(policy: Policy, noise: float = 0.0) -> list[Rollout]:
    """Rollouts of two prompts with completions of unlike lengths, and log-probs by the policy itself plus noise."""
    generator = torch.Generator().manual_seed(1)
    rollouts = []
    for prompt in ([5, 6, 7], [9, 8, 7, 6, 5, 4]):
        for n in range(5):
            length = int(torch.randint(1, 12, (1,), generator=generator))
            tokens = torch.randint(2, 250, (length,), generator=generator)
            mask = torch.ones(1, length, dtype=torch.bool)
            with torch.no_grad():
                logp = policy.logprobs([prompt], tokens[None], mask, 0.7)[0][0] + noise
            completion = Completion(0, tokens.tolist(), logp.tolist(), "", True)
            verdict = Verdict("p", Status.PASSED)
            advantage = [1.5, -0.5, 0.0, -0.5, 0.7][n]
            rollouts.append(Rollout(PROBLEM, "", prompt, completion, None, verdict, 1.0, advantage))
    return rollouts


def rollout(prompt: list[int], length: int) -> Rollout:
    completion = Completion(0, list(range(2, 2 + length)), [-1.0] * length, "", True)
    return Rollout(PROBLEM, "", prompt, completion, None, Verdict("p", Status.PASSED), 1.0, 1.0)


def settings(budget: int = 100, **changes: Any) -> OptimizerSettings:
    usual = {"learning_rate": 1.0, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "schedule": "cosine"}
    rest = {"warmup": 0.1, "grad_clip": 1.0, "token_budget": budget, "max_skipped": 5}
    return OptimizerSettings.read(usual | rest | changes)


def objective(
    config: LossConfig | None = None, max_new_tokens: int = 16, epochs: int = 1, gap: float = 1.0
) -> Objective:
    return Objective(policy_loss, config or LossConfig(), 0.7, max_new_tokens, epochs, gap)


def loss(variant: str, **changes: Any) -> LossConfig:
    return LossConfig.read({"variant": variant, "clip_high": 1.5 if variant == "cispo" else 0.2} | changes, "loss")


def updated(
    policy: Policy, budget: int, variant: str = "grpo", epochs: int = 1
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    policy = copy.deepcopy(policy)
    optimizer = torch.optim.SGD(policy.model.parameters(), lr=0.1)
    learner = Learner(policy, optimizer, settings(budget))
    figures = learner.update(batch(policy), objective(loss(variant), epochs=epochs))
    return figures, dict(policy.model.named_parameters())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("budget", [1, 40], ids=["one row at a time", "a few rows at a time"])
def test_micro_batches_change_nothing(policy: Policy, variant: str, budget: int) -> None:
    whole, weights = updated(policy, 10_000, variant, epochs=2)
    parts, other = updated(policy, budget, variant, epochs=2)
    for name in weights:
        torch.testing.assert_close(other[name], weights[name], rtol=0, atol=2e-6)
    # a prompt goes through the model once per micro-batch
    assert parts.pop("forward_tokens") >= whole["forward_tokens"]
    for name in parts:
        assert parts[name] == pytest.approx(whole[name], rel=1e-3, abs=1e-5), name


def test_gradient_checkpointing_changes_nothing(policy: Policy) -> None:
    _, weights = updated(policy, 10_000)
    policy.model.gradient_checkpointing_enable({"use_reentrant": False})
    _, other = updated(policy, 10_000)
    for name in weights:
        torch.testing.assert_close(other[name], weights[name], rtol=0, atol=2e-6)


def test_an_update_changes_the_weights_and_reports(policy: Policy) -> None:
    figures, weights = updated(policy, 10_000)
    before = dict(policy.model.named_parameters())
    assert any(not torch.equal(weights[name], before[name]) for name in before)
    assert figures["ratio"] == pytest.approx(1)
    assert figures["sampler_gap"] == pytest.approx(0, abs=1e-5)
    assert figures["grad_norm"] > 0 and figures["entropy"] > 0 and figures["skipped_updates"] == 0


groups = st.lists(
    st.tuples(
        st.lists(st.integers(2, 9), min_size=1, max_size=40),  # the prompt
        st.lists(st.integers(1, 30), min_size=1, max_size=8),  # the lengths of its completions
    ),
    min_size=1,
    max_size=4,
)


@given(groups, st.integers(1, 300), st.integers(1, 3))
@hypothesis.settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)  # the policy is only asked for its pad and its size
def test_micro_batches_hold_each_row_once_within_the_budget(
    policy: Policy, groups: list[tuple[list[int], list[int]]], budget: int, ranks: int
) -> None:
    rollouts = [rollout(prompt, length) for prompt, lengths in groups for length in lengths]
    seen: list[int] = []
    parts, _ = micro_batches(rollouts, policy, budget, ranks)
    for part in parts:
        micro = collate(rollouts, part, policy)
        assert len(part) == 1 or micro.forward_tokens <= budget
        for index, prompt, tokens, mask in zip(part, micro.prompts, micro.tokens, micro.mask, strict=True):
            assert prompt == rollouts[index].prompt_tokens
            assert tokens[mask].tolist() == rollouts[index].completion.tokens
        seen += part
    assert sorted(seen) == list(range(len(rollouts)))
    assert len(parts) == len(rollouts) or len(parts) % ranks == 0, "as many for each rank"


def test_a_prompt_is_charged_once_for_its_group(policy: Policy) -> None:
    """A group of 32 with a prompt as long as its completions: half as many micro-batches as with a prompt each."""
    rollouts = [rollout([3] * 100, 100) for _ in range(32)]

    def sizes(budget: int, ranks: int = 1) -> list[int]:
        return [len(part) for part in micro_batches(rollouts, policy, budget, ranks)[0]]

    assert sizes(1700) == [16, 16]  # 8 rows of 200 tokens would be 4 parts
    assert sizes(3300) == [32]
    assert sizes(3300, ranks=2) == [16, 16]


def test_no_advantage_means_no_update(policy: Policy) -> None:
    rollouts = batch(policy)
    for rollout in rollouts:
        rollout.advantage = 0.0
    before = copy.deepcopy(policy.model.state_dict())
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=0.1, weight_decay=0.1)
    figures = Learner(policy, optimizer, settings()).update(rollouts, objective())
    assert figures["trained_tokens"] == 0
    assert all(torch.equal(before[name], value) for name, value in policy.model.state_dict().items())


@pytest.mark.parametrize("budget", [1, 10_000])
def test_each_rollout_knows_its_own_gap(policy: Policy, budget: int) -> None:
    rollouts = batch(policy)
    for number, rollout in enumerate(rollouts):
        rollout.completion.logprobs[:] = [value - 0.01 * number for value in rollout.completion.logprobs]
    optimizer = torch.optim.SGD(policy.model.parameters(), lr=0.0)
    figures = Learner(policy, optimizer, settings(budget)).update(rollouts, objective(epochs=2))
    for number, rollout in enumerate(rollouts):
        assert rollout.sampler_gap == (pytest.approx(0.01 * number, abs=1e-4) if rollout.advantage else None)
    scored = [(r.sampler_gap, len(r.completion.tokens)) for r in rollouts if r.sampler_gap is not None]
    mean = sum(gap * length for gap, length in scored) / sum(length for _, length in scored)
    assert mean == pytest.approx(figures["sampler_gap"], rel=1e-4)


def test_a_sampler_with_other_weights_stops_the_run(policy: Policy) -> None:
    before = copy.deepcopy(policy.model.state_dict())
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=0.1)
    with pytest.raises(
        SamplerGapError, match=r"0\.8.*99 % of tokens below 1; rollout.max_sampler_gap is 0.5; look at the weight sync"
    ):
        Learner(policy, optimizer, settings()).update(batch(policy, 0.8), objective(gap=0.5))
    assert all(torch.equal(before[name], value) for name, value in policy.model.state_dict().items())


def test_a_gradient_that_is_not_finite_is_skipped_and_counted(policy: Policy) -> None:
    rollouts = batch(policy)
    rollouts[0].advantage = float("inf")
    before = copy.deepcopy(policy.model.state_dict())
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=0.1)
    figures = Learner(policy, optimizer, settings()).update(rollouts, objective())
    assert figures["skipped_updates"] == 1
    assert all(torch.equal(before[name], value) for name, value in policy.model.state_dict().items())


def test_masked_and_unknown_rollouts_train_nothing(policy: Policy) -> None:
    rollouts = batch(policy)
    rollouts[0].masked = True
    rollouts[1].reward = None
    assert not any(trains(r, kl) for r in rollouts[:2] for kl in (False, True))
    assert [trains(rollouts[2], kl) for kl in (False, True)] == [False, True]  # only the KL term has a gradient there
    tokens = sum(len(r.completion.tokens) for r in rollouts[2:])
    assert batch_size(rollouts, 16) == BatchSize(len(rollouts) - 1, tokens, 16)  # a masked one is but a sequence
    optimizer = torch.optim.SGD(policy.model.parameters(), lr=0.1)
    figures = Learner(policy, optimizer, settings()).update(rollouts, objective())
    assert figures["trained_tokens"] == sum(len(r.completion.tokens) for r in rollouts if trains(r))


OUT_OF_MEMORY = """
import resource, sys
import torch
from tests.toy_policy import toy_model
from policy.model import Policy
from training.update import Learner
from tests.training.test_update import batch, objective, settings
torch.set_num_threads(1)
model = toy_model(sys.argv[1])
policy = Policy.load(model)
def long(rows):
    rollouts = batch(policy)[:5] * (rows // 5)
    for rollout in rollouts:
        rollout.advantage = rollout.advantage or 0.1
        rollout.completion.tokens[:] = (rollout.completion.tokens * 300)[:300]
        rollout.completion.logprobs[:] = (rollout.completion.logprobs * 300)[:300]
    return rollouts
optimizer = torch.optim.AdamW(policy.model.parameters(), lr=0.01)
how = objective(max_new_tokens=300, gap=99.0)
Learner(policy, optimizer, settings(400)).update(long(5), how)  # what is allocated once is allocated now
now = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (now + (int(sys.argv[2]) << 20), -1))
learner = Learner(policy, optimizer, settings(240_000))
learner.update(long(400), how)
print("done with", learner.token_budget)
"""


@pytest.mark.parametrize(
    ("mib", "answer"),  # one part of 120,000 tokens wants some 1,900 MiB, two of 60,000 want 1,000 to 1,200
    [
        (1_500, "done with 120000"),
        (600, "out of memory in the update, with optimizer.token_budget=120000"),
    ],
)
def test_where_memory_runs_out_micro_batches_are_halved_once(toy_folder: Path, mib: int, answer: str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(toy_folder), str(mib)],
        cwd=root, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert answer in done.stdout + done.stderr, done.stdout + done.stderr


def schedule(name: str, warmup: float = 0.1) -> list[float]:
    return [learning_rate(settings(schedule=name, warmup=warmup), step, 100) for step in range(100)]


@pytest.mark.parametrize("name", ["cosine", "linear", "constant"])
def test_schedules(name: str) -> None:
    rates = schedule(name)
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[:10] == sorted(rates[:10]) and rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx({"cosine": 0.5, "linear": 0.5, "constant": 1.0}[name])
