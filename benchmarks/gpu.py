"""A full step of `experiment=paper` on one GPU, with random weights of Qwen3-4B's shape: nothing is downloaded.

    python benchmarks/gpu.py                          full fine-tuning, then LoRA; with several GPUs also FSDP2 on all
    python benchmarks/gpu.py runs=lora steps=5
    python benchmarks/gpu.py size=toy                 the same road on a CPU, in a minute

Each run is train.py's own loop in a process of its own: vLLM samples 4 x 32 completions, the sandbox judges them,
update, weight sync. Three things are unlike a real run. Random weights never end a completion, so all have the full
1,024 tokens: the longest step there can be. They write no program that passes, so rewards are drawn by lot (a third
is 1), or there would be nothing to learn from. And no checkpoint is written. The first step warms up; figures are
medians of the others.

`mfu` counts 6 FLOPs a trained parameter and token, 4 a frozen one, against the GPU's dense bf16 peak
(run/throughput.py). The last line is one JSON object. `work=FOLDER` is where weights (8 GB) and runs are kept;
without it they are deleted.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from tokenizers import Tokenizer
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

import train
from policy.builtin import tiny
from rollout.rollout import Rollout
from run import launch

ROOT = Path(__file__).parents[1]
SHAPES: dict[str, dict[str, int]] = {
    "qwen3_4b": {
        "vocab_size": 151_936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    "toy": {
        "vocab_size": 2_000,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
    },
}
# What a size changes about `experiment=paper model=qwen3_4b`.
SIZES = {
    "qwen3_4b": ["rollout=vllm", "rollout.gpu_memory_utilization=0.5"],
    "toy": [
        "rollout=transformers",
        "prompts=2",
        "group=4",
        "rollout.max_new_tokens=16",
        "model.compute_dtype=float32",
    ],
}
RUNS: dict[str, list[str]] = {
    "full": [],
    "lora": ["lora.rank=32", "optimizer.learning_rate=5e-5"],
    "fsdp": [f"gpus={torch.cuda.device_count()}", "shard=true"],
}
PHASES = ("seconds/sample", "seconds/wait", "seconds/update", "seconds/sync", "seconds/step")
SHOWN = (*PHASES, "tokens/s", "tflops", "mfu", "memory_gib")


def save_random(shape: str, folder: Path) -> None:
    """Random weights of a shape, with the tiny policy's tokenizer stretched to the vocabulary."""
    source = AutoTokenizer.from_pretrained(tiny.ensure())
    description = json.loads(source.backend_tokenizer.to_str())
    words = description["model"]["vocab"]
    for number in range(len(source), SHAPES[shape]["vocab_size"]):
        words[f"<{number}>"] = number
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(description)),
        eos_token=source.eos_token,
        pad_token=source.pad_token,
    )
    tokenizer.chat_template = source.chat_template
    special: dict[str, Any] = {
        "eos_token_id": source.eos_token_id,
        "pad_token_id": source.pad_token_id,
        "bos_token_id": None,
    }
    size: dict[str, Any] = SHAPES[shape]
    config = Qwen3Config(**size, **special, max_position_embeddings=4096, tie_word_embeddings=True)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=source.eos_token_id, pad_token_id=source.pad_token_id)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def lots(group: Sequence[Rollout]) -> list[float | None]:
    """Rewards drawn by lot, the same on every rank: one in three programs passes, so that there is something to
    learn."""
    drawn = random.Random(repr([rollout.completion.tokens for rollout in group]))
    return [float(drawn.random() < 1 / 3) for _ in group]


def rank(text: str, folder: str) -> None:
    """One rank of a run: train.py's, but for checkpoints."""
    setattr(train.checkpoint, "save", lambda *_, **__: None)  # noqa: B010 (mypy)
    launch.rank(train.train, text, folder)


def measured(name: str, size: str, steps: int, model: Path, work: Path) -> dict[str, float]:
    """Medians over the steps of a run, from its metrics.jsonl; the run is a process of its own."""
    folder = work / f"run_{name}"
    one = work / "heldout.jsonl"  # train.py always evaluates: on a single problem
    one.write_text((ROOT / "problems" / "ladder" / "data" / "heldout.jsonl").read_text().split("\n")[0] + "\n")
    overrides = [
        "experiment=paper",
        "reward.function=benchmarks.gpu:lots",
        "model=qwen3_4b",
        f"model.path={model}",
        "dataset=ladder",
        f"dataset.heldout={one}",
        "heldout.every=0",
        "heldout.samples=1",
        "checkpoint.every=0",
        f"steps={steps + 1}",
        f"run_dir={folder}",
        *SIZES[size],
        *RUNS[name],
    ]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", overrides)
    OmegaConf.resolve(config)
    (folder / "checkpoints").mkdir(parents=True)
    command = [sys.executable, __file__, f"config={work / name}.yaml", f"folder={folder}"]
    OmegaConf.save(config, work / f"{name}.yaml")
    subprocess.run(command, check=True, stdout=sys.stderr)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["step"] > 1]
    return {key: statistics.median(row[key] for row in rows) for key in SHOWN if key in rows[0]}


def main() -> None:
    several = torch.cuda.device_count() > 1
    options = {
        "size": "qwen3_4b",
        "runs": "full,lora,fsdp" if several else "full,lora",
        "steps": "3",
        "work": "",
        "config": "",
        "folder": "",
    }
    for argument in sys.argv[1:]:
        key, _, value = argument.partition("=")
        if key not in options or not value:
            sys.exit(f"error: unknown argument {argument!r}; the keys are size, runs, steps, work")
        options[key] = value
    if options["config"]:  # a child: one run
        config = OmegaConf.load(options["config"])
        if config.gpus == 1:
            rank(OmegaConf.to_yaml(config), options["folder"])
        else:
            launch.launch(config.gpus, rank, OmegaConf.to_yaml(config), options["folder"])
        return
    runs = options["runs"].split(",")
    if options["size"] not in SIZES:
        sys.exit(f"error: size={options['size']!r}; the sizes are {', '.join(SIZES)}")
    if unknown := set(runs) - set(RUNS):
        sys.exit(f"error: runs={unknown.pop()!r}; the runs are {', '.join(RUNS)}")
    if options["size"] == "qwen3_4b" and not torch.cuda.is_available():
        sys.exit("error: size=qwen3_4b needs an NVIDIA GPU of 80 GB or more; size=toy runs here")
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(options["work"] or scratch).resolve()
        model = work / options["size"]
        if not model.exists():
            save_random(options["size"], model)
        results = {name: measured(name, options["size"], int(options["steps"]), model, work) for name in runs}
    print("| run | " + " | ".join(SHOWN) + " |\n|" + "---|" * (1 + len(SHOWN)))
    for name, figures in results.items():
        print(f"| {name} | " + " | ".join(f"{figures[key]:.4g}" if key in figures else "" for key in SHOWN) + " |")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(json.dumps({"device": device, "size": options["size"], **results}))


if __name__ == "__main__":
    main()
