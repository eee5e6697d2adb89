"""The optimizer step, ours against TRL's GRPOTrainer: seconds per step and peak memory above the weights.

    python benchmarks/trainer.py                                   every case this machine can run
    python benchmarks/trainer.py cases=smollm2_135m:128 steps=3 rounds=3
    python benchmarks/trainer.py cases=tiny:32 steps=1 rounds=1    a minute, to see that it runs

A case is model:tokens, tokens of each completion. Both sides get the same weights (fp32, computing in bf16 under
autocast), the same prompts of `dataset=ladder`, completions of the same tokens and the same rewards; both do log-probs,
loss (grpo), backward, clipping and AdamW. The completions are equally long, so that TRL pads nothing. Sampling is timed
apart. Each measurement is a fresh process; sides take turns; figures are medians over the rounds.

    ours       training.update.update, as train.py calls it
    trl        GRPOTrainer with its own defaults: micro-batches of 8, gradient checkpointing, fused log-probs and AdamW
    trl_fast   the same without gradient checkpointing
    trl_lean   the same as trl with micro-batches of 1

"Memory above the weights" is the peak of the resident set (of the GPU's memory, where there is one) less what was
resident with the weights loaded and the trainer made. The last line is one JSON object: `time_vs_trl` compares with the
fastest of TRL's, `memory_vs_trl_*` with trl; both are the worst over the cases.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from omegaconf import OmegaConf
from pydantic import field_validator

from base import script
from base.command_line import Command, Names
from base.settings import Count
from benchmarks.trainer_sides import MODELS, ROOT, SIDES, Figures, Task, ours, trl
from policy.pretrained import folder
from policy.settings import ModelSettings

CASES = ["tiny:128", "smollm2_135m:128", "smollm2_135m:256", "smollm2_152k:128", "smollm2_152k:256"]


def weights(model: str, scratch: Path) -> str:
    """The folder of a model's weights; random ones of its shape are written to `scratch`."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    group, words = MODELS[model]
    source = folder(ModelSettings.read(OmegaConf.load(ROOT / "conf" / "model" / f"{group}.yaml")))
    if words is None:
        return source
    target = scratch / model
    if not target.exists():
        torch.manual_seed(0)
        shape = AutoConfig.from_pretrained(source, vocab_size=words)
        AutoModelForCausalLM.from_config(shape, dtype=torch.float32).save_pretrained(target)
        AutoTokenizer.from_pretrained(source).save_pretrained(target)
    return str(target)


def measure(task: Task) -> Figures:
    """Runs the task in a fresh process."""
    command = [sys.executable, __file__, "task=" + json.dumps(asdict(task))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: {task.side} failed on {task.model}:{task.tokens}, exit status {done.returncode}")
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def median(rounds: list[Figures]) -> Figures:
    return Figures(
        [statistics.median(second for figures in rounds for second in figures.seconds)],
        [statistics.median(second for figures in rounds for second in figures.cpu_seconds)],
        statistics.median(figures.weights_gib for figures in rounds),
        statistics.median(figures.memory_gib for figures in rounds),
        rounds[0].grad_norm,
        rounds[0].sampled_per_second,
    )


def compare(case: str, arguments: Arguments, scratch: Path) -> dict[str, Figures]:
    """The medians of each side on a case; the sides take turns."""
    model, _, tokens = case.partition(":")
    path, sides = weights(model, scratch), arguments.sides
    rounds: dict[str, list[Figures]] = {side: [] for side in sides}
    for number in range(arguments.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            sampling = number == 0 and side in ("ours", "trl") and arguments.sampling
            size = (arguments.prompts, arguments.group, arguments.steps)
            figures = measure(Task(side, model, path, int(tokens), *size, sampling))
            print(f"{case:>18} round {number} {side:9} {json.dumps(asdict(figures))}", file=sys.stderr)
            rounds[side].append(figures)
    return {side: median(found) for side, found in rounds.items()}


def table(results: dict[str, dict[str, Figures]]) -> str:
    lines = [
        "| case | side | s/step | CPU s/step | memory above, GiB | weights, GiB | grad norm | sampling, tokens/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, sides in results.items():
        for side, figures in sides.items():
            rate = "" if figures.sampled_per_second is None else f"{figures.sampled_per_second:.0f}"
            lines.append(
                f"| {case} | {side} | {figures.seconds[0]:.2f} | {figures.cpu_seconds[0]:.2f} "
                f"| {figures.memory_gib:.2f} | {figures.weights_gib:.2f} | {figures.grad_norm:.4g} | {rate} |"
            )
    return "\n".join(lines)


def ratios(results: dict[str, dict[str, Figures]]) -> dict[str, float | None]:
    """Worst over the cases: time to TRL's fastest, memory to TRL as it comes, by vocabulary. None: not run."""
    times: list[float] = []
    memories: dict[str, list[float]] = {"49k": [], "152k": []}
    for case, sides in results.items():
        theirs = [figures for side, figures in sides.items() if side != "ours"]
        if "ours" not in sides or not theirs:
            continue
        times.append(sides["ours"].seconds[0] / min(figures.seconds[0] for figures in theirs))
        size = {"smollm2_135m": "49k", "smollm2_152k": "152k", "qwen3_4b": "152k"}.get(case.partition(":")[0])
        if size and "trl" in sides:
            memories[size].append(sides["ours"].memory_gib / sides["trl"].memory_gib)
    return {
        "time_vs_trl": max(times, default=None),
        **{f"memory_vs_trl_{size}": max(found, default=None) for size, found in memories.items()},
    }


class Arguments(Command):
    usage: ClassVar[str] = "python benchmarks/trainer.py cases=tiny:128 sides=ours,trl rounds=3"

    cases: Names = ()  # model:tokens; none: CASES, and where a GPU is one of its size
    sides: Names = SIDES
    prompts: Count = 1
    group: Count = 8
    steps: Count = 2
    rounds: Count = 1
    sampling: bool = True  # measured in the first round
    task: str | None = None  # of a child process: what it measures, as JSON

    @field_validator("cases")
    @classmethod
    def _models_and_tokens(cls, cases: tuple[str, ...]) -> tuple[str, ...]:
        for case in cases:
            model, _, tokens = case.partition(":")
            if model not in MODELS or not tokens.isdigit():
                raise ValueError(f"{{key}}: {case!r} is not model:tokens; the models are {', '.join(MODELS)}")
        return cases

    @field_validator("sides")
    @classmethod
    def _known(cls, sides: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(sides) - set(SIDES):
            raise ValueError(f"{{key}}: {unknown.pop()!r}; the sides are {', '.join(SIDES)}")
        return sides


def main() -> None:
    arguments = Arguments.parse(sys.argv[1:])
    if arguments.task is not None:
        task = Task(**json.loads(arguments.task))
        print(json.dumps(asdict(ours(task) if task.side == "ours" else trl(task))))
        return
    cases = arguments.cases or (*CASES, *(["qwen3_4b:512"] if torch.cuda.is_available() else []))
    with tempfile.TemporaryDirectory() as scratch:
        results = {case: compare(case, arguments, Path(scratch)) for case in cases}
    print(table(results))
    made_of = {case: {side: asdict(figures) for side, figures in found.items()} for case, found in results.items()}
    print(json.dumps({**ratios(results), "made_of": made_of}))


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main()
