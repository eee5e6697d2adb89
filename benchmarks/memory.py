"""What training/memory.py predicts of an update, beside the peak that is measured: on a CPU, in processes of their own.

    python benchmarks/memory.py                       all cases
    python benchmarks/memory.py 'two ranks, sharded'  some of them

A process loads a model, forgets its peak so far, and makes two updates of two micro-batches per rank, which fill
`optimizer.token_budget`. Measured is the kernel's own figure (VmHWM) less what the process had before, of the rank that
needs most.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from omegaconf import OmegaConf
from transformers import AutoModelForCausalLM, Qwen3Config

from policy.builtin import tiny
from policy.lora import LoraSettings
from policy.model import Policy
from policy.ranks import Ranks
from policy.samplers.sampler import Completion
from policy.settings import ModelSettings
from problems.problem import Problem
from rollout.rollout import Rollout
from run.launch import launch
from sandbox.job import Status, Test, Verdict
from training import memory
from training.loss import LossConfig, policy_loss
from training.memory import GIB, Machine, Plan, Shape
from training.optimizer import OptimizerSettings, open_optimizer
from training.update import Learner, Objective

ROOT = Path(__file__).parents[1]
PROMPT, LONGEST = 64, 240  # tokens
MIDDLE: dict[str, Any] = {  # 22 million parameters
    "vocab_size": 8000, "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 8,
    "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 64, "tie_word_embeddings": True,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    model: str = "middle"
    rank: int = 0  # of LoRA
    checkpointing: bool = False
    optimizer: str = "adamw"
    ranks: int = 1
    shard: bool = False
    rows: int = 16  # of a micro-batch
    dtype: str = "float32"  # the compute dtype

    @property
    def budget(self) -> int:
        return PROMPT + self.rows * LONGEST


CASES = {
    "tiny": Case("tiny", rows=64),
    "tiny, LoRA": Case("tiny", rank=16, rows=64),
    "tiny, checkpointing": Case("tiny", checkpointing=True, rows=64),
    "full": Case(),
    "full, checkpointing": Case(checkpointing=True),
    "full, checkpointing, adamw8bit": Case(checkpointing=True, optimizer="adamw8bit", rows=6),
    "LoRA": Case(rank=16, rows=6),
    "LoRA, checkpointing": Case(rank=16, checkpointing=True, rows=6),
    "full, bf16": Case(rows=24, dtype="bfloat16"),
    "full, bf16, checkpointing": Case(checkpointing=True, rows=24, dtype="bfloat16"),
    "LoRA, bf16": Case(rank=16, rows=24, dtype="bfloat16"),
    "LoRA, bf16, checkpointing": Case(rank=16, checkpointing=True, rows=24, dtype="bfloat16"),
    "two ranks": Case(ranks=2, rows=6),
    "two ranks, sharded": Case(ranks=2, shard=True, rows=6),
    "two ranks, sharded, checkpointing": Case(ranks=2, shard=True, checkpointing=True, rows=6),
    "two ranks, sharded, bf16": Case(ranks=2, shard=True, rows=24, dtype="bfloat16"),
    "two ranks, sharded, bf16, checkpointing": Case(ranks=2, shard=True, checkpointing=True, rows=24, dtype="bfloat16"),
}


def weights(model: str, folder: Path) -> Path:
    """A folder with the model of this name."""
    if model == "tiny":
        return tiny.ensure()
    place = folder / model
    if not place.exists():
        tokenizer_of = tiny.ensure()
        config = Qwen3Config(**MIDDLE, dtype="float32", eos_token_id=1, pad_token_id=0)
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(place)
        for path in tokenizer_of.iterdir():
            if path.suffix != ".safetensors" and path.name != "config.json":
                (place / path.name).write_bytes(path.read_bytes())
    return place


def plan(case: Case) -> Plan:
    return Plan(
        ranks=case.ranks,
        shard=case.shard,
        full=case.rank == 0,
        lora_rank=case.rank,
        quantized=False,
        optimizer=case.optimizer,
        compute=4 if case.dtype == "float32" else 2,
        checkpointing=case.checkpointing,
        token_budget=case.budget,
        longest=PROMPT + LONGEST,
        sampled=LONGEST,
        reference=False,
        vllm=0.0,
        rows=1,
    )


def predicted(case: Case, folder: Path) -> dict[str, dict[str, float]]:
    """Bytes of an update by its two peaks and what they hold."""
    shape = Shape.of(AutoModelForCausalLM.from_pretrained(weights(case.model, folder)))
    phases = memory.estimate(shape, plan(case), Machine("", 64 * GIB, 64 * GIB)).phases
    return {name: dict(parts) for name, parts in phases.items() if name.startswith("update")}


def of_process(key: str) -> int:
    """Bytes, of /proc/self/status."""
    found = re.search(key + r":\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def rollouts(count: int, length: int) -> list[Rollout]:
    problem, verdict = Problem("p", "", (Test("", ""),)), Verdict("p", Status.PASSED)
    completion = Completion(0, [2 + n % 90 for n in range(length)], [-1.0] * length, "", True)
    return [Rollout(problem, "", [3] * PROMPT, completion, None, verdict, 1.0, 1.0 + n % 2) for n in range(count)]


def learner(path: Path, case: Case, ranks: Ranks, budget: int) -> Learner:
    model = ModelSettings(
        name="benchmark", build=None, path=str(path), learning_rate=None, temperature=1.0, max_new_tokens=1024,
        system=None, chat_template_kwargs={}, compute_dtype=case.dtype, gradient_checkpointing=case.checkpointing,
    )  # fmt: skip
    policy = Policy.load(model, adapters=LoraSettings(rank=case.rank, alpha=16, targets="all-linear"))
    if case.shard:
        policy.shard()
    defaults = OmegaConf.load(ROOT / "conf/optimizer/adamw.yaml")
    chosen = {"learning_rate": 1e-4, "token_budget": budget, "name": case.optimizer}
    settings = OptimizerSettings.read(OmegaConf.merge(defaults, chosen))
    return Learner(policy, open_optimizer(policy, settings), settings, ranks)


def work(name: str, folder: str, out: str) -> None:
    """One rank of a case; writes the bytes of its peak into `out`."""
    case, ranks = CASES[name], Ranks.join()
    torch.set_num_threads(1)
    objective = Objective(policy_loss, LossConfig(correction="none"), 1.0, LONGEST)
    path = weights(case.model, Path(folder))
    first = learner(path, case, ranks, 400)  # what imports and a first step take is there before
    first.update(rollouts(4 * case.ranks, 40), objective)
    del first
    gc.collect()
    before = of_process("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    one = learner(path, case, ranks, case.budget)
    for _ in range(2):
        one.update(rollouts(2 * case.rows * case.ranks, LONGEST), objective)  # gradients are there in the second half
    most = max(ranks.all_gather([of_process("VmHWM") - before]))
    if ranks.first:
        Path(out).write_text(str(most))
    ranks.leave()


def measured(name: str, folder: Path) -> int:
    """Bytes of the rank that needs most."""
    weights(CASES[name].model, folder)
    out = folder / "measured"
    out.unlink(missing_ok=True)
    # What is freed goes back at once, and is not counted. Nor are the kernels that oneDNN compiles for bf16 and keeps,
    # one for each shape of a product: 40 MiB here, however large the model.
    environment = {
        **os.environ,
        **{"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "0"},
    }
    words = [sys.executable, __file__, name, str(folder), str(out)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=1800)
    if not out.exists():
        raise RuntimeError(done.stderr[-3000:])
    return int(out.read_text())


def main() -> None:
    print("| case | rows | predicted, MiB | measured, MiB | predicted / measured |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name in sys.argv[1:] or CASES:
            phases = predicted(CASES[name], Path(scratch))
            most, found = max(sum(parts.values()) for parts in phases.values()), measured(name, Path(scratch))
            print(
                f"| {name} | {CASES[name].rows} | {most / 2**20:.0f} | {found / 2**20:.0f} | {most / found:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) == 4 and Path(sys.argv[2]).is_dir():
        case = CASES[sys.argv[1]]
        if case.ranks == 1:
            work(*sys.argv[1:])
        else:
            launch(case.ranks, work, *sys.argv[1:])
    else:
        main()
