"""Memory is predicted before it is spent: by arithmetic for the sizes of the paper, against measurement on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from base.errors import ConfigError
from tests.conftest import composed
from training import memory
from training.memory import GIB, Machine, Plan, Shape
from training.settings import TrainSettings

H100 = Machine("NVIDIA H100 80GB HBM3", 79.1 * GIB, 1500 * GIB, 8)
RTX4090 = Machine("NVIDIA GeForce RTX 4090", 23.5 * GIB, 64 * GIB)
SIZES: dict[str, dict[str, Any]] = {
    "qwen3_4b": {"hidden_size": 2560, "intermediate_size": 9728, "tie_word_embeddings": True},
    "qwen3_8b": {"hidden_size": 4096, "intermediate_size": 12288, "tie_word_embeddings": False},
}
ROOT = Path(__file__).parents[2]


def outline(size: str) -> Any:
    config = Qwen3Config(
        vocab_size=151_936, num_hidden_layers=36, num_attention_heads=32, num_key_value_heads=8, head_dim=128,
        **SIZES[size],
    )  # fmt: skip
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def checked(machine: Machine, size: str, *overrides: str) -> memory.Estimate:
    settings = TrainSettings.read(composed("experiment=paper", f"model={size}", "rollout=vllm", *overrides))
    return memory.check(outline(size), settings, machine)


def test_the_shape_is_the_models() -> None:
    shape = Shape.of(outline("qwen3_4b"))
    assert shape.parameters == 4_022_468_096 and shape.head == 151_936 * 2560
    assert (shape.layers, shape.width, shape.queries, shape.keys, shape.hidden) == (36, 2560, 4096, 1024, 9728)


def test_the_papers_run_fits_eight_gpus() -> None:
    found = checked(H100, "qwen3_4b", "gpus=8", "shard=true")
    assert found.phases["update, layers"]["moments"] == 4_022_468_096 * 8 / 8
    assert found.phases["update, layers"]["gradients"] == 4_022_468_096 * 4 / 8
    assert found.host["checkpoint, copied on the first rank"] == 4_022_468_096 * 12


@pytest.mark.parametrize(
    ("size", "overrides", "words"),
    [
        ("qwen3_4b", ["gpus=8"], "fits with shard=true, or rollout.gpu_memory_utilization=0.3"),
        ("qwen3_4b", ["rollout.gpu_memory_utilization=0.5"], "sampling needs .* weights 15.0 GiB"),
        (
            "qwen3_8b",
            [],
            "sampling needs .*moments 61.0 GiB, vLLM's share 47.5 .*; it fits with gpus=8 shard=true, or lora",
        ),
    ],
)
def test_what_cannot_fit_is_refused_with_what_does(size: str, overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=f"this run does not fit: .*{words}"):
        checked(H100, size, *overrides)


def test_advice_fits() -> None:
    """Every setting that is named is one that is not refused."""
    settings = TrainSettings.read(composed("experiment=paper", "model=qwen3_4b", "rollout=vllm"))
    advice = list(memory.fitting(Shape.of(outline("qwen3_4b")), Plan.of(settings), H100))
    assert advice
    for words in advice:
        assert checked(H100, "qwen3_4b", *words.split()).peak < H100.memory


def test_one_gpu_of_24_gb_trains_qwen3_4b_with_qlora() -> None:
    qlora = ["lora.rank=32", "lora.quantize=nf4", "rollout.gpu_memory_utilization=0.6", "optimizer.token_budget=8192"]
    found = checked(RTX4090, "qwen3_4b", *qlora)
    assert found.peak < 22.8 * GIB
    with pytest.raises(ConfigError, match=r"lora\.quantize=nf4"):
        checked(RTX4090, "qwen3_4b", "lora.rank=32")


MEASURE = """
import json, resource, sys, threading, time
import torch
from pathlib import Path
from transformers import Qwen3Config, Qwen3ForCausalLM
from policy.model import Policy
from policy.lora import LoraSettings
from tests.training.test_update import objective, rollout, settings
from tests.toy_policy import save_toy, toy_model
from training import memory
from training.optimizer import open_optimizer
from training.update import Learner

def now():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

class Peak(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.on = 0, True
    def run(self):
        while self.on:
            self.most = max(self.most, now())
            time.sleep(0.002)

torch.set_num_threads(1)
folder, how = Path(sys.argv[1]), json.loads(sys.argv[2])
save_toy(folder / "toy")  # what imports and a first step take is there before it is measured
def learner(path, budget, rank):
    model = toy_model(path, gradient_checkpointing=how["checkpointing"])
    policy = Policy.load(model, adapters=LoraSettings(rank=rank, alpha=8, targets="all-linear"))
    options = settings(budget, name=how["optimizer"])
    return Learner(policy, open_optimizer(policy, options), options)
def rows(count, length):
    return [rollout([3] * 64, length) for _ in range(count)]
learner(folder / "toy", 1000, how["rank"]).update(rows(4, 40), objective(gap=99.0))
before = now()
one = learner(folder / "model", how["budget"], how["rank"])
peak = Peak()
peak.start()
for _ in range(2):
    one.update(rows(how["rows"], 240), objective(gap=99.0))
peak.on = False
print("MEASURED", json.dumps(peak.most - before))
"""
MIDDLE: dict[str, Any] = {
    "vocab_size": 8000, "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 8,
    "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 64, "tie_word_embeddings": True,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "optimizer", "checkpointing"),
    [(0, "adamw", True), (0, "adamw", False), (0, "adamw8bit", True), (16, "adamw", False)],
)
def test_predictions_are_within_a_tenth_of_what_a_cpu_uses(
    rank: int, optimizer: str, checkpointing: bool, tmp_path: Path
) -> None:
    config = Qwen3Config(**MIDDLE, dtype="float32", eos_token_id=1, pad_token_id=0)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path / "model")
    from tests.toy_policy import save_toy

    save_toy(tmp_path / "tokenizer")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        if (tmp_path / "tokenizer" / name).exists():
            (tmp_path / "model" / name).write_bytes((tmp_path / "tokenizer" / name).read_bytes())
    budget = 16 * 240 + 64
    how = {"checkpointing": checkpointing, "optimizer": optimizer, "rank": rank, "budget": budget, "rows": 16}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), json.dumps(how)],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},  # what is freed goes back at once, and is not counted
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("MEASURED ")]
    assert lines, done.stderr[-3000:]
    measured = json.loads(lines[0].removeprefix("MEASURED "))
    plan = Plan(1, False, rank == 0, rank, False, optimizer, 4, checkpointing, budget, 304, False, 0.0, 1)
    shape = Shape.of(model)
    predicted = memory.estimate(shape, plan, Machine("", 64 * GIB, 64 * GIB)).peak
    assert predicted == pytest.approx(measured, rel=0.1), f"{predicted / 2**20:.0f} MiB, not {measured / 2**20:.0f}"
