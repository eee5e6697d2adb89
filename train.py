"""Teaches a language model to program in one language: GRPO, rewarded by what the programs print.

    python train.py                                        a tiny model learns Lua on a CPU, in minutes
    python train.py language=ocaml model=qwen3_4b dataset=ladder experiment=paper
    python train.py -m language=lua,python seed=1,2        a sweep, see study/sweep.py
    python train.py language_mix=[lua,python]              several languages at once
    python train.py experiment=rejection_sampling          the paper's baselines; the other is distillation

Per step: sample a group of completions for each of a few problems; run every program in a jail as soon as it is
complete; reward what passed; subtract the group's mean; update; now and then measure pass@1 on held-out problems.
The baselines (`method=`) are the same loop with another batch: verified answers, collected before the first step.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, cast

import hydra
import torch
from omegaconf import DictConfig, OmegaConf

import languages
from base import checks, kinds
from base.errors import ConfigError, RunError, UpdateError, UserError
from base.seeds import derive_seed
from policy.model import Policy
from policy.model import folder as weights
from policy.ranks import Ranks, launch
from policy.samplers import open_sampler
from policy.samplers.generate import TransformersSampler
from policy.samplers.sampler import Sampling
from problems import load
from rollout import stored
from rollout.curriculum import Curriculum
from rollout.heldout import by_language, evaluate, pass_at_1, verdict_shares
from rollout.reward import Reward
from rollout.rollout import Phases, Rollout, roll_out
from run import cost, run_folder, sweeps, throughput
from run.cost import Cost
from run.journal import Journal, learning_curve
from run.progress import RunProgress
from run.watchdog import Watchdog
from sandbox import EXECUTORS, open_pool
from training import checkpoint, supervised
from training.loss import ADVANTAGES, LossConfig, group_advantages
from training.supervised import Lessons
from training.update import SCHEDULES, learning_rate, update


def train(config: DictConfig, folder: Path, ranks: Ranks) -> float | None:
    """One run, in `folder`; continues from its last checkpoint if it has one. Returns the last held-out pass@1."""
    mix = languages.of_run(config)
    problems, heldout = load.load(config.dataset, "train"), load.load(config.dataset, "heldout")
    rewards = Reward.from_config(config.reward)
    checks.one_of("method", config.method, supervised.METHODS)
    checks.one_of("overlong", config.overlong, ("keep", "mask"))
    checks.one_of("advantage", config.advantage, ADVANTAGES)
    checks.one_of("optimizer.schedule", config.optimizer.schedule, SCHEDULES)
    checks.one_of("sandbox.executor", config.sandbox.executor, EXECUTORS)
    taught = config.method != "grpo"  # supervised, on answers that are collected once
    if taught:
        supervised.check(config, mix)
    loss_config = supervised.LOSS if taught else LossConfig(**config.loss)
    lengths = {key: config.rollout[key] for key in ("max_new_tokens", "max_prompt_tokens")}
    sampling = Sampling(config.rollout.temperature, top_p=config.rollout.top_p, **lengths)
    quiet = Sampling(config.heldout.temperature, **lengths)

    sandbox = {**config.sandbox, "workers": config.sandbox.workers or ranks.cores()}

    resumed = run_folder.last_checkpoint(folder)
    policy = Policy.load(config.model, resumed, config.lora)
    policy.check_length(sampling.max_prompt_tokens + sampling.max_new_tokens)
    if loss_config.kl:
        policy.keep_reference()
    sampler = (
        open_sampler(policy, config.rollout, config.seed, ranks) if ranks.samples else TransformersSampler(policy, 1)
    )
    if config.shard:
        policy.shard()
    optimizer = adamw(policy, config.optimizer)
    first = checkpoint.restore(resumed, policy, optimizer) if resumed else 0
    journal = Journal(folder, config, writes=ranks.first)
    journal.rewind(first if resumed else -1)
    score = ranks.agree(lambda: journal.last("heldout/pass@1"))  # after the first rank has rewound the file
    spent = Cost.of_row((journal.rows() or [{}])[-1])
    lessons: Lessons | None = None
    scored, max_gap = sampling, config.rollout.max_sampler_gap
    if taught:
        lessons = supervised.prepare(config, folder, policy, sampler, problems, mix, sandbox, ranks, bool(resumed))
        scored, max_gap = replace(sampling, temperature=1.0), math.inf  # nothing is sampled that could differ
        spent = spent if resumed else replace(lessons.cost)
    steps = config.steps or (lessons.steps if lessons else load.steps_per_epoch(problems, config.prompts))
    measured = checkpoint.progress(resumed)[1] if resumed else None
    curriculum = Curriculum(config.curriculum, problems, steps, measured)
    skipped = 0  # updates, one after the other

    def save(step: int, ahead: Sequence[Rollout] = ()) -> None:
        where, keep = folder / "checkpoints", config.checkpoint.keep
        row = (journal.rows() or [{}])[-1]
        its_own = row.get("heldout/pass@1") if row.get("step") == step else None  # an older score is not this one's
        checkpoint.save(where, step, policy, optimizer, its_own, keep, ranks, ahead, curriculum.state)
        if ranks.first:
            learning_curve(journal.rows(), folder / "learning_curve.png", folder.name)

    def saves(step: int) -> bool:
        return step == steps or due(step, config.checkpoint.every)

    def measure(step: int) -> dict[str, float]:
        nonlocal score
        watchdog.phase("held-out evaluation")
        rollouts, scores = evaluate(
            policy, sampler, pool, heldout, mix, config.heldout.samples, quiet, config.seed, config.extract, ranks
        )
        score = scores["heldout/pass@1"]
        journal.rollouts(f"heldout_step_{step:06d}", rollouts)
        progress.evaluated(step, score, rollouts)
        return scores

    def sample(step: int) -> tuple[list[Rollout], Phases]:
        """The batch of `step`, with rewards. Groups without signal are replaced, in up to `resample` more rounds."""
        if lessons:
            return lessons.batch(step), Phases()
        asked = curriculum.batch(step, config.prompts, config.seed)
        rollouts: list[Rollout] = []
        phases = Phases()
        for attempt in range(1 + config.resample):
            seed = derive_seed(config.seed, "train", step, *([attempt] if attempt else []))
            spoken = load.spoken(mix, step, len(asked))
            drawn, took = roll_out(
                policy, sampler, pool, asked, spoken, config.group, sampling, seed, config.extract, ranks,
                all_tests=rewards.all_tests,
            )  # fmt: skip
            assign_rewards(drawn, rewards, config)
            phases += took
            rollouts = keep_informative(rollouts, drawn, config.prompts, config.group)
            flat = flat_groups(rollouts, config.group)
            if not flat or (ranks.any(interruption.asked) and not config.samplers):
                break
            asked = curriculum.batch(step, flat, derive_seed(config.seed, "resample", step, attempt))
        assign_rewards(rollouts, rewards, config)
        return rollouts, phases

    with (
        open_pool(load.pool_languages([*problems, *heldout], *mix), **sandbox) as pool,
        RunProgress(steps, first, shows=ranks.first) as progress,
        Watchdog(config.stall_s, pool.pending) as watchdog,
        Interruption(patient=ranks.world > 1) as interruption,
    ):
        progress.say(f"{f'resuming after step {first}' if resumed else 'training'} in {folder}")
        if lessons:
            progress.say(str(lessons))
        if score is None:
            journal.log({"step": 0, **spent.row(), **measure(0)})

        ahead: tuple[list[Rollout], Phases] | None = None  # the next batch, where it was sampled during this update
        if resumed and (resumed / run_folder.BATCH).exists():
            kept = stored.read(resumed / run_folder.BATCH, problems)
            tokens, passed = sum(len(r.completion.tokens) for r in kept), sum(r.verdict.passed for r in kept)
            ahead = kept, Phases(tokens=tokens, programs=len(kept), passed=passed)
        for step in range(first, steps):  # `step` updates are done
            started = time.perf_counter()
            watchdog.phase("sampling")
            stops = not ahead and ranks.any(interruption.asked)  # during the update
            rollouts, phases = ([], Phases()) if stops else ahead or sample(step)
            if stops or ranks.any(interruption.asked):
                # What was sampled is sampled again on resume, or kept where older weights have sampled it.
                save(step, rollouts if config.samplers else ())
                raise RunError(interruption.farewell(step, folder))
            curriculum.observe((r.problem.id, r.verdict.passed) for r in rollouts if r.reward is not None)

            watchdog.phase("update")
            rate = learning_rate(config.optimizer, step, steps)
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate
            update_started = time.perf_counter()
            sampler.sleep()
            figures = {}
            if ranks.trains:
                figures = update(
                    policy,
                    optimizer,
                    rollouts,
                    loss_config,
                    scored,
                    config.optimizer,
                    1 if taught else config.epochs_per_batch,
                    max_gap,
                    ranks,
                )
            updated = time.perf_counter()
            # Ranks that only sample are here while the others update. Not before a checkpoint: a run that goes on from
            # it has no older weights to sample with.
            overlaps = config.samplers and not saves(step + 1)
            ahead = sample(step + 1) if overlaps else None
            synced = time.perf_counter()
            watchdog.phase("weight sync")
            figures = ranks.agree(lambda: figures)  # noqa: B023 (called at once)
            ranks.hand_over(policy.trainable())
            sampler.sync()
            ended = time.perf_counter()

            skipped = skipped + 1 if figures["skipped_updates"] else 0
            if skipped >= config.optimizer.max_skipped:
                save(step)
                raise UpdateError(
                    f"{skipped} updates one after the other had a gradient that is not finite; the last good weights "
                    f"are in {folder}; try a lower optimizer.learning_rate or model.compute_dtype=float32"
                )
            done = step + 1
            spent.add(phases.programs, phases.tokens, phases.passed, figures["trained_tokens"])
            row = {
                "step": done,
                **(lessons.summary(step, figures) if lessons else summary(rollouts, config.group) | figures),
                **spent.row(),
                "learning_rate": rate,
                "seconds/sample": phases.sample,
                "seconds/wait": phases.wait,
                "seconds/update": updated - update_started,
                "seconds/sync": ended - synced,
                "seconds/step": ended - started,
                "wait_share": phases.wait / (ended - started),
                "sampled_tokens": phases.tokens,
                "tokens/s": phases.tokens / (ended - started),
                "programs/s": phases.programs / (ended - started),
                **throughput.utilisation(policy, figures["passed_tokens"], updated - update_started, ranks),
                "memory_gib": throughput.peak_memory_gib(),
            }
            if not taught:
                journal.rollouts(f"step_{done:06d}", rollouts)
            if done == steps or due(done, config.heldout.every):
                row |= measure(done)
            journal.log(row)
            progress.step(row)
            if saves(done):
                watchdog.phase("checkpoint")
                save(done)
        progress.say(f"done: {folder}/checkpoints/step_{steps:06d} is a model that from_pretrained loads")
        if ranks.first:
            run_folder.finish(folder, cost.summary(journal.rows(), config.method))
    journal.close()
    return score


def due(step: int, every: int) -> bool:
    return bool(every) and step % every == 0


def assign_rewards(rollouts: Sequence[Rollout], rewards: Reward, config: DictConfig) -> None:
    """Fills in each rollout's reward and advantage. Infrastructure errors get neither, and count in no mean."""
    for group in groups_of(rollouts, config.group):
        verdicts = [rollout.verdict for rollout in group]
        for rollout, earned in zip(group, rewards.of_group(verdicts, len(group[0].problem.tests)), strict=True):
            rollout.reward = earned
    values = torch.tensor([rollout.reward or 0.0 for rollout in rollouts])  # [prompts * group]
    valid = torch.tensor([rollout.reward is not None for rollout in rollouts])  # [prompts * group]
    shape = (-1, config.group)
    advantages = group_advantages(values.view(shape), valid.view(shape), config.advantage)  # [prompts, group]
    for rollout, advantage in zip(rollouts, advantages.flatten().tolist(), strict=True):
        rollout.advantage = advantage
        rollout.masked = config.overlong == "mask" and not rollout.completion.finished


