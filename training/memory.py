"""What a training run needs of each GPU's memory, phase by phase, before any of it is spent.

    python train.py model=qwen3_4b rollout=vllm gpus=8 shard=true fit=true

A pure function of the model's shape (parameters without memory), the settings and the machine. Bytes per parameter
are exact. Activations are those of a pre-norm decoder layer with a gated MLP, as transformers computes it: every tensor
that its backward pass keeps, counted by hand (`layer_bytes`). What vLLM keeps while it sleeps, and what CUDA and the
kernels take, are allowances, named as such.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from policy import logprob
from policy.model import layers
from training.balance import widest
from training.settings import TrainSettings

GIB = 2**30
CONTEXT = 1.0 * GIB  # CUDA's context, and what the libraries' kernels keep
ASLEEP = 1.5 * GIB  # of vLLM while it sleeps: graphs, buffers, its own context
ENGINE = 3.0 * GIB  # of vLLM's share besides weights and cache: activations of its largest step, graphs
USABLE = 0.97  # of a GPU's memory: what is left is lost between blocks
PROCESS = 2.5 * GIB  # host memory of a rank: Python, torch, vLLM
MOMENTS = {"adamw": 8.0, "adamw8bit": 2 + 8 / 256}  # bytes per trained parameter; 8 bits and a scale per 256 values
SHARES = (0.6, 0.5, 0.4, 0.3, 0.25)  # of a GPU that vLLM may have beside the trainer, to choose from
NF4 = 0.5 + 1 / 64 + 4 / 64 / 256  # bytes per parameter: 4 bits, and a scale per 64 that is 8 bits itself


@dataclass(frozen=True)
class Machine:
    gpu: str  # its name; "" on a machine without one
    memory: float  # bytes of one GPU; without one, of the host
    host: float  # bytes
    gpus: int = 1

    @classmethod
    def here(cls) -> Machine:
        host = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        if not torch.cuda.is_available():
            return cls("", host, host)
        card = torch.cuda.get_device_properties(0)
        return cls(card.name, float(card.total_memory), host, torch.cuda.device_count())


@dataclass(frozen=True)
class Shape:
    """A decoder's sizes, in parameters and widths."""

    parameters: int
    head: int  # of the language-model head
    largest_layer: int
    linear: int  # parameters of all linear layers but the head: what QLoRA keeps in 4 bits
    ends: int  # inputs and outputs of those: adapters have `lora_rank` parameters for each
    layers: int
    width: int
    queries: int  # heads times their width
    keys: int
    hidden: int  # of the MLP
    vocabulary: int

    @classmethod
    def of(cls, model: PreTrainedModel) -> Shape:
        """`model` may be its configuration only, on torch's meta device."""
        config = model.config.get_text_config()
        output: Any = model.get_output_embeddings()
        linear = [m for m in model.modules() if isinstance(m, nn.Linear) and m is not output]
        heads = widest(config, "num_attention_heads")  # 0 of a state space model
        size = widest(config, "head_dim") or config.hidden_size // max(heads, 1)
        return cls(
            parameters=sum(p.numel() for p in model.parameters()),
            head=output.weight.numel(),
            largest_layer=max((sum(p.numel() for p in layer.parameters()) for layer in layers(model)), default=0),
            linear=sum(m.weight.numel() for m in linear),
            ends=sum(m.in_features + m.out_features for m in linear),
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            queries=heads * size,
            keys=(widest(config, "num_key_value_heads") or heads) * size,
            hidden=widest(config, "intermediate_size") or 4 * config.hidden_size,
            vocabulary=config.vocab_size,
        )


@dataclass(frozen=True)
class Plan:
    """The settings that memory depends on."""

    ranks: int
    shard: bool
    full: bool  # full fine-tuning
    lora_rank: int
    quantized: bool  # QLoRA
    optimizer: str
    compute: int  # bytes of a value in the compute dtype
    checkpointing: bool
    token_budget: int
    longest: int  # tokens of a sequence
    sampled: int  # of them at most
    reference: bool  # a second copy of the weights, for the KL term
    vllm: float  # its share of the GPU; 0: transformers samples
    rows: int  # completions sampled at once
    samplers: int = 0  # more ranks, which only sample
    rounded: bool = False  # vLLM keeps linear layers in 8 bits

    @classmethod
    def of(cls, settings: TrainSettings) -> Plan:
        """Where vLLM's share is not set yet, the largest of `SHARES` stands for it."""
        model, rollout, lora = settings.model, settings.rollout, settings.lora
        return cls(
            ranks=settings.gpus - settings.samplers,
            shard=settings.shard,
            full=lora.rank == 0,
            lora_rank=lora.rank,
            quantized=lora.quantize is not None,
            optimizer=settings.optimizer.name,
            compute=4 if model.compute_dtype == "float32" else 2,
            checkpointing=model.gradient_checkpointing,
            token_budget=settings.optimizer.token_budget,
            longest=rollout.max_prompt_tokens + rollout.max_new_tokens,
            sampled=rollout.max_new_tokens,
            reference=bool(settings.loss.kl) and lora.rank == 0,
            vllm=(rollout.gpu_memory_utilization or SHARES[0]) if rollout.engine == "vllm" else 0.0,
            rows=rollout.batch_size,
            samplers=settings.samplers,
            rounded=rollout.quantize is not None,
        )


