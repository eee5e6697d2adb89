"""The sides of benchmarks/trainer.py: the optimizer step of this project and of TRL, and the memory that each takes."""

from __future__ import annotations

import gc
import os
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

import languages
from policy.model import Policy
from policy.samplers.generate import TransformersSampler
from policy.samplers.sampler import Completion, Sampling
from policy.settings import ModelSettings
from problems import load
from rollout.advantage import group_advantages
from rollout.rollout import Rollout
from sandbox.job import Status, Verdict
from training.loss import LossConfig, policy_loss
from training.optimizer import OptimizerSettings, open_optimizer
from training.update import Learner, Objective

ROOT = Path(__file__).parents[1]
# name -> config group `model`, and the vocabulary when it is not the model's own (then the weights are random)
MODELS = {
    "tiny": ("tiny", None),
    "smollm2_135m": ("smollm2_135m", None),
    "smollm2_152k": ("smollm2_135m", 151_936),  # the vocabulary of Qwen3
    "qwen3_4b": ("qwen3_4b", None),
}
SIDES = ("ours", "trl", "trl_fast", "trl_lean")
TEMPERATURE = 0.7
LEARNING_RATE = 1e-5
GRAD_CLIP = 1.0
NEVER = 10**6  # the id of no token: a completion that waits for it is cut at its length


@dataclass
class Figures:
    """What a side did in one round."""

    seconds: list[float]  # of each optimizer step after the first
    cpu_seconds: list[float]  # the same in CPU time of all threads, which others on the machine disturb less
    weights_gib: float  # resident with weights loaded and trainer made
    memory_gib: float  # peak above that
    grad_norm: float  # of the first step, before clipping: equal where the same was computed
    sampled_per_second: float | None  # tokens, of sampling with transformers; None: not asked for


@dataclass
class Task:
    """One measurement: what a child process is told."""

    side: str
    model: str
    path: str  # folder of weights and tokenizer
    tokens: int
    prompts: int
    group: int
    steps: int
    sampling: bool


def model_config(task: Task) -> ModelSettings:
    config = OmegaConf.load(ROOT / "conf" / "model" / f"{MODELS[task.model][0]}.yaml")
    own = {"path": task.path, "compute_dtype": "bfloat16", "gradient_checkpointing": True}
    return ModelSettings.read(OmegaConf.merge(config, own))


def texts(policy: Policy, count: int) -> list[list[int]]:
    """Token ids of the first prompts of `dataset=ladder`."""
    ladder = load.dataset(OmegaConf.load(ROOT / "conf" / "dataset" / "ladder.yaml"))
    lua = languages.load("lua")
    return [policy.encode(policy.chat(problem, lua)) for problem in load.load(ladder, "train")[:count]]


def drawn(task: Task, vocabulary: int) -> tuple[list[list[int]], list[float]]:
    """Completions [prompts * group][tokens] and their rewards, the same for every side."""
    generator = random.Random(0)
    rows = task.prompts * task.group
    completions = [[generator.randrange(10, vocabulary) for _ in range(task.tokens)] for _ in range(rows)]
    return completions, [float(row % 3 == 0) for row in range(rows)]


def vocabulary(policy: Policy) -> int:
    return int(policy.model.config.vocab_size)


# --- memory ------------------------------------------------------------------------------------------------------


def resident_gib(peak: bool = False) -> float:
    """Memory in use, or its peak since `forget_peak`: the GPU's where there is one, else of this process."""
    if torch.cuda.is_available():
        return (torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()) / 2**30
    key = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 2**20  # given in KiB


def forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    Path("/proc/self/clear_refs").write_text("5")


def materialise(model: torch.nn.Module) -> None:
    """Copies weights out of the mapped file, so that they are resident before anything is measured."""
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    gc.collect()


# --- the sides ---------------------------------------------------------------------------------------------------


