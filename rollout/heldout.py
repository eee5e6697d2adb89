"""Training's held-out evaluation, and the scores of a batch of rollouts."""

from __future__ import annotations

from collections.abc import Sequence

from base.seeds import derive_seed
from languages import Language
from policy.model import Policy
from policy.ranks import ALONE, Ranks
from policy.samplers.sampler import Sampler, Sampling
from problems.problem import Problem
from rollout.rollout import Rollout, roll_out
from rollout.score import shares
from sandbox.executor import Executor
from sandbox.job import Status


def pass_at_1(rollouts: Sequence[Rollout]) -> float:
    """The share of rollouts that passed; infrastructure errors are left out. 0 when nothing is left."""
    known = [r.verdict.passed for r in rollouts if r.verdict.status is not Status.INFRASTRUCTURE_ERROR]
    return sum(known) / len(known) if known else 0.0


def verdict_shares(rollouts: Sequence[Rollout], prefix: str) -> dict[str, float]:
    """The share of each verdict that occurs, keyed `<prefix><verdict>`."""
    return {f"{prefix}{key}": share for key, share in shares(r.verdict.status.value for r in rollouts).items()}


def by_language(rollouts: Sequence[Rollout], prefix: str) -> dict[str, float]:
    """pass@1 of each language, keyed `<prefix><language>`; nothing where there is only one."""
    names = sorted({rollout.language for rollout in rollouts})
    if len(names) < 2:
        return {}
    return {f"{prefix}{name}": pass_at_1([r for r in rollouts if r.language == name]) for name in names}


def draw_seed(seed: int) -> int:
    """The seed that held-out samples are drawn with: `train.py` and `evaluate.py` draw the same."""
    return derive_seed(seed, "heldout")


def evaluate(
    policy: Policy,
    sampler: Sampler,
    pool: Executor,
    problems: Sequence[Problem],
    spoken: Language | Sequence[Language],
    samples: int,
    sampling: Sampling,
    seed: int,
    rule: str,
    ranks: Ranks = ALONE,
) -> tuple[list[Rollout], dict[str, float]]:
    """`samples` rollouts of each problem in each language, and their scores, for training.

    The same arguments give the same scores on a CPU, and `evaluate.py protocol=heldout` gives them too.
    """
    spoken = [spoken] if isinstance(spoken, Language) else spoken
    each = [language for language in spoken for _ in problems]
    problems = [*problems] * len(spoken)
    rollouts, phases = roll_out(policy, sampler, pool, problems, each, samples, sampling, draw_seed(seed), rule, ranks)
    scores = {"heldout/pass@1": pass_at_1(rollouts), "heldout/seconds": phases.sample + phases.wait}
    scores |= by_language(rollouts, "heldout/pass@1/")
    return rollouts, scores | verdict_shares(rollouts, "heldout/verdict/")
