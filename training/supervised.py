"""Supervised fine-tuning on verified answers: the paper's baselines, distillation and rejection sampling (section 4.3).

train.py's loop does the rest: its batch is not sampled but taken from here, every advantage is 1, and the loss is the
mean negative log-likelihood of the answers' tokens. So LoRA, ranks, checkpoints and held-out evaluation are the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from random import Random
from typing import Any

from base.errors import RunError
from languages import Language
from policy.model import Policy
from policy.samplers.sampler import Completion, Sampling
from problems.problem import Problem
from problems.prompt import Template, messages
from rollout.draw import LocalModel
from rollout.pass_at_k import UNVERIFIED, Row
from rollout.rollout import Rollout
from run.cost import Cost
from sandbox.answer.markdown import after_thinking
from sandbox.job import Status, Verdict
from training.batches import Batch, SourceState
from training.loss import LossConfig, nll_loss
from training.teacher import TeacherSettings
from training.update import Objective

REPORTED = ("loss", "grad_norm", "skipped_updates", "trained_tokens", "entropy", "forward_tokens")  # of an update


@dataclass
class VerifiedAnswers:
    """Batches of answers that are there: one rollout per accepted answer, all of equal weight."""

    answers: list[Rollout]
    cost: Cost  # of getting them
    batch_size: int
    epochs: int
    seed: int
    objective: Objective
    limit: int | None = None  # steps, where they are not `epochs` passes over the answers
    dropped: Counter[str] = field(default_factory=Counter)  # answers that are not learned from, by reason

    @property
    def steps(self) -> int:
        return self.limit or self.epochs * self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.answers) / self.batch_size)

    def take(self, step: int) -> Batch:
        """The answers of `step`, a pure function of (seed, step). The last batch of an epoch may be small."""
        epoch, number = divmod(step, self.steps_per_epoch)
        order = list(self.answers)
        Random(f"{self.seed}/lessons/{epoch}").shuffle(order)  # the text of earlier runs: they resume exactly
        return Batch(order[number * self.batch_size : (number + 1) * self.batch_size])

    def prefetch(self, step: int) -> None:
        """Nothing: all answers are there."""

    def state(self, step: int) -> SourceState:
        return SourceState()

    def summary(self, step: int, batch: Batch, figures: Mapping[str, float]) -> dict[str, Any]:
        """Nothing was sampled: there are no rewards or verdicts, and no gap between sampler and trainer."""
        return {"epoch": (step + 1) / self.steps_per_epoch} | {key: figures[key] for key in REPORTED if key in figures}

    @property
    def about(self) -> str:
        problems = len({rollout.problem.id for rollout in self.answers})
        left = "".join(f", {count} {reason}" for reason, count in sorted(self.dropped.items()))
        return (
            f"{len(self.answers)} answers to {problems} problems to learn from, of {self.cost.samples} "
            f"({self.cost.accepted} passed every test{left}); {self.steps_per_epoch} steps per epoch"
        )


def verified_answers(
    rows: Sequence[Row],
    model: LocalModel,
    problems: Sequence[Problem],
    language: Language,
    sampling: Sampling,
    settings: TeacherSettings,
    seed: int,
    limit: int | None = None,
    template: Template | None = None,
) -> VerifiedAnswers:
    """The answers among `rows` that are learned from, under the student's own prompts, without the teacher's thinking.

    Of equal answers to a problem one is taken; those longer than the student may write (`sampling`) are left out.
    Raises RunError when nothing is left.
    """
    policy = model.policy
    by_id = {problem.id: problem for problem in problems}
    cost = Cost(
        samples=len(rows),
        sampled_tokens=sum(row["completion_tokens"] for row in rows),
        accepted=sum(row["verdict"] == Status.PASSED for row in rows),
    )
    objective = Objective(nll_loss, LossConfig(correction="none"), 1.0, sampling.max_new_tokens)
    found = VerifiedAnswers([], cost, settings.batch, settings.epochs, seed, objective, limit)
    seen: set[tuple[str, str]] = set()
    end = end_token(policy)
    for row in rows:
        text = (after_thinking(row["completion"]) or "").strip()
        if not accepted(row, settings.accept):
            found.dropped["not accepted"] += 1
        elif (row["problem"], text) in seen:
            found.dropped["repeated"] += 1
        else:
            seen.add((row["problem"], text))
            # An answer that was cut may pass, its program being whole; it did not end there, and is given no end.
            tokens = [*policy.encode(text), *([end] if row["finished"] else [])]
            if len(tokens) > sampling.max_new_tokens:
                found.dropped["too long"] += 1
                continue
            problem = by_id[row["problem"]]
            prompt = model.text(messages(problem, language, template=template))
            completion = Completion(0, tokens, [0.0] * len(tokens), text, True)
            verdict = Verdict(problem.id, Status(row["verdict"] or Status.INFRASTRUCTURE_ERROR))
            found.answers.append(
                Rollout(
                    problem, prompt, policy.encode(prompt), completion, row["program"], verdict, 1.0, 1.0,
                    language=language.name,
                )
            )  # fmt: skip
    if not found.answers:
        verdicts = Counter(row["verdict"] or UNVERIFIED for row in rows)
        counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()) or "there are none"
        longest = f", {count} are longer than rollout.max_new_tokens" if (count := found.dropped["too long"]) else ""
        raise RunError(f"no answer to learn from, with teacher.accept={settings.accept}: {counts}{longest}")
    return found


def together(parts: Sequence[VerifiedAnswers]) -> VerifiedAnswers:
    """The answers in several languages, as one source of batches."""
    cost = Cost(*(sum(figures) for figures in zip(*(astuple(part.cost) for part in parts), strict=True)))
    answers = [answer for part in parts for answer in part.answers]
    dropped = sum((part.dropped for part in parts), Counter[str]())
    return replace(parts[0], answers=answers, cost=cost, dropped=dropped)


def accepted(row: Row, rule: str) -> bool:
    """By the rule "passed", the program passes every test; by "answered", there is one, and the answer was not cut."""
    if rule == "passed":
        return bool(row["verdict"] == Status.PASSED)
    return row["program"] is not None and bool(row["finished"])


def end_token(policy: Policy) -> int:
    """The token that ends an answer: the first end that the chat template puts behind one, the tokenizer's own if none.

    The two differ where a turn and a text have an end each (Gemma, Phi 4 mini).
    """
    answer = "There it is."
    chat = policy.template([{"role": "user", "content": "Where?"}, {"role": "assistant", "content": answer}])
    behind = policy.encode(chat.rpartition(answer)[2])
    ends = [token for token in (*behind, policy.tokenizer.eos_token_id, *policy.eos) if token in policy.eos]
    return int(ends[0])
