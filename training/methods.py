"""The methods: GRPO on rollouts of the policy's own, or supervised learning from answers that are verified first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from languages import Language
from problems import load
from problems.problem import Problem
from rollout.curriculum import Curriculum
from rollout.reward import RewardFunction
from rollout.rollout import RolloutWorker
from training import teacher
from training.batches import Batches, OneStepAhead, OnPolicy
from training.checkpoint import TrainerState
from training.loss import open_loss
from training.settings import TrainSettings
from training.supervised import verified_answers
from training.update import Objective


def open_batches(
    settings: TrainSettings,
    worker: RolloutWorker,
    problems: Sequence[Problem],
    taught: Sequence[Language],
    reward: RewardFunction,
    state: TrainerState,
    folder: Path,
    resumed: bool,
) -> Batches:
    """The source of batches that `method` and `samplers` mean."""
    sampling = settings.rollout.sampling()
    if settings.method != "grpo":
        answers = (
            teacher.kept(folder, problems)
            if resumed
            else teacher.collect(
                settings.teacher, settings.method, folder, worker, sampling, problems, taught[0], settings.seed
            )
        )
        return verified_answers(
            answers, worker.model, problems, taught[0], sampling, settings.teacher, settings.seed, settings.steps
        )
    steps = settings.steps or load.steps_per_epoch(problems, settings.prompts)
    objective = Objective(
        open_loss(settings.loss),
        settings.loss,
        settings.rollout.temperature,
        settings.rollout.max_new_tokens,
        settings.epochs_per_batch,
        settings.rollout.max_sampler_gap,
    )
    curriculum = Curriculum(settings.curriculum, problems, steps, state.source.curriculum)
    on_policy = OnPolicy(worker, curriculum, taught, reward, objective, sampling, steps, settings)
    return OneStepAhead(on_policy, state.source.ahead, state.step) if settings.samplers else on_policy
