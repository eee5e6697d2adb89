"""The parts of benchmarks/gpu_check.py: each measures one path of this project, and emits what it found."""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

import languages
import train
from benchmarks.gap import sampler_gap
from benchmarks.gpu import random_model
from policy import logprob, pretrained, varlen
from policy.attention import Pack, _shared_prompt
from policy.lora import LoraSettings
from policy.model import Policy
from policy.ranks import Ranks
from policy.samplers.sampler import Completion, Sampling
from policy.settings import ModelSettings, RolloutSettings
from problems.problem import Problem
from rollout.rollout import Rollout
from run import launch, throughput
from sandbox.job import Status, Test, Verdict
from training import checkpoint, memory
from training.loss import LossConfig, policy_loss
from training.optimizer import OptimizerSettings, open_optimizer
from training.settings import TrainSettings
from training.update import Learner, Objective

ROOT = Path(__file__).parents[2]
PHASES = ("seconds/sample", "seconds/wait", "seconds/update", "seconds/sync", "seconds/step")
SHOWN = (*PHASES, "tokens/s", "tflops", "mfu", "memory_gib", "imbalance", "sampler_gap")
CPU = os.environ.get("GPU_CHECK_CPU") == "1"
SIZE = "toy" if CPU else "qwen3_4b"
WORK = Path(os.environ.get("GPU_CHECK_WORK", "."))
DEVICE = "cpu" if CPU else "cuda"
STEPS = 2 if CPU else 3  # of a run, the first of which warms up


# --- what the parts use


def emit(**values: Any) -> None:
    """Adds to the part's result; what was said before a failure stays."""
    with open(os.environ["GPU_CHECK_RESULT"], "a") as file:
        file.write(json.dumps(values) + "\n")


def seconds(call: Callable[[], Any], times: int = 1) -> float:
    """Of one call, the best of `times`, all of the GPU's work done."""
    best = float("inf")
    for _ in range(times):
        sync()
        began = time.perf_counter()
        call()
        sync()
        best = min(best, time.perf_counter() - began)
    return best


def sync() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def model_folder() -> Path:
    folder = WORK / SIZE
    if not (folder / "config.json").exists():
        random_model.save(SIZE, folder)
        gc.collect()
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
    return folder


def load(rank: int = 0) -> Policy:
    config = ModelSettings(
        name=SIZE, build=None, path=str(model_folder()), learning_rate=None, temperature=1.0, max_new_tokens=1024,
        system=None, chat_template_kwargs={}, compute_dtype="float32" if CPU else "bfloat16",
        gradient_checkpointing=True,
    )  # fmt: skip
    return Policy.load(config, adapters=LoraSettings(rank=rank, alpha=32, targets="all-linear"))


def learner(policy: Policy, budget: int, ranks: Ranks | None = None) -> Learner:
    options = OptimizerSettings(
        learning_rate=5e-6, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0, schedule="constant", warmup=0.0,
        grad_clip=0.1, token_budget=budget, max_skipped=5,
    )  # fmt: skip
    return Learner(policy, open_optimizer(policy, options), options, *([ranks] if ranks else []))


def rollouts(prompts: int, group: int, prompt: int, length: int) -> list[Rollout]:
    draw = random.Random(0)
    problem, verdict = Problem("p", "s", (Test("", ""),)), Verdict("p", Status.PASSED)
    found = []
    for number in range(prompts):
        words = [draw.randrange(40, 200) for _ in range(prompt)]
        for row in range(group):
            tokens = [draw.randrange(40, 200) for _ in range(length)]
            completion = Completion(number, tokens, [-5.0] * length, "", False)
            found.append(Rollout(problem, "", words, completion, None, verdict, 1.0, 1.0 if row % 2 else -1.0))
    return found


def objective(length: int) -> Objective:
    return Objective(policy_loss, LossConfig(correction="none"), 1.0, length)


def updated(trained: Learner, batch: list[Rollout], length: int) -> tuple[float, dict[str, float]]:
    """Seconds and figures of an optimizer step after one that warms up and makes the moments; the peak of memory is of
    the second alone."""
    trained.update(batch, objective(length))
    if not CPU:
        torch.cuda.reset_peak_memory_stats()
    figures: dict[str, float] = {}
    took = seconds(lambda: figures.update(trained.update(batch, objective(length))))
    return took, figures