@dataclass(frozen=True)
class Estimate:
    """Bytes on the GPU that is used most, by phase and what they hold; and of the host, all ranks together."""

    phases: Mapping[str, Mapping[str, float]]
    host: Mapping[str, float]
    engine: Mapping[str, float]  # of vLLM's share: weights, cache; a negative cache does not fit

    @property
    def peak(self) -> float:
        return max(sum(parts.values()) for parts in self.phases.values())

    def trouble(self, machine: Machine) -> str:
        """Why it does not fit; "" if it does."""
        if self.engine and self.engine["KV cache"] < self.engine["KV cache of one sequence"]:
            return (
                f"vLLM's share of {gib(engine_total(self.engine))} has no room for its weights "
                f"({gib(self.engine['weights'])}) and the keys and values of one sequence"
            )
        name, parts = max(self.phases.items(), key=lambda item: sum(item[1].values()))
        where = f"one {machine.gpu}" if machine.gpu else "this machine"
        if self.peak > (room := machine.memory * (USABLE if machine.gpu else 1.0)):
            largest = sorted(parts.items(), key=lambda item: -item[1])[:4]
            return (
                f"{name} needs {gib(self.peak)} of the {gib(room)} that {where} has ("
                + ", ".join(f"{what} {gib(size)}" for what, size in largest)
                + ")"
            )
        if machine.gpu and sum(self.host.values()) > machine.host:
            return f"the ranks need {gib(sum(self.host.values()))} of host memory, and it has {gib(machine.host)}"
        return ""

    def table(self) -> str:
        """GiB by phase, as lines for a terminal."""
        lines = []
        tables = {**self.phases, **({"vLLM's share, awake": self.engine} if self.engine else {}), "host": self.host}
        for name, parts in tables.items():
            total = engine_total(parts) if name.startswith("vLLM") else sum(parts.values())
            lines.append(f"{name:<44}{total / GIB:8.1f} GiB")
            lines += [f"  {what:<42}{size / GIB:8.1f}" for what, size in parts.items() if size]
        return "\n".join(lines)


def engine_total(engine: Mapping[str, float]) -> float:
    return sum(size for what, size in engine.items() if what != "KV cache of one sequence")


def gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"


def layer_bytes(shape: Shape, plan: Plan, gpu: bool) -> float:
    """What backward keeps of one layer, per token.

    In bf16 over an fp32 residual stream: two norms keep their input and its normed value (16 w), matrices their input,
    a cast copy each (10 w, and 2 q of attention's output); queries and keys are normed in fp32 (4 each), and kept
    normed and turned (4 each), values as they are (2 k); the MLP keeps both halves, the activated one, and the product
    (8 i). Where weights are sharded, FSDP2 gathers them in bf16 and casts what each layer reads: the stream is in bf16,
    normed values take half, and matrices that read the same share it (4 w). With LoRA, too, the stream is in bf16, as
    all weights are that are not trained; no normed value is kept, but what each adapter's first half gives.

    In fp32 nothing is cast. The normed values are kept where norms are trained, with all weights.

    Masked attention, as on a CPU or in fp32, has copies of its own: of the rows' queries, of its output, and of keys
    and values for each head and row, in front of which each row has its prompt.
    """
    flash = gpu and plan.compute == 2  # policy/varlen.py takes half precision only
    masked = 0.0 if flash else 2.0 * plan.compute * shape.queries * (1 + plan.longest / plan.sampled)
    w, q, k, i = shape.width, shape.queries, shape.keys, shape.hidden
    if plan.compute == 2:
        if plan.full:
            return (16 if plan.shard else 26) * w + 10 * q + 10 * k + 8 * i + masked
        return 12 * w + 8 * q + 8 * k + 8 * i + 14 * plan.lora_rank + masked
    normed = 8 * w + 4 * q + 4 * k if plan.full else 0
    return 16 * w + 12 * q + 12 * k + 16 * i + normed + masked


def gradient_bytes(shape: Shape, plan: Plan) -> float:
    """What backward has besides that in the middle of a layer, per token: of both halves of the MLP and of its ends."""
    return plan.compute * 2 * shape.hidden + 8 * shape.width