def groups_of(rollouts: Sequence[Rollout], size: int) -> list[list[Rollout]]:
    return [list(rollouts[start : start + size]) for start in range(0, len(rollouts), size)]


def is_flat(group: Sequence[Rollout]) -> bool:
    """Whether all known rewards are equal: such a group has no advantage and trains nothing."""
    return len({rollout.reward for rollout in group if rollout.reward is not None}) < 2


def flat_groups(rollouts: Sequence[Rollout], size: int) -> int:
    return sum(map(is_flat, groups_of(rollouts, size)))


def keep_informative(old: Sequence[Rollout], new: Sequence[Rollout], prompts: int, size: int) -> list[Rollout]:
    """At most `prompts` groups of both, in their order, those that have a signal before others (DAPO's sampling)."""
    groups = groups_of([*old, *new], size)
    kept = sorted(range(len(groups)), key=lambda number: (is_flat(groups[number]), number))[:prompts]
    return [rollout for number in sorted(kept) for rollout in groups[number]]


def summary(rollouts: Sequence[Rollout], group: int) -> dict[str, Any]:
    """What a batch of rollouts looks like: reward, verdicts, lengths. `docs/reference/metrics.md` defines each."""
    known = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    lengths = [len(rollout.completion.tokens) for rollout in rollouts]
    return {
        "reward": sum(known) / len(known) if known else None,
        "pass@1": pass_at_1(rollouts),
        **by_language(rollouts, "pass@1/"),
        "zero_variance_groups": flat_groups(rollouts, group) / (len(rollouts) // group),
        "completion_tokens": sum(lengths) / len(lengths),
        "unfinished": sum(not rollout.completion.finished for rollout in rollouts) / len(rollouts),
        **verdict_shares(rollouts, "verdict/"),
    }


def adamw(policy: Policy, config: DictConfig) -> torch.optim.Optimizer:
    """AdamW with decay on matrices only, not on biases and norms. The rate is set before every step."""
    parameters = policy.trainable()
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = tuple(config.betas)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, eps=config.eps, fused=True)


