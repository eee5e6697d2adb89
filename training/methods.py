"""The methods: GRPO on rollouts of the policy's own, or supervised learning from answers that are verified first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import languages
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
from training.supervised import together, verified_answers
from training.update import Objective


def teacher_languages(settings: TrainSettings, taught: Sequence[Language]) -> list[Language]:
    """The languages that training shows: those of `teacher.answers`, where it names some. Raises LanguageError."""
    answers = settings.teacher.answers
    if settings.method == "grpo" or not isinstance(answers, dict):
        return list(taught)
    own = {language.name: language for language in taught}
    return [own.get(name) or languages.load(name) for name in answers]


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
        parts = []
        for language in taught:
            part = language.name if isinstance(settings.teacher.answers, dict) else ""
            if resumed:
                answers = teacher.kept(folder, problems, part)
            else:
                answers = teacher.collect(
                    settings.teacher, settings.method, folder, worker, sampling, problems, language, settings.seed, part
                )
            parts.append(
                verified_answers(
                    answers,
                    worker.model,
                    problems,
                    language,
                    sampling,
                    settings.teacher,
                    settings.seed,
                    settings.steps,
                    worker.template,
                )
            )
        return together(parts)
    steps = settings.steps or load.steps_per_epoch(problems, settings.prompts)
    objective = Objective(
        loss=open_loss(settings.loss),
        config=settings.loss,
        temperature=settings.rollout.temperature,
        max_new_tokens=settings.rollout.max_new_tokens,
        epochs=settings.epochs_per_batch,
        max_sampler_gap=settings.rollout.max_sampler_gap,
    )
    curriculum = Curriculum(settings.curriculum, problems, steps, state.source.curriculum)
    on_policy = OnPolicy(worker, curriculum, taught, reward, objective, sampling, steps, settings)
    return OneStepAhead(on_policy, state.source.ahead, state.step) if settings.samplers else on_policy