def ours(task: Task) -> Figures:
    policy = Policy.load(model_config(task))
    materialise(policy.model)
    settings = OmegaConf.load(ROOT / "conf" / "optimizer" / "adamw.yaml")
    changes = {"learning_rate": LEARNING_RATE, "grad_clip": GRAD_CLIP}
    config = OptimizerSettings.read(OmegaConf.merge(settings, changes))
    learner = Learner(policy, open_optimizer(policy, config), config)
    sampling = Sampling(TEMPERATURE, task.tokens)
    prompts = texts(policy, task.prompts)
    completions, rewards = drawn(task, vocabulary(policy))
    advantages = group_advantages(*_known(torch.tensor(rewards).view(task.prompts, task.group))).flatten().tolist()
    problem: Any = None  # an update looks at tokens and advantages only
    rollouts = [
        Rollout(
            problem,
            "",
            prompts[row // task.group],
            Completion(row // task.group, tokens, [0.0] * task.tokens, "", True),
            None,
            Verdict(str(row), Status.PASSED),
            rewards[row],
            advantages[row],
        )
        for row, tokens in enumerate(completions)
    ]
    objective = Objective(policy_loss, LossConfig(correction="none"), TEMPERATURE, task.tokens)
    weights = resident_gib()
    forget_peak()
    clocks, norms = [], []
    for _ in range(1 + task.steps):
        started = _clock()
        figures = learner.update(rollouts, objective)
        clocks.append(_clock() - started)
        norms.append(figures["grad_norm"])
    peak = resident_gib(peak=True)
    rate = None
    if task.sampling:
        policy.model.generation_config.eos_token_id = NEVER
        began = time.perf_counter()
        sampler = TransformersSampler(policy, len(rollouts))
        count: list[int] = []
        sampler.sample(prompts, task.group, sampling, 0, lambda _, completion: count.append(len(completion.tokens)))
        rate = sum(count) / (time.perf_counter() - began)
    wall, cpu = _columns(clocks[1:])
    return Figures(wall, cpu, weights, peak - weights, norms[0], rate)


def trl(task: Task) -> Figures:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    model: Any = AutoModelForCausalLM.from_pretrained(task.path, dtype=torch.float32)
    if torch.cuda.is_available():
        model = model.cuda()
    materialise(model)
    tokenizer = AutoTokenizer.from_pretrained(task.path)
    reader = Policy(model, tokenizer, model_config(task), task.path)
    prompts = texts(reader, task.prompts)
    completions, rewards = drawn(task, vocabulary(reader))
    clocks: list[np.ndarray] = []
    apart = np.zeros(2)  # of this step: sampling and rewards

    class Clocked(GRPOTrainer):
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            nonlocal apart
            started = _clock()
            result = super()._generate_and_score_completions(inputs)
            apart = apart + _clock() - started
            return result

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            nonlocal apart
            apart, self.started = np.zeros(2), _clock()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clocks.append(_clock() - self.started - apart)

    def rollout(asked: list[str], _: Any) -> dict[str, Any]:
        """TRL's hook for custom sampling: `asked` has every prompt `group` times, in no order of ours."""
        seen = dict.fromkeys(asked, 0)
        rows = []
        for name in asked:
            rows.append(int(name) * task.group + seen[name])
            seen[name] += 1
        return {
            "prompt_ids": [prompts[row // task.group] for row in rows],
            "completion_ids": [completions[row] for row in rows],
            "logprobs": None,
            "row": rows,
        }

    def reward(row: list[int], **_: Any) -> list[float | None]:
        return [rewards[number] for number in row]

    rows = task.prompts * task.group
    micro = 1 if task.side == "trl_lean" else min(8, rows)
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        max_steps=1 + task.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=rows // micro,
        num_generations=task.group,
        max_completion_length=task.tokens,
        gradient_checkpointing=task.side != "trl_fast",
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        loss_type="grpo",
        beta=0.0,
        temperature=TEMPERATURE,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=GRAD_CLIP,
        generation_kwargs={"min_new_tokens": task.tokens},
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        report_to=[],
    )
    names = Dataset.from_list([{"prompt": str(number)} for number in range(task.prompts)])
    trainer = Clocked(model, reward, config, names, None, tokenizer, callbacks=[Clock()], rollout_func=rollout)
    trainer.remove_callback(PrinterCallback)
    weights = resident_gib()
    forget_peak()
    trainer.train()
    peak = resident_gib(peak=True)
    rate = None
    if task.sampling:
        repeated = [prompt for prompt in prompts for _ in range(task.group)]
        started = time.perf_counter()
        sampled, _ = trainer._generate_single_turn(repeated, None, {}, task.group)
        rate = sum(map(len, sampled)) / (time.perf_counter() - started)
    norm = float(trainer.state.log_history[0]["grad_norm"])
    wall, cpu = _columns(clocks[1:])
    return Figures(wall, cpu, weights, peak - weights, norm, rate)


def _known(rewards: Tensor) -> tuple[Tensor, Tensor]:
    return rewards, torch.ones_like(rewards, dtype=torch.bool)


def _clock() -> np.ndarray:
    """Wall clock and CPU time, seconds."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def _columns(clocks: list[np.ndarray]) -> list[list[float]]:
    return np.array(clocks).T.tolist()