class Interruption:
    """SIGINT and SIGTERM ask the run to save and stop at the next safe place; a second one stops it at once.

    `patient`: only asks, however often. Among several ranks the launcher repeats what the terminal has sent.
    """

    def __init__(self, patient: bool) -> None:
        self.patient = patient

    def __enter__(self) -> Interruption:
        self.asked = 0
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        if self.patient:
            return
        if self.asked > 1:
            raise KeyboardInterrupt
        # A step may take minutes. Not through the console, whose lock may be held here.
        os.write(2, b"\ninterrupted: saving after what is being done now; once more stops at once\n")

    def farewell(self, step: int, folder: Path) -> str:
        """What the user reads, and can type."""
        return f"interrupted: saved after step {step}; the same command with run_dir={folder} resume=auto goes on"


def check_ranks(config: DictConfig) -> None:
    if (count := torch.cuda.device_count()) and config.gpus > count:
        raise ConfigError(f"gpus is {config.gpus}; this machine has {count}")
    if config.shard and (config.gpus == 1 or config.rollout.engine == "transformers"):
        raise ConfigError("shard=true needs gpus= above 1 and rollout=vllm: transformers' generate wants all weights")
    if config.samplers >= config.gpus:
        raise ConfigError(f"samplers is {config.samplers}; of gpus={config.gpus} at least one must train")
    if config.samplers and (config.shard or config.rollout.engine == "vllm"):
        raise ConfigError(  # vLLM's engine wants every rank in its groups, and sleeps while others update
            "samplers= goes with rollout=transformers and with whole weights on every rank (shard=false)"
        )


