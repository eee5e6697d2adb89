"""Supervised fine-tuning on verified answers: the paper's baselines, distillation and rejection sampling (section 4.3).

train.py's loop does the rest: its batch is not sampled but taken from here, every advantage is 1, and the loss is the
mean negative log-likelihood of the answers' tokens. So LoRA, ranks, checkpoints and held-out evaluation are the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from omegaconf import DictConfig

from base import checks
from base.errors import ConfigError, DataError, RunError
from languages import Language
from policy.model import Policy
from policy.ranks import Ranks
from policy.samplers.sampler import Completion, Sampler
from problems import load
from problems.problem import Problem
from rollout.rollout import Rollout
from rollout.score import UNVERIFIED, Row
from run.cost import Cost
from sandbox import open_pool
from sandbox.answer import THINKING_END
from sandbox.job import Status, Verdict
from training import teacher
from training.loss import LossConfig

METHODS = ("grpo", "distillation", "rejection_sampling")
ACCEPT = ("passed", "answered")
LOSS = LossConfig("nll", correction="none")
REPORTED = ("loss", "grad_norm", "skipped_updates", "trained_tokens", "entropy", "passed_tokens")  # of an update


@dataclass
class Lessons:
    """What is learned from: one rollout an accepted answer, all of equal weight."""

    rollouts: list[Rollout]
    cost: Cost  # of getting them
    batch_size: int
    epochs: int
    seed: int
    dropped: Counter[str] = field(default_factory=Counter)  # answers that are not learned from, by reason

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.rollouts) / self.batch_size)

    def batch(self, step: int) -> list[Rollout]:
        """The rollouts of `step` (from 0), a pure function of (seed, step). The last batch of an epoch may be small."""
        epoch, number = divmod(step, self.steps_per_epoch)
        order = list(self.rollouts)
        Random(f"{self.seed}/lessons/{epoch}").shuffle(order)
        return order[number * self.batch_size : (number + 1) * self.batch_size]

    def summary(self, step: int, figures: Mapping[str, float]) -> dict[str, float]:
        """What a step's row of metrics has in place of rewards and verdicts; `figures` are the update's."""
        return {"epoch": (step + 1) / self.steps_per_epoch} | {key: figures[key] for key in REPORTED}

    def __str__(self) -> str:
        """One line: what there is to learn from."""
        problems = len({rollout.problem.id for rollout in self.rollouts})
        left = "".join(f", {count} {reason}" for reason, count in sorted(self.dropped.items()))
        return (
            f"{len(self.rollouts)} answers to {problems} problems to learn from, of {self.cost.samples} "
            f"({self.cost.accepted} passed every test{left}); {self.steps_per_epoch} steps an epoch"
        )


def prepare(
    config: DictConfig,
    folder: Path,
    policy: Policy,
    sampler: Sampler,
    problems: Sequence[Problem],
    mix: Sequence[Language],
    sandbox: Mapping[str, Any],
    ranks: Ranks,
    resumed: bool,
) -> Lessons:
    """Collects the answers (on a run that has begun to train: reads them) and takes those that are accepted."""
    if resumed:
        rows = teacher.kept(folder, problems)
    else:
        with open_pool(load.pool_languages(problems, *mix), **sandbox) as pool:
            rows = teacher.collect(config, folder, policy, sampler, pool, problems, mix[0], ranks)
    return lessons(config, rows, policy, problems, mix[0])


def check(config: DictConfig, mix: Sequence[Language]) -> None:
    """Raises ConfigError for what a supervised method cannot do."""
    checks.one_of("teacher.accept", config.teacher.accept, ACCEPT)
    if len(mix) > 1:
        raise ConfigError(f"method={config.method} learns one language at a time; leave language_mix out")
    if config.samplers:
        raise ConfigError(f"samplers= goes with method=grpo; with method={config.method} all gpus train")
    teacher.check(config)


def lessons(
    config: DictConfig, rows: Sequence[Row], policy: Policy, problems: Sequence[Problem], language: Language
) -> Lessons:
    """The answers among `rows` that are learned from, under the student's own prompts, without the teacher's thinking.

    Of equal answers to a problem one is taken; those longer than the student may write are left out. Raises RunError
    when nothing is left.
    """
    by_id = {problem.id: problem for problem in problems}
    cost = Cost(
        samples=len(rows),
        sampled_tokens=sum(row["completion_tokens"] for row in rows),
        accepted=sum(row["verdict"] == Status.PASSED for row in rows),
    )
    found = Lessons([], cost, config.teacher.batch, config.teacher.epochs, config.seed)
    prompts: dict[str, tuple[str, list[int]]] = {}
    seen: set[tuple[str, str]] = set()
    for row in rows:
        text = row["completion"].rpartition(THINKING_END)[2].strip()
        if not accepted(row, config.teacher.accept):
            found.dropped["not accepted"] += 1
        elif (row["problem"], text) in seen:
            found.dropped["repeated"] += 1
        else:
            seen.add((row["problem"], text))
            tokens = [*policy.encode(text), end_token(policy)]
            if len(tokens) > config.rollout.max_new_tokens:
                found.dropped["too long"] += 1
                continue
            problem = by_id[row["problem"]]
            if problem.id not in prompts:
                prompt = policy.chat(problem, language)
                prompts[problem.id] = prompt, _fitting(policy.encode(prompt), problem, config)
            prompt, ids = prompts[problem.id]
            completion = Completion(0, tokens, [0.0] * len(tokens), text, True)
            verdict = Verdict(problem.id, Status(row["verdict"] or Status.INFRASTRUCTURE_ERROR))
            found.rollouts.append(
                Rollout(problem, prompt, ids, completion, row["program"], verdict, 1.0, 1.0, language=language.name)
            )
    if not found.rollouts:
        verdicts = Counter(row["verdict"] or UNVERIFIED for row in rows)
        counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()) or "there are none"
        longest = f", {count} are longer than rollout.max_new_tokens" if (count := found.dropped["too long"]) else ""
        raise RunError(f"no answer to learn from, with teacher.accept={config.teacher.accept}: {counts}{longest}")
    return found


def accepted(row: Row, rule: str) -> bool:
    """By the rule "passed", the program passes every test; by "answered", there is one, and the answer was not cut."""
    if rule == "passed":
        return bool(row["verdict"] == Status.PASSED)
    return row["program"] is not None and bool(row["finished"])


def end_token(policy: Policy) -> int:
    """The token that ends an answer: the tokenizer's own where the model knows it as an end."""
    own = policy.tokenizer.eos_token_id
    return int(own if own in policy.eos else policy.eos[0])


def _fitting(ids: list[int], problem: Problem, config: DictConfig) -> list[int]:
    if len(ids) > config.rollout.max_prompt_tokens:
        raise DataError(
            f"problem {problem.id!r} makes a prompt of {len(ids)} tokens; rollout.max_prompt_tokens is "
            f"{config.rollout.max_prompt_tokens}: raise it, or leave the problem out"
        )
    return ids
