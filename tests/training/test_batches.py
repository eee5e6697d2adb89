"""Sources of batches: what is replaced is observed all the same, and a sandbox without verdicts ends the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import languages
from base.errors import RunError
from policy.model import Policy
from policy.samplers.generate import TransformersSampler
from problems.problem import Problem
from rollout.curriculum import Curriculum
from rollout.draw import LocalModel
from rollout.reward import open_reward
from rollout.rollout import RolloutWorker
from sandbox.job import Test
from sandbox.pool import Pool, toolchain
from tests.conftest import composed
from training.batches import BROKEN_BATCHES, OneStepAhead, OnPolicy
from training.loss import policy_loss
from training.settings import TrainSettings
from training.update import Objective

PROBLEMS = [Problem(f"p{number}", "Say it.", (Test("", "x\n"),)) for number in range(6)]


def source(policy: Policy, pool: Pool, *overrides: str) -> OnPolicy:
    sizes = ("prompts=2", "group=2", "steps=8", "rollout.max_new_tokens=4", "curriculum=pass_rate", "extract=paper")
    settings = TrainSettings.read(composed(*sizes, *overrides))
    objective = Objective(policy_loss, settings.loss, settings.rollout.temperature, 4)
    worker = RolloutWorker(LocalModel(policy, TransformersSampler(policy, 8)), pool, settings.extract)
    curriculum = Curriculum(settings.curriculum, PROBLEMS, 8)
    reward = open_reward(settings.reward)
    lua = [languages.load("lua")]
    return OnPolicy(worker, curriculum, lua, reward, objective, settings.rollout.sampling(), 8, settings)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool([languages.load("lua")], workers=1) as pool:
        yield pool


def test_every_group_that_was_drawn_is_observed(policy: Policy, pool: Pool) -> None:
    """Nearly all are flat: most problems of a step are drawn for `resample` only, and count for the curriculum too."""
    batches = source(policy, pool, "resample=2")
    batch = batches.take(0)
    assert len(batch.rollouts) == 4 and len(batch.drawn) > 4
    assert batches.state(0).curriculum == {}, "the step may be taken again, after a stop"
    observed = batches.state(1).curriculum
    assert set(observed) == {rollout.problem.id for rollout in batch.drawn}
    assert sum(tried for _, tried in observed.values()) == len(batch.drawn)
    figures = batches.summary(0, batch, {"loss": 0.5})
    assert figures["drawn/pass@1"] is not None and figures["loss"] == 0.5


def test_a_batch_ahead_is_part_of_the_state(policy: Policy, pool: Pool) -> None:
    batches = OneStepAhead(source(policy, pool), None, 0)
    first = batches.take(0)
    batches.prefetch(1)
    state = batches.state(1)
    assert state.ahead is not None and state.ahead.rollouts != first.rollouts
    again = OneStepAhead(source(policy, pool), state.ahead, 1)
    assert again.take(1) is state.ahead and batches.take(1) is state.ahead
    assert set(again.state(2).curriculum) == {rollout.problem.id for rollout in state.ahead.drawn}, "observed once"


def test_a_sandbox_that_gives_no_verdict_ends_the_run(policy: Policy, tmp_path: Path) -> None:
    chain = replace(toolchain(languages.load("lua")), root=str(tmp_path / "no" / "root"))
    with Pool([chain], workers=1) as broken:
        batches = source(policy, broken)
        for step in range(BROKEN_BATCHES - 1):
            assert all(rollout.reward is None for rollout in batches.take(step).rollouts)
        with pytest.raises(
            RunError, match=r"the sandbox gave no verdict on any program of 3 batches \(.+sandbox.check"
        ):
            batches.take(BROKEN_BATCHES - 1)
