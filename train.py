"""Teaches a language model to program in one language: GRPO, rewarded by what the programs print.

    python train.py                                        a tiny model learns Lua on a CPU, in minutes
    python train.py language=ocaml model=qwen3_4b dataset=ladder experiment=paper
    python train.py -m language=lua,python seed=1,2
    python train.py language_mix=[lua,python]              several languages at once

Per step: sample a group of completions for each of a few problems; run every program in a jail as soon as it is
complete; reward what passed; subtract the group's mean; update; now and then measure pass@1 on held-out problems.
"""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf

import languages
from policy import checkpoint, choice, reward, run_folder
from policy.errors import ERRORS
from policy.journal import Journal, learning_curve
from policy.loss import LossConfig, group_advantages
from policy.model import Policy
from policy.progress import RunProgress
from policy.rollout import Rollout, derive_seed, roll_out
from policy.run_folder import RunError
from policy.sampler import Sampling, open_sampler
from policy.score import by_language, evaluate, pass_at_1, verdict_shares
from policy.update import SCHEDULES, learning_rate, update
from problems import load
from sandbox.pool import open_pool


def train(config: DictConfig, folder: Path) -> float | None:
    """One run, in `folder`; continues from its last checkpoint if it has one. Returns the last held-out pass@1."""
    mix = languages.of_run(config)
    problems, heldout = load.load(config.dataset, "train"), load.load(config.dataset, "heldout")
    steps = config.steps or load.steps_per_epoch(problems, config.prompts)
    rewards = reward.check(config.reward)
    choice.check("overlong", config.overlong, ("keep", "mask"))
    choice.check("optimizer.schedule", config.optimizer.schedule, SCHEDULES)
    loss_config = LossConfig(**config.loss)
    lengths = {key: config.rollout[key] for key in ("max_new_tokens", "max_prompt_tokens")}
    sampling = Sampling(config.rollout.temperature, top_p=config.rollout.top_p, **lengths)
    quiet = Sampling(config.heldout.temperature, **lengths)

    resumed = run_folder.last_checkpoint(folder)
    policy = Policy.load(config.model, resumed)
    optimizer = adamw(policy, config.optimizer)
    first = checkpoint.restore(resumed, policy, optimizer) if resumed else 0
    sampler = open_sampler(policy, config.rollout, config.seed)
    journal = Journal(folder, config)
    journal.rewind(first)
    score = journal.last("heldout/pass@1")

    def save(step: int) -> None:
        checkpoint.save(folder / "checkpoints", step, policy, optimizer, score, config.checkpoint.keep)
        learning_curve(journal.rows(), folder / "learning_curve.png", folder.name)

    def measure(step: int) -> dict[str, float]:
        nonlocal score
        rollouts, scores = evaluate(
            policy, sampler, pool, heldout, mix, config.heldout.samples, quiet, config.seed, config.extract
        )
        score = scores["heldout/pass@1"]
        journal.rollouts(f"heldout_step_{step:06d}", rollouts)
        progress.evaluated(step, score, rollouts)
        return scores

    with (
        open_pool(mix, **config.sandbox) as pool,
        RunProgress(steps, first) as progress,
        Interruption() as interruption,
    ):
        progress.say(f"{f'resuming after step {first}' if resumed else 'training'} in {folder}")
        if first == 0:
            journal.log({"step": 0, **measure(0)})

        for step in range(first, steps):  # `step` updates are done
            started = time.perf_counter()
            batch = load.batch(problems, step, config.prompts, config.seed)
            spoken = load.spoken(mix, step, config.prompts)
            seed = derive_seed(config.seed, "train", step)
            rollouts, phases = roll_out(
                policy, sampler, pool, batch, spoken, config.group, sampling, seed, config.extract
            )
            if interruption.asked:  # what was sampled is sampled again on resume
                save(step)
                raise RunError(interruption.farewell(step, folder))
            assign_rewards(rollouts, rewards, config)

            rate = learning_rate(config.optimizer, step, steps)
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate
            update_started = time.perf_counter()
            sampler.sleep()
            figures = update(
                policy,
                optimizer,
                rollouts,
                loss_config,
                sampling,
                config.optimizer,
                config.epochs_per_batch,
                config.rollout.max_sampler_gap,
            )
            updated = time.perf_counter()
            sampler.sync()
            ended = time.perf_counter()

            done = step + 1
            row = {
                "step": done,
                **summary(rollouts, config.group),
                **figures,
                "learning_rate": rate,
                "seconds/sample": phases.sample,
                "seconds/wait": phases.wait,
                "seconds/update": updated - update_started,
                "seconds/sync": ended - updated,
                "seconds/step": ended - started,
                "tokens/s": phases.tokens / (ended - started),
                "programs/s": len(rollouts) / (ended - started),
                "memory_gib": peak_memory_gib(),
            }
            journal.rollouts(f"step_{done:06d}", rollouts)
            if done == steps or due(done, config.heldout.every):
                row |= measure(done)
            journal.log(row)
            progress.step(row)
            if done == steps or due(done, config.checkpoint.every):
                save(done)
        progress.say(f"done: {folder}/checkpoints/step_{steps:06d} is a model that from_pretrained loads")
    journal.close()
    return score


