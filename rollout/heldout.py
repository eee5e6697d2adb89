"""Training's held-out evaluation, and the scores of a batch of rollouts."""

from __future__ import annotations

from collections.abc import Sequence

from base.seeds import derive_seed
from languages import Language
from policy.samplers.sampler import Sampling
from problems.problem import Problem
from rollout import pass_at_k
from rollout.rollout import Rollout, RolloutWorker


def pass_at_1(rollouts: Sequence[Rollout]) -> float | None:
    """The share of rollouts that passed; infrastructure errors are left out. None when nothing is left."""
    return pass_at_k.pass_at_1(r.verdict.status for r in rollouts)


def verdict_shares(rollouts: Sequence[Rollout], prefix: str) -> dict[str, float]:
    """The share of each verdict that occurs, keyed `<prefix><verdict>`."""
    found = pass_at_k.shares(r.verdict.status.value for r in rollouts)
    return {f"{prefix}{key}": share for key, share in found.items()}


def by_language(rollouts: Sequence[Rollout], prefix: str) -> dict[str, float | None]:
    """pass@1 of each language, keyed `<prefix><language>`; nothing where there is only one."""
    names = sorted({rollout.language for rollout in rollouts})
    if len(names) < 2:
        return {}
    return {f"{prefix}{name}": pass_at_1([r for r in rollouts if r.language == name]) for name in names}


def draw_seed(seed: int) -> int:
    """The seed that held-out samples are drawn with: `train.py` and `evaluate.py` draw the same."""
    return derive_seed(seed, "heldout")


def evaluate(
    worker: RolloutWorker,
    problems: Sequence[Problem],
    languages: Sequence[Language],
    samples: int,
    sampling: Sampling,
    seed: int,
) -> tuple[list[Rollout], dict[str, float | None]]:
    """`samples` rollouts of each problem in each language, and their scores, for training.

    The same arguments give the same scores on a CPU, and `evaluate.py protocol=heldout` gives them too.
    """
    each = [language for language in languages for _ in problems]
    rollouts, stats = worker.roll_out([*problems] * len(languages), each, samples, sampling, draw_seed(seed))
    scores = {"heldout/pass@1": pass_at_1(rollouts), "heldout/seconds": stats.sample + stats.wait}
    scores |= by_language(rollouts, "heldout/pass@1/")
    return rollouts, scores | verdict_shares(rollouts, "heldout/verdict/")
