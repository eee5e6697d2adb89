"""Teaches a language model to program in one language: GRPO, rewarded by what the programs print.

    python train.py                                        a tiny model learns Lua on a CPU, in minutes
    python train.py language=ocaml model=qwen3_4b          a real one, on a GPU
    python train.py -m language=lua,python seed=1,2        a sweep, see study/sweep.py
    python train.py language_mix=[lua,python]              several languages at once
    python train.py experiment=rejection_sampling          the paper's baselines; the other is distillation

Per step: sample a group of completions for each of a few problems; run every program in a jail as soon as it is
complete; reward what passed; subtract the group's mean; update; now and then measure pass@1 on held-out problems.
The baselines (`method=`) are the same loop with another source of batches: answers verified before the first step.

Where to change what: the loss in training/loss.py, the reward in rollout/reward.py, the advantage in
rollout/advantage.py, the sampler in policy/samplers, the data in problems/, which batches are taken in
training/batches.py. A reward or a loss may also be your own function (reward.function=, loss.function=).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

import languages
from base import script
from base.errors import CheckpointError
from languages import Language
from policy import pretrained
from policy.model import Policy
from policy.ranks import Ranks
from policy.samplers import choose, open_sampler
from problems import load
from problems.problem import Problem
from problems.prompt import Template
from problems.settings import DatasetSettings, SourceSettings
from problems.task import Stdio, prompts_hash
from rollout import heldout
from rollout.draw import LocalModel, fitting
from rollout.reward import distrust, open_reward
from rollout.rollout import RolloutWorker
from run import gpus, launch, run_folder
from run.run import Run
from sandbox import open_pool
from training import capacity, checkpoint
from training.batches import Batches
from training.checkpoint import Checkpoints, TrainerState
from training.memory import Machine, Plan, Shape
from training.methods import open_batches, teacher_languages
from training.optimizer import open_optimizer, set_learning_rate
from training.settings import TrainSettings
from training.update import Learner


def train(config: DictConfig, folder: Path, ranks: Ranks) -> float | None:
    """One run in `folder`, from its last checkpoint if it has one. Returns the last held-out pass@1."""
    settings = TrainSettings.read(config)
    taught = languages.of_run(settings.language, settings.language_mix)
    reward = open_reward(settings.reward)
    if ranks.first and (why := distrust(reward)):
        print(f"warning: {why}", file=sys.stderr)
    problems, held = ranks.first_then_others(lambda: read_problems(settings.dataset, folder, ranks.first))
    if settings.lora.rank or settings.loss.kl:
        ranks.first_alone(lambda: run_folder.same_model(folder, pretrained.fingerprint(settings.model)))

    resumed = run_folder.last_checkpoint(folder)
    policy = open_policy(settings, resumed, ranks)
    model = LocalModel(policy, open_sampler(policy, settings.rollout, settings.seed, ranks))
    shown = teacher_languages(settings, taught)
    every = {language.name: language for language in [*taught, *shown]}
    words = settings.prompt.read_template()
    problems, held = fit(problems, shown, model, settings, words), fit(held, taught, model, settings, words)
    asked = [*tasks(problems, shown, words), *tasks(held, taught, words)]
    ranks.first_alone(lambda: run_folder.same_prompts(folder, prompts_hash(asked)))
    learner = Learner(policy, open_optimizer(policy, settings.optimizer), settings.optimizer, ranks)
    state = checkpoint.restore(resumed, policy, learner.optimizer, problems) if resumed else TrainerState()

    sandbox = settings.sandbox.options() | {"workers": settings.sandbox.workers or ranks.cores()}
    with open_pool(load.pool_languages([*problems, *held], *every.values()), **sandbox) as pool:
        worker = RolloutWorker(model, pool, settings.extract, ranks, words)
        batches = open_batches(settings, worker, problems, shown, reward, state, folder, bool(resumed))
        begun = state.step if resumed else None
        saving = Checkpoints(folder / "checkpoints", learner, settings.checkpoint.keep)
        with saving, Run(folder, config, ranks, begun, batches.steps, batches.cost, pool.pending) as run:

            def evaluate(step: int) -> dict[str, Any]:
                with run.phase("held-out evaluation"):
                    quiet = settings.rollout.sampling(settings.heldout.temperature)
                    return run.heldout(
                        step, *heldout.evaluate(worker, held, taught, settings.heldout.samples, quiet, settings.seed)
                    )

            def save(step: int) -> None:
                with run.phase("checkpoint"):
                    now = TrainerState(step, run.score_of(step), batches.state(step))
                    saving.save(now)  # written while training goes on
                    run.draw_curve()
                    if step == batches.steps or run.interrupted():
                        saving.wait()

            training_loop(run, batches, learner, model, evaluate, save, state.step, settings)
            return run.score


def training_loop(
    run: Run,
    batches: Batches,
    learner: Learner,
    model: LocalModel,
    evaluate: Callable[[int], dict[str, Any]],
    save: Callable[[int], None],
    start: int,
    settings: TrainSettings,
) -> None:
    """The loop, from step `start`: take a batch, sleep, update, sync, log, evaluate, save."""
    ranks, policy, sampler = learner.ranks, model.policy, model.sampler
    done = saved = start  # updates
    if batches.about:
        run.say(batches.about)
    if not run.evaluated and (start in (0, batches.steps) or due(start, settings.heldout.every)):
        run.log({"step": start, **run.spent.row(), **evaluate(start)})  # on resume: the one that failed
    try:
        for step in range(start, batches.steps):
            if not run.interrupted():
                with run.phase("sampling"):
                    batch = batches.take(step)
            if run.interrupted():  # before the step, or while it sampled: it is taken again on resume
                save(step)
                saved = step
                raise run.farewell(step)

            with run.phase("update"):
                sampler.sleep()
                if step == start and ranks.trains:
                    learner.self_check(batch.rollouts, batches.objective.temperature)
                rate = set_learning_rate(learner.optimizer, settings.optimizer, step, batches.steps)
                figures = learner.update(batch.rollouts, batches.objective) if ranks.trains else {}
                done = step + 1
            with run.phase("sampling ahead"):  # where ranks that only sample are while the others update
                batches.prefetch(done)
            with run.phase("weight sync"):
                figures = ranks.broadcast(lambda: figures)  # noqa: B023 (called at once)
                sampler.sync()
            learner.count_skipped(figures)
            row = run.row(
                done,
                batch.stats,
                figures,
                policy,
                sampler.sleeping_bytes,
                **batches.summary(step, batch, figures),
                learning_rate=rate,
            )
            if batch.drawn:
                run.journal.rollouts(f"step_{done:06d}", batch.rollouts)
            scores = {}
            try:
                if done == batches.steps or due(done, settings.heldout.every):
                    scores = evaluate(done)
            finally:
                run.log(row | scores)
            if done == batches.steps or due(done, settings.checkpoint.every):
                save(done)
                saved = done
    except Exception as error:
        # The weights are valid: what went wrong costs no step. Of several ranks some may be gone: saving would hang.
        if ranks.world == 1 and done > saved and not learner.midway and not isinstance(error, CheckpointError):
            save(done)
        raise
    run.finish(settings.method)


def read_problems(dataset: DatasetSettings, folder: Path, first_rank: bool) -> tuple[list[Problem], list[Problem]]:
    """Training and held-out problems, those that the run began with. What a hub gave is kept in the run's folder, where
    the other ranks and a run that goes on read it. Raises DataError."""

    def read(split: str) -> list[Problem]:
        if isinstance(dataset, SourceSettings):
            return load.kept(folder / "data" / f"{dataset.name}-{split}.jsonl", lambda: load.load(dataset, split))
        return load.load(dataset, split, quiet=not first_rank)

    problems, held = read("train"), read("heldout")
    if first_rank:
        run_folder.same_data(folder, {"train": load.fingerprint(problems), "heldout": load.fingerprint(held)})
        for sentence in load.shared(problems, held, one_source=isinstance(dataset, SourceSettings)):
            print(f"warning: {sentence}", file=sys.stderr)
    return problems, held


def due(step: int, every: int) -> bool:
    return bool(every) and step % every == 0


def open_policy(settings: TrainSettings, resumed: Path | None, ranks: Ranks) -> Policy:
    """The model with the weights of the checkpoint `resumed`, else of `warm_start`, or its own; with shard=true, this
    rank's part of them, before the engine takes its share of what is free. On a rank that only samples, where the
    engine is sent the weights, none. Raises RunError."""
    if not ranks.trains and settings.rollout.engine == "vllm":
        return Policy.load(settings.model, weights=False)
    begin = resumed
    if begin is None and settings.warm_start is not None:
        begin = run_folder.find_checkpoint("warm_start", settings.warm_start, settings.model.name)
    policy = Policy.load(settings.model, begin, settings.lora)
    policy.check_length(settings.rollout.max_prompt_tokens + settings.rollout.max_new_tokens)
    if settings.loss.kl:
        policy.keep_reference()
    if settings.shard:
        policy.shard(ranks.training)
    return policy


def fit(
    problems: Sequence[Problem],
    taught: Sequence[Language],
    model: LocalModel,
    settings: TrainSettings,
    words: Template | None,
) -> list[Problem]:
    """The problems whose prompts fit in every language."""
    asked = tasks(problems, taught, words)
    return fitting(problems, asked, model, settings.rollout.max_prompt_tokens, settings.prompts_too_long)


def tasks(problems: Sequence[Problem], taught: Sequence[Language], words: Template | None) -> list[Stdio]:
    """The problems as they are asked, in each language."""
    return [Stdio(problems, language, template=words) for language in taught]


def main(config: DictConfig) -> None:
    gpus.check_driver()
    if said := choose(config):
        print(said)
    settings, machine = TrainSettings.read(config), Machine.here()
    model = pretrained.outlined(pretrained.folder(settings.model))
    if settings.rollout.gpu_memory_utilization is None:
        config.rollout.gpu_memory_utilization = capacity.share(Shape.of(model), Plan.of(settings), machine)
        print(f"rollout.gpu_memory_utilization: {config.rollout.gpu_memory_utilization}")
        settings = TrainSettings.read(config)
    if config.fit:
        print(capacity.page(capacity.check(model, settings, machine), machine))
        return
    check = capacity.check if machine.gpu else capacity.check_host
    check(model, settings, machine)
    launch.start(train, config)


if __name__ == "__main__":
    script.main(main, "train", before=languages.register, interrupted="stopped before anything was written")
