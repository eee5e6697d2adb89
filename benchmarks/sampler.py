"""How fast vLLM samples here, with the model's weights and with rounded ones, and how far each is from the trainer.

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python benchmarks/sampler.py model=qwen_coder_1.5b

Eight problems of `ladder`, asked in Lua, are answered `rows` / 8 times each, once with `short` tokens per answer and
once with `tokens`, none of which may end early but by the model's own choice. Prints one JSON object for each kind of
weights, each measured in a process of its own, the one after the other: seconds of both, seconds per decoding step
(their difference by the difference of tokens), and the gap to the trainer in nats per token.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).parent.parent))

from hydra import compose, initialize_config_dir
from pydantic import field_validator

import languages
from base import script
from base.command_line import Command
from base.settings import Count
from benchmarks.gap import sampler_gap
from policy.model import Policy
from policy.samplers.sampler import Completion, Sampling
from policy.samplers.vllm import VllmSampler
from policy.settings import ModelSettings, RolloutSettings
from problems import load

PROBLEMS = 8
TEMPERATURE = 0.9
SCORED = 12  # completions whose gap is measured


class Arguments(Command):
    usage: ClassVar[str] = "python benchmarks/sampler.py model=qwen_coder_1.5b"

    model: str = "qwen_coder_1.5b"
    rows: Count = 64  # a multiple of PROBLEMS
    short: Count = 24
    tokens: Count = 96
    quantize: Literal["none", "int8", "both"] = "both"

    @field_validator("rows")
    @classmethod
    def _as_many_for_each(cls, rows: int) -> int:
        if rows % PROBLEMS:
            raise ValueError(f"{{key}} is {rows}; it must be a multiple of {PROBLEMS}")
        return rows


def measure(arguments: Arguments) -> dict[str, float | str]:
    """In this process."""
    languages.register()
    with initialize_config_dir(str(script.CONF), version_base=None):
        config = compose("evaluate", [f"model={arguments.model}", "rollout=vllm", "dataset=ladder", "language=lua"])
    rollout = RolloutSettings.read(config.rollout, "rollout").model_copy(
        update={
            "batch_size": arguments.rows,
            "max_new_tokens": arguments.tokens,
            "quantize": None if arguments.quantize == "none" else arguments.quantize,
        }
    )
    policy = Policy.load(ModelSettings.read(config.model, "model"))
    sampler = VllmSampler(policy, rollout, seed=0)
    lua = languages.load("lua")
    asked = load.load(load.dataset(config.dataset), "heldout")[:PROBLEMS]
    prompts = [policy.encode(policy.chat(problem, lua)) for problem in asked]
    seconds, seen = [], list[Completion]()
    for tokens in (2, arguments.short, arguments.tokens):  # the first call of all makes what later ones have
        seen.clear()
        started = time.perf_counter()
        sampler.sample(
            prompts, arguments.rows // PROBLEMS, Sampling(TEMPERATURE, tokens), 0, lambda _, found: seen.append(found)
        )
        seconds.append(time.perf_counter() - started)
    few = sorted(seen[:SCORED], key=lambda completion: completion.prompt)  # rows of a prompt after one another
    return {
        "weights": arguments.quantize,
        f"seconds, {arguments.short} tokens": round(seconds[1], 2),
        f"seconds, {arguments.tokens} tokens": round(seconds[2], 2),
        "seconds per decoding step": round((seconds[2] - seconds[1]) / (arguments.tokens - arguments.short), 4),
        "gap, nats per token": round(sampler_gap(policy, [prompts[c.prompt] for c in few], few, TEMPERATURE), 4),
    }


def main() -> None:
    arguments = Arguments.parse(sys.argv[1:])
    if arguments.quantize != "both":
        print(json.dumps(measure(arguments)))
        return
    for kind in ("none", "int8"):
        words = [f"model={arguments.model}", f"rows={arguments.rows}", f"short={arguments.short}"]
        command = [sys.executable, __file__, *words, f"tokens={arguments.tokens}", f"quantize={kind}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main()