def stopped_at_once(folder: str) -> str:
    return f"error: stopped at once; with run_dir={folder} resume=auto it goes on from its last checkpoint, if any"


def run(text: str, folder: str) -> None:
    """One rank of a run, from its resolved config as YAML."""
    config = cast(DictConfig, OmegaConf.create(text))
    ranks = Ranks.join(config.samplers)
    try:
        train(config, Path(folder), ranks)
    except UserError as error:
        sys.exit(f"error: {error}" if ranks.first else f"error on rank {ranks.rank}: {error}")
    except KeyboardInterrupt:  # before the first step, or the second one
        sys.exit(stopped_at_once(folder))
    finally:
        ranks.leave()


languages.register()


@hydra.main(version_base="1.3", config_path=str(Path(__file__).parent / "conf"), config_name="train")
def main(config: DictConfig) -> None:
    with sweeps.job(config.gpus) as swept:
        folder = config.run_dir
        try:
            OmegaConf.resolve(config)
            kinds.check(config)
            check_ranks(config)
            weights(config.model)  # where they must be built first, one process does it: transformers saves on rank 0
            started = Ranks.started()  # by torchrun
            folder = Ranks.join().agree(lambda: str(run_folder.create(config)))
            if run_folder.finished(Path(folder)):
                print(f"finished already: {folder}")
            # The jobs of a sweep follow each other in one process, where CUDA's state would leak from one to the next.
            elif started or (config.gpus == 1 and not (swept and torch.cuda.device_count())):
                run(OmegaConf.to_yaml(config), folder)
            else:
                launch(config.gpus, run, OmegaConf.to_yaml(config), folder)
        except UserError as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:  # on the way to the first rank, or from it
            sys.exit(stopped_at_once(folder) if folder else "error: stopped before anything was written")


if __name__ == "__main__":
    main()