def predicted(config: Any, **changes: Any) -> dict[str, float]:
    """GiB by phase that training/memory.py predicts, less CUDA's context, which torch does not count as allocated.

    `changes` of its Plan.
    """
    plan, here = replace(memory.Plan.of(TrainSettings.read(config)), **changes), memory.Machine.here()
    phases = memory.estimate(memory.Shape.of(pretrained.outlined(str(model_folder()))), plan, here).phases
    context = memory.CONTEXT if here.gpu else 0.0
    return {name: (sum(held.values()) - context) / memory.GIB for name, held in phases.items()}


def engine(policy: Policy, ranks: Ranks | None = None) -> Any:
    from policy.samplers.vllm import VllmSampler

    share = 0.5 if not CPU else 0.3
    config = RolloutSettings(
        engine="vllm", batch_size=8 if CPU else 256, temperature=1.0, top_p=1.0, max_new_tokens=32 if CPU else 1024,
        max_prompt_tokens=64 if CPU else 2048, max_sampler_gap=1.0, gpu_memory_utilization=share, cpu_kv_cache_gib=1,
    )  # fmt: skip
    return VllmSampler(policy, config, 0, *([ranks] if ranks else []))


def drawn(sampler: Any, rows: int, length: int) -> list[Completion]:
    prompts = [[40 + (n + i) % 150 for i in range(16 if CPU else 200)] for n in range(max(1, rows // 32))]
    each = rows // len(prompts)
    found: dict[int, Any] = {}
    sampler.sample(prompts, each, Sampling(1.0, length), 5, lambda i, c: found.__setitem__(i, (prompts[c.prompt], c)))
    ordered = [found[i] for i in sorted(found)]
    sampler.prompts = [prompt for prompt, _ in ordered]
    return [completion for _, completion in ordered]


def gap(policy: Policy, sampler: Any, completions: Sequence[Completion]) -> float:
    """Of the first eight, in nats per token."""
    return sampler_gap(policy, sampler.prompts[:8], completions[:8], 1.0)


# --- the parts


def machine() -> None:
    """Driver, versions, and the ceilings: bf16 products and copying."""
    emit(torch=torch.__version__, device=torch.cuda.get_device_name() if not CPU else "CPU")
    size = 256 if CPU else 8192
    one = torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16)  # [size, size]
    took = seconds(lambda: one @ one, 5)
    emit(tflops=2 * size**3 / took / 1e12)
    block = torch.empty((1 if CPU else 2048) << 20, dtype=torch.uint8, device=DEVICE)
    emit(copy_tb_s=2 * block.numel() / seconds(lambda: block.clone(), 5) / 1e12)


def attention() -> None:
    """One layer over a group of 16 and one of 4: the kernels against the masked attention, values and seconds."""
    prompts, rows = ([20, 9], [[30] * 4, [7, 0, 12]]) if CPU else ([300, 900], [[1023] * 12, [100, 700, 400, 1023]])
    pack = Pack(prompts, rows, torch.device(DEVICE))
    tokens, dtype = sum(prompts) + sum(map(sum, rows)), torch.float32 if CPU else torch.bfloat16
    module: Any = torch.nn.Module()
    module.num_key_value_groups, module.is_causal = 4, True
    torch.manual_seed(0)
    inputs = [torch.randn(1, heads, tokens, 128, device=DEVICE, dtype=dtype) for heads in (32, 8, 8)]
    wanted = torch.randn(1, tokens, 32, 128, device=DEVICE, dtype=dtype)

    def passed(values: list[Tensor], kernels: bool) -> list[Tensor]:
        own, varlen.applies = varlen.applies, varlen.applies if kernels else lambda *_: False
        try:
            q, k, v = (x.detach().requires_grad_() for x in values)
            out, _ = _shared_prompt(module, q, k, v, None, pack=pack, scaling=128**-0.5)
            out.backward(wanted.to(out.dtype))
            return [out.detach(), *(x.grad for x in (q, k, v) if x.grad is not None)]
        finally:
            varlen.applies = own

    exact = passed([x.float() for x in inputs], False)
    for name, kernels in (("masked", False), ("kernels", True)):
        found = passed(inputs, kernels)
        apart = [float((a.float() - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True)]
        took = seconds(lambda kernels=kernels: passed(inputs, kernels), 3)  # type: ignore[misc]
        emit(**{f"{name}_relative_error": apart, f"{name}_ms": 1e3 * took})
    query = inputs[0]
    emit(kernels_apply=varlen.applies(query, inputs[1], inputs[2], rows, {}))


def update() -> None:
    """Optimizer steps on 16 and 128 rows: seconds, MFU, and the peak against what training/memory.py predicts."""
    policy = load()
    budget, length = (400, 16) if CPU else (16_384, 1024)
    trained = learner(policy, budget)
    for group in (4, 32):
        took, figures = updated(trained, rollouts(4, group, 12 if CPU else 300, length), length)
        speed = throughput.utilisation(policy, figures["forward_tokens"], took, Ranks())
        emit(**{f"rows_{4 * group}": {"s": took, **speed, "peak_gib": throughput.peak_memory_gib()}})
    config = config_of("rollout=transformers", f"optimizer.token_budget={budget}")
    emit(token_budget=trained.token_budget, predicted_gib=predicted(config))


def sampler() -> None:
    """vLLM as the project opens it: start, gap, a sync of changed weights, sleep, tokens per second."""
    policy = load()
    opened: list[Any] = []
    emit(start_s=seconds(lambda: opened.append(engine(policy))))
    one = opened[0]
    length = 16 if CPU else 64
    emit(gap_before=gap(policy, one, drawn(one, 4 if CPU else 32, length)))
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.1 * parameter.std() * torch.randn_like(parameter) if parameter.ndim > 1 else 0)
    one.sleep()
    emit(sync_s=seconds(one.sync), gap_synced=gap(policy, one, drawn(one, 4 if CPU else 32, length)))
    full = 32 if CPU else 1024
    for rows in (4,) if CPU else (16, 128):
        made: list[Completion] = []
        took = seconds(lambda rows=rows, made=made: made.extend(drawn(one, rows, full)))  # type: ignore[misc]
        emit(**{f"rows_{rows}": {"s": took, "tokens_s": sum(len(c.tokens) for c in made) / took}})


def step() -> None:
    """train.py's own loop with experiment=paper: phases of a step, medians after the first."""
    # Beside full fine-tuning vLLM may have 0.3 of 80 GB, says training/capacity.py, and of an H200 the half as well.
    large = CPU or torch.cuda.get_device_properties(0).total_memory > 100e9
    full = [] if large else ["rollout.gpu_memory_utilization=0.3"]
    runs = {"full": full, "lora": ["lora.rank=32", "optimizer.learning_rate=5e-5"]}
    count = 2 if CPU else torch.cuda.device_count()
    if count > 1:
        every = [f"gpus={count}", *([] if CPU else ["shard=true"])]  # transformers' generate wants all weights
        both = {"all_gpus": every}
        if CPU or count >= 4:
            alone = [] if CPU else ["rollout.gpu_memory_utilization=0.9"]
            ahead = [f"samplers={count // 2}", "loss.correction=token_truncate", *alone]
            both["half_of_them_ahead"] = [*every, *ahead, f"steps={STEPS + 1}"]  # beside the last nothing is sampled
        runs = {**both, **runs}
    for name, overrides in runs.items():
        emit(**{name: measured(name, overrides)})


def scoring() -> None:
    """The language-model head: seconds of forward and backward by the size of its chunks."""
    width, words, tokens = (64, 2000, 200) if CPU else (2560, 151_936, 16_384)
    hidden = torch.randn(tokens, width, device=DEVICE, dtype=torch.float32 if CPU else torch.bfloat16)
    weight = torch.randn(words, width, device=DEVICE, requires_grad=True)
    targets = torch.randint(words, (tokens,), device=DEVICE)

    def passed() -> None:
        logp, _ = logprob.token_logprobs(hidden.requires_grad_(), weight, targets)
        logp.sum().backward()

    for power in (16, 18) if CPU else (25, 27, 28, 29):
        logprob.CHUNK_ELEMENTS[DEVICE] = 2**power
        passed()
        emit(**{f"chunk_2**{power}_s": seconds(passed, 2)})


def shard() -> None:
    """FSDP2 in a group of one rank: an update, a checkpoint, and its return."""
    with_group(lambda ranks: saved_and_restored(load(), ranks, sharded=True))


def saving() -> None:
    """A checkpoint of whole weights: how long it stops the step, and how long writing takes beside it."""
    saved_and_restored(load(), Ranks(), sharded=False)


def saved_and_restored(policy: Policy, ranks: Ranks, sharded: bool) -> None:
    if sharded:
        policy.shard()
    prompt, rows, length = 12, 4, 16 if CPU else 256
    budget = prompt + rows * length  # a micro-batch that is full, as in the prediction
    trained = learner(policy, budget, ranks)
    took, _ = updated(trained, rollouts(1, rows, prompt, length), length)
    config = config_of("rollout=transformers", f"optimizer.token_budget={budget}")
    emit(update_s=took, peak_gib=throughput.peak_memory_gib(), predicted_gib=predicted(config, shard=sharded))
    with tempfile.TemporaryDirectory(dir=WORK) as folder, checkpoint.Checkpoints(Path(folder), trained, 1) as saving_:
        paths: list[Path] = []
        emit(copy_s=seconds(lambda: paths.append(saving_.save(checkpoint.TrainerState(1)))))
        emit(write_s=seconds(saving_.wait))
        other = open_optimizer(policy, trained.settings)
        checkpoint.restore(paths[0], policy, other)
        emit(all_equal=all(
            torch.equal(torch.as_tensor(a).cpu(), torch.as_tensor(b).cpu())
            for p, state in trained.optimizer.state.items()
            for a, b in (((x.to_local(), y.to_local()) if sharded and hasattr(x, "to_local") else (x, y))
                         for x, y in ((state[key], other.state[p][key]) for key in state))
        ))  # fmt: skip


def launcher() -> None:
    """vLLM as one of several ranks opens it: in torch's process group, by external_launcher."""

    def opened(ranks: Ranks) -> None:
        policy = load()
        one = engine(policy, Ranks(0, 2))  # two, so that it asks for the launcher; the group has one
        emit(gap=gap(policy, one, drawn(one, 4, 16)))

    with_group(opened)


def with_group(call: Callable[[Ranks], None]) -> None:
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(random.randrange(20_000, 40_000))}
    call(Ranks.join())


def lots(group: Sequence[Rollout]) -> list[float | None]:
    """Rewards drawn by lot, the same on every rank: one in three programs passes, so that there is something to
    learn."""
    drawn = random.Random(repr([rollout.completion.tokens for rollout in group]))
    return [float(drawn.random() < 1 / 3) for _ in group]


def rank(text: str, folder: str) -> None:
    """One rank of a run: train.py's, but for checkpoints."""
    setattr(train.Checkpoints, "save", lambda *_, **__: None)  # noqa: B010 (mypy)
    launch.rank(train.train, text, folder)


def config_of(*overrides: str) -> Any:
    languages.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        paper = ["experiment=paper", "model=qwen3_4b", f"model.path={model_folder()}", "dataset=ladder"]
        paper += ["model.compute_dtype=float32"] if CPU else []
        config = compose("train", [*paper, *overrides])
    OmegaConf.resolve(config)
    return config


def measured(name: str, more: Sequence[str]) -> dict[str, float]:
    """Medians over the steps of a run, from its metrics.jsonl, and what was predicted of `memory_gib`; the run is a
    process of its own."""
    folder = Path(tempfile.mkdtemp(prefix=f"run_{name}_", dir=WORK))
    one = folder / "heldout.jsonl"  # train.py always evaluates: on a single problem
    one.write_text((ROOT / "problems" / "ladder" / "data" / "heldout.jsonl").read_text().split("\n")[0] + "\n")
    sized = ["rollout=vllm", "rollout.gpu_memory_utilization=0.5"]
    if CPU:
        sized = ["rollout=transformers", "prompts=2", "group=4", "rollout.max_new_tokens=16"]
    always = [
        f"dataset.heldout={one}",
        "heldout.every=0",
        "heldout.samples=1",
        "checkpoint.every=0",
        "loss.correction=none",
    ]
    always += ["reward.function=benchmarks.gpu.parts:lots", f"steps={STEPS}", f"run_dir={folder}"]
    config = config_of(*always, *sized, *more)
    (folder / "checkpoints").mkdir()
    OmegaConf.save(config, folder / "of_run.yaml")
    subprocess.run([sys.executable, __file__, str(folder)], check=True, stdout=sys.stderr)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if 1 < row["step"] <= STEPS]
    update = max(size for phase, size in predicted(config).items() if phase.startswith("update"))
    medians = {key: statistics.median(row[key] for row in rows) for key in SHOWN if key in rows[0]}
    return {**medians, "predicted_gib": update}


def run_of(folder: Path) -> None:
    """A run of `step`, in its own process."""
    config: Any = OmegaConf.load(folder / "of_run.yaml")
    if config.gpus == 1:
        rank(OmegaConf.to_yaml(config), str(folder))
    else:
        launch.launch(config.gpus, rank, OmegaConf.to_yaml(config), str(folder))


if __name__ == "__main__":
    run_of(Path(sys.argv[1]))