def due(step: int, every: int) -> bool:
    return bool(every) and step % every == 0


def assign_rewards(rollouts: Sequence[Rollout], rewards: dict[str, float], config: DictConfig) -> None:
    """Fills in each rollout's reward and advantage. Infrastructure errors get neither, and count in no mean."""
    for rollout in rollouts:
        rollout.reward = reward.of(rollout.verdict, rewards)
    values = torch.tensor([rollout.reward or 0.0 for rollout in rollouts])  # [prompts * group]
    valid = torch.tensor([rollout.reward is not None for rollout in rollouts])  # [prompts * group]
    shape = (-1, config.group)
    advantages = group_advantages(values.view(shape), valid.view(shape), config.advantage)  # [prompts, group]
    for rollout, advantage in zip(rollouts, advantages.flatten().tolist(), strict=True):
        cut = config.overlong == "mask" and not rollout.completion.finished
        rollout.advantage = 0.0 if cut else advantage


def summary(rollouts: Sequence[Rollout], group: int) -> dict[str, Any]:
    """What a batch of rollouts looks like: reward, verdicts, lengths. `docs/metrics.md` defines each."""
    known = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    groups = [rollouts[start : start + group] for start in range(0, len(rollouts), group)]
    flat = sum(len({r.reward for r in members if r.reward is not None}) < 2 for members in groups)
    lengths = [len(rollout.completion.tokens) for rollout in rollouts]
    return {
        "reward": sum(known) / len(known) if known else None,
        "pass@1": pass_at_1(rollouts),
        **by_language(rollouts, "pass@1/"),
        "zero_variance_groups": flat / len(groups),
        "completion_tokens": sum(lengths) / len(lengths),
        "unfinished": sum(not rollout.completion.finished for rollout in rollouts) / len(rollouts),
        **verdict_shares(rollouts, "verdict/"),
    }


def adamw(policy: Policy, config: DictConfig) -> torch.optim.Optimizer:
    """AdamW with decay on matrices only, not on biases and norms. The rate is set before every step."""
    parameters = [p for p in policy.model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=tuple(config.betas), eps=config.eps)


def peak_memory_gib() -> float:
    """Peak memory of this process in GiB: the GPU's if there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # given in KiB


class Interruption:
    """SIGINT and SIGTERM ask the run to save and stop at the next safe place; a second one stops it at once."""

    def __enter__(self) -> Interruption:
        self.asked = 0
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        if self.asked > 1:
            raise KeyboardInterrupt

    def farewell(self, step: int, folder: Path) -> str:
        """What the user reads, and can type."""
        return f"interrupted: saved after step {step}; the same command with run_dir={folder} resume=auto goes on"


languages.register()


@hydra.main(version_base="1.3", config_path=str(Path(__file__).parent / "conf"), config_name="train")
def main(config: DictConfig) -> None:
    try:
        OmegaConf.resolve(config)
        train(config, run_folder.create(config))
    except ERRORS as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