def estimate(shape: Shape, plan: Plan, machine: Machine) -> Estimate:
    """The memory of a run. Without a GPU all phases are of the host's memory, of one rank."""
    shards = plan.ranks if plan.shard else 1
    adapters = shape.ends * plan.lora_rank
    trained = shape.parameters if plan.full else adapters
    if plan.full:
        weights = 4.0 * shape.parameters
    else:
        frozen = shape.parameters * float(plan.compute)
        if plan.quantized:
            frozen = shape.linear * NF4 + (shape.parameters - shape.linear) * float(plan.compute)
        weights = frozen + 4.0 * adapters
    state = {
        "weights": weights / shards,
        "moments": trained * MOMENTS[plan.optimizer] / shards,
        "reference weights": shape.parameters * float(plan.compute) if plan.reference else 0.0,
    }
    context = {"CUDA": CONTEXT} if machine.gpu else {}
    asleep = {"vLLM asleep": ASLEEP} if machine.gpu and plan.vllm and not plan.samplers else {}
    engine_bytes = machine.memory * plan.vllm if machine.gpu and plan.vllm else 0.0
    key_values = shape.layers * 2 * shape.keys * plan.compute  # bytes per token
    small = shape.linear if plan.rounded else 0
    engine_weights = (shape.parameters - small) * float(plan.compute) + small
    engine = {}
    if engine_bytes:
        engine = {
            "weights": engine_weights,
            "activations and graphs": ENGINE,
            "KV cache": engine_bytes - engine_weights - ENGINE,
            "KV cache of one sequence": float(key_values * plan.longest),
        }
    sampling: dict[str, float] = {"vLLM's share": engine_bytes} if engine_bytes and not plan.samplers else {}
    if not plan.vllm and not plan.samplers:
        sampling = {"KV cache": float(plan.rows * plan.longest * key_values)}
    loading = {"weights, whole": weights, "reference weights": state["reference weights"]}
    phases = {
        "loading": {**loading, **context},
        "sampling": {**state, **sampling, **context},
    }
    updating = update(shape, plan, trained / shards, bool(machine.gpu))
    for name, parts_of in zip(("update, scoring", "update, layers"), updating, strict=True):
        phases[name] = {**state, **parts_of, **asleep, **context}
    if plan.samplers and engine_bytes:
        phases["a rank that samples"] = {"vLLM's share": engine_bytes, **context}
    saved = {"checkpoint, copied on the first rank": trained * (4.0 + MOMENTS[plan.optimizer])}
    host = {"processes": PROCESS * plan.ranks, **saved} if machine.gpu else {}
    return Estimate(phases, host, engine)


def update(shape: Shape, plan: Plan, trained: float, gpu: bool) -> tuple[dict[str, float], dict[str, float]]:
    """What an update needs besides the state at its two peaks: while tokens are scored, and while the backward pass is
    in a layer. `trained` parameters of this rank."""
    tokens = plan.token_budget
    per_layer = tokens * layer_bytes(shape, plan, gpu)
    stream = 4.0 if plan.full and not plan.shard else plan.compute  # bytes of a value between layers
    kept = shape.layers * (tokens * stream * shape.width if plan.checkpointing else per_layer)
    device = "cuda" if gpu else "cpu"
    chunk = min(logprob.CHUNK_ELEMENTS[device], tokens * shape.vocabulary)
    rows = min(logprob.ROWS_ELEMENTS[device], chunk)
    # a chunk in the compute dtype, some of its rows in fp32 and once more, hidden states and their gradient
    scored = chunk * plan.compute + rows * 8.0 + tokens * shape.width * plan.compute * 2.0
    if plan.compute == 2 and not gpu:
        scored += max(chunk * 4.0 - rows * 8.0, 0.0)  # a CPU sums a product in bf16 in fp32, aside
    cast = 2.0 * (plan.compute == 2 and plan.full and not plan.shard)  # bytes of a weight's copy in bf16
    scored += cast * shape.head
    gathered = shape.largest_layer * 2 + 2 * shape.head if plan.shard else 0  # two layers, embedding and head, whole
    both = {
        "gradients": 4.0 * trained,
        "activations": float(kept),
        # of the head, whole and in fp32, before it is added to what is there
        "gradient of the head": 4.0 * shape.head if plan.full else 0.0,
        "gathered layers": float(gathered * plan.compute),
        "cast weights": cast * (shape.linear / shape.layers if plan.checkpointing else shape.linear),
    }
    layer = {"a layer's gradients": float(tokens * gradient_bytes(shape, plan))}
    if plan.checkpointing:
        layer["a layer, computed again"] = per_layer
    return {**both, "log-prob chunk": float(scored)}, {**both, **layer}
