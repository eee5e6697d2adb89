"""Memory is predicted before it is spent: by arithmetic for the sizes of the paper, against measurement on a CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from base.errors import ConfigError
from benchmarks import memory as benchmark
from tests.conftest import composed
from tests.policy.families import configured
from tests.policy.test_families import APART, SHARED
from training import capacity, memory
from training.balance import CostModel
from training.memory import GIB, Machine, Plan, Shape
from training.settings import TrainSettings

H100 = Machine("NVIDIA H100 80GB HBM3", 79.1 * GIB, 1500 * GIB, 8)
RTX4090 = Machine("NVIDIA GeForce RTX 4090", 23.5 * GIB, 64 * GIB)
SIZES: dict[str, dict[str, Any]] = {
    "qwen3_4b": {"hidden_size": 2560, "intermediate_size": 9728, "tie_word_embeddings": True},
    "qwen3_8b": {"hidden_size": 4096, "intermediate_size": 12288, "tie_word_embeddings": False},
}


def outline(size: str) -> Any:
    config = Qwen3Config(
        vocab_size=151_936, num_hidden_layers=36, num_attention_heads=32, num_key_value_heads=8, head_dim=128,
        **SIZES[size],
    )  # fmt: skip
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def checked(machine: Machine, size: str, *overrides: str) -> memory.Estimate:
    settings = TrainSettings.read(composed("experiment=paper", f"model={size}", "rollout=vllm", *overrides))
    return capacity.check(outline(size), settings, machine)


def test_the_shape_is_the_models() -> None:
    shape = Shape.of(outline("qwen3_4b"))
    assert shape.parameters == 4_022_468_096 and shape.head == 151_936 * 2560
    assert (shape.layers, shape.width, shape.queries, shape.keys, shape.hidden) == (36, 2560, 4096, 1024, 9728)


@pytest.mark.parametrize("kind", [*SHARED, *APART, "gemma2", "bert", "big_bird", "xlnet"])
def test_every_family_has_an_estimate(kind: str) -> None:
    """Also those that will be refused: by a sentence, once they are loaded."""
    config = configured(kind)
    with torch.device("meta"):
        shape = Shape.of(AutoModelForCausalLM.from_config(config))
    assert shape.largest_layer > 0 or kind == "modernbert-decoder"  # whose body is not told from its head
    found = memory.estimate(shape, Plan.of(TrainSettings.read(composed())), H100)
    assert found.phases["update, layers"]["weights"] == 4 * shape.parameters
    assert CostModel.of(config, shape.parameters, shape.head).attention > 0


def test_the_papers_run_fits_eight_gpus() -> None:
    found = checked(H100, "qwen3_4b", "gpus=8", "shard=true")
    assert found.phases["update, layers"]["moments"] == 4_022_468_096 * 8 / 8
    assert found.phases["update, layers"]["gradients"] == 4_022_468_096 * 4 / 8
    assert found.host["checkpoint, copied on the first rank"] == 4_022_468_096 * 12


def test_a_sampler_with_rounded_weights_keeps_half_of_them() -> None:
    """All but embeddings and norms are matrices of linear layers: in bf16 7.5 GiB, of which 6.8 GiB become half."""
    alike = ("gpus=8", "shard=true", "loss.correction=token_truncate")
    whole, rounded = (
        checked(H100, "qwen3_4b", *alike, f"rollout.quantize={bits}").engine["weights"] for bits in ("null", "int8")
    )
    linear = Shape.of(outline("qwen3_4b")).linear
    assert whole == 2 * 4_022_468_096 and rounded == whole - linear and 0.5 < rounded / whole < 0.6


@pytest.mark.parametrize(
    ("size", "overrides", "words"),
    [
        ("qwen3_4b", ["gpus=8"], "fits with shard=true, or rollout.gpu_memory_utilization=0.3"),
        ("qwen3_4b", ["rollout.gpu_memory_utilization=0.5"], "sampling needs .* weights 15.0 GiB"),
        (
            "qwen3_8b",
            [],
            "update, layers needs .*moments 61.0 GiB, weights 30.5 GiB.*; it fits with gpus=8 shard=true, or lora",
        ),
    ],
)
def test_what_cannot_fit_is_refused_with_what_does(size: str, overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=f"this run does not fit: .*{words}"):
        checked(H100, size, *overrides)


@pytest.mark.parametrize("gpus", [2, 8])
@pytest.mark.parametrize(("size", "gib"), [("qwen3_4b", 24), ("qwen3_8b", 79)])
@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["optimizer=adamw8bit"],
        ["lora.rank=32"],
        ["lora.rank=32", "lora.quantize=nf4"],
        ["gpus=2", "shard=true"],
        ["gpus=2", "samplers=1", "loss.correction=token_truncate"],
    ],
    ids=" ".join,
)
def test_advice_fits(overrides: list[str], size: str, gib: float, gpus: int) -> None:
    """Every setting that is named is one that is refused neither by the settings nor for want of memory."""
    machine = replace(H100, memory=gib * GIB, gpus=gpus)
    given = ["experiment=paper", f"model={size}", "rollout=vllm", *overrides]
    plan, shape = Plan.of(TrainSettings.read(composed(*given))), Shape.of(outline(size))
    advice = list(capacity.fitting(shape, plan, machine))
    assert advice or not memory.estimate(shape, plan, machine).trouble(machine)
    for words in advice:
        other = TrainSettings.read(composed(*given, *words.split()))
        assert other.gpus <= gpus
        capacity.check(outline(size), other, machine)


@pytest.mark.parametrize(
    ("overrides", "share"),
    [
        ([], 0.3),
        (["lora.rank=32"], 0.6),
        (["gpus=8", "shard=true"], 0.6),
    ],
)
def test_vllm_gets_what_the_trainer_leaves(overrides: list[str], share: float) -> None:
    """python train.py language=ocaml model=qwen3_4b: not refused on one GPU of 80 GB, and told of."""
    settings = TrainSettings.read(composed("model=qwen3_4b", "rollout=vllm", *overrides))
    unset = settings.model_copy(
        update={"rollout": settings.rollout.model_copy(update={"gpu_memory_utilization": None})}
    )
    assert capacity.share(Shape.of(outline("qwen3_4b")), Plan.of(unset), H100) == share
    capacity.check(outline("qwen3_4b"), settings.model_copy(
        update={"rollout": settings.rollout.model_copy(update={"gpu_memory_utilization": share})}), H100)  # fmt: skip


def test_a_machine_without_a_gpu_is_told_what_it_lacks() -> None:
    settings, machine = TrainSettings.read(composed("model=qwen3_4b")), Machine("", 23 * GIB, 23 * GIB)
    with pytest.raises(
        ConfigError, match=r"^model=qwen3_4b wants a GPU, and none is here: .* 59.9 GiB, and this machine"
    ):
        capacity.check_host(outline("qwen3_4b"), settings, machine)
    capacity.check_host(outline("qwen3_4b"), settings, Machine("", 64 * GIB, 64 * GIB))


def test_one_gpu_of_24_gb_trains_qwen3_4b_with_qlora() -> None:
    qlora = ["lora.rank=32", "lora.quantize=nf4", "rollout.gpu_memory_utilization=0.6", "optimizer.token_budget=8192"]
    found = checked(RTX4090, "qwen3_4b", *qlora)
    assert found.peak < 22.8 * GIB
    with pytest.raises(ConfigError, match=r"lora\.quantize=nf4"):
        checked(RTX4090, "qwen3_4b", "lora.rank=32")


@pytest.mark.slow
@pytest.mark.parametrize("name", benchmark.CASES)
def test_predictions_are_within_a_tenth_of_what_a_cpu_uses(name: str, tmp_path: Path) -> None:
    phases, measured = benchmark.predicted(benchmark.CASES[name], tmp_path), benchmark.measured(name, tmp_path)
    predicted = max(sum(parts.values()) for parts in phases.values())
    assert predicted == pytest.approx(measured, rel=0.1), f"{predicted / 2**20:.0f} MiB, not {measured / 2**20:.0f}"
