"""A model card: what a checkpoint learned, from which data, how it was scored, how it is loaded.

    python -m study.card runs/NAME [scores]     writes README.md into the newest checkpoint of a run

Scores are those of the run's held-out evaluation, and what evaluate.py gave this checkpoint (every scores.json under
the second folder). `python -m study.publish` writes the card too, and uploads both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from base import script
from base.errors import DataError
from base.files import write_text
from rollout.reward import TERMS
from run import run_folder
from study import report
from study.compare import read
from study.run_data import Run, read_rows

LOAD = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForCausalLM.from_pretrained("{name}")
```"""
LOAD_ADAPTER = """\
```python
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoPeftModelForCausalLM.from_pretrained("{name}")
```"""
METHODS = {  # how it was taught
    "grpo": "by reinforcement learning: a program is rewarded if it prints what the tests of its problem expect",
    "distillation": "by supervised fine-tuning on the programs of a teacher",
    "rejection_sampling": "by supervised fine-tuning on those of its own programs that pass the tests of their problem",
}
LIMITS = """\
Programs were judged by what they print and nothing else, so the model has learned small programs that read standard
input and print; nothing says that its code is safe, efficient or well written. Run what it writes in a sandbox."""


def checkpoint_of(run: Run) -> Path:
    """Its newest checkpoint. Raises DataError."""
    found = run_folder.last_checkpoint(run.folder)
    if found is None:
        raise DataError(f"{run.folder} holds no checkpoint")
    return found


def evaluations_of(checkpoint: Path, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The scores that evaluate.py gave this checkpoint. Raises DataError."""
    found = [read(str(path)) for folder in folders for path in sorted(folder.rglob("scores.json"))]
    return [scores for scores in found if Path(scores["model"]).resolve() == checkpoint.resolve()]


def card(run: Run, checkpoint: Path, evaluations: Sequence[dict[str, Any]], name: str) -> str:
    """The README.md of a checkpoint; `name` is what it is called on the hub."""
    config, step = run.config, int(checkpoint.name.rpartition("_")[2])
    model, dataset = config["model"], config["dataset"]
    method, titles = str(config.get("method", "grpo")), [language.title for language in run.languages]
    published = bool(model.get("path")) and not Path(str(model["path"])).exists()  # on the hub, not a local folder
    base = model["path"] if published else model["name"]
    adapter = (checkpoint / "adapter_config.json").exists()
    front: dict[str, Any] = {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["code", "agnostics", method.replace("_", "-"), *[title.lower() for title in titles]],
    }
    if published:
        front["base_model"] = base
    if dataset.get("source"):
        front["datasets"] = [dataset["source"]]
    rows = _scores(run, step, evaluations)
    scored = [row for row in rows if row["score"]]
    front["model-index"] = [
        {
            "name": name,
            "results": [
                {
                    "task": {"type": "text-generation"},
                    "dataset": {"name": f"{row['dataset']} ({row['language']})", "type": row["dataset"]},
                    "metrics": [{"type": "pass@1", "value": round(row["score"]["value"], 4)}],
                }
                for row in scored
            ],
        }
    ]
    if not scored:
        del front["model-index"]
    table = report.table(
        ["benchmark", "language", "pass@1, % [95 % interval]", "problems", "samples", "temperature"],
        [
            [
                row["dataset"], row["language"], report.percent(row["score"]),
                *(str(row[key]) for key in ("problems", "samples", "temperature")),
            ]
            for row in rows
        ],
    )  # fmt: skip
    training = [
        ("base model", base),
        *(
            [("began with", f"the weights of the run {_run_of(config['warm_start'])}")]
            if config.get("warm_start")
            else []
        ),
        ("language", ", ".join(titles)),
        ("data", f"{dataset['name']}, licence {dataset.get('license') or 'not known'}"),
        *(_reinforced(config, step) if method == "grpo" else _supervised(config, step)),
        ("optimizer", f"AdamW, {config['optimizer']['learning_rate']}, {config['optimizer']['schedule']}"),
        ("trained", f"LoRA of rank {config['lora']['rank']}" if adapter else "all weights"),
        ("seed", str(config["seed"])),
        ("time", f"{run.seconds() / 60:.1f} minutes"),
        ("versions", _versions(run.folder)),
    ]
    parts = [
        "---\n" + yaml.safe_dump(front, sort_keys=False, allow_unicode=True) + "---",
        f"# {name}",
        f"{base}, taught to program in {', '.join(titles)} {_method(config, method)}. The method is one of *Agnostics: "
        "Learning to Synthesize Code in Any Programming Language with a Universal Reinforcement Learning Environment* "
        "(Boruch-Gruszecki and others).",
        "## Scores",
        table if rows else "Not evaluated.",
        "Intervals are of 95 % over problems: bootstraps, and Wilson's where each problem is solved always or never.",
        "## Loading",
        (LOAD_ADAPTER if adapter else LOAD).format(name=name),
        "Ask for a program in one code block; what it was trained with:",
        *_example(run),
        "## Training",
        report.table(["", ""], [[key, str(value)] for key, value in training]),
        "## Limits",
        LIMITS,
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _method(config: dict[str, Any], method: str) -> str:
    own = method == "grpo" and config["reward"].get("function")
    return "by reinforcement learning, with a reward function of its own" if own else METHODS[method]


def _reinforced(config: dict[str, Any], step: int) -> list[tuple[str, str]]:
    rollout, loss, paid = config["rollout"], config["loss"], config["reward"]
    verdicts = ", ".join(f"{name} {value}" for name, value in paid.items() if name not in (*TERMS, "function"))
    terms = "".join(f"; {name} {paid[name]}" for name in TERMS if paid.get(name))
    variant = f"{loss['variant']}, clip {loss['clip_low']} and {loss['clip_high']}"
    if loss.get("function"):
        variant = f"the function {loss['function']}"
    return [
        ("steps", f"{step}, {config['prompts']} problems each, {config['group']} programs per problem"),
        ("sampling", f"T = {rollout['temperature']}, top_p {rollout['top_p']}, {rollout['max_new_tokens']} new tokens"),
        ("reward", f"the function {paid['function']}" if paid.get("function") else f"{verdicts}, else 0{terms}"),
        ("loss", f"{variant}, KL {loss['kl']}"),
    ]


def _run_of(checkpoint: str) -> str:
    """The name of a checkpoint's run, without a path of this machine."""
    path = Path(checkpoint)
    return path.parents[1].name if path.parent.name == "checkpoints" else path.name


def _supervised(config: dict[str, Any], step: int) -> list[tuple[str, str]]:
    teacher = config["teacher"]
    passes = f", {teacher['epochs']} epochs" if config.get("steps") is None else ""  # `steps` has the last word
    drawn = f"{teacher['n']} per problem" if teacher.get("answers") is None else "of a file"
    return [
        ("steps", f"{step}, {teacher['batch']} answers each{passes}"),
        ("answers", f"{drawn}, learned from if {teacher['accept']}"),
        ("loss", "negative log-likelihood of the answers' tokens"),
    ]


def _scores(run: Run, step: int, evaluations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is known of the checkpoint, one row per benchmark."""
    rows = []
    heldout = run.heldout(step)
    if heldout and heldout.get("pass@1"):
        rows.append(
            {
                "dataset": f"{run.config['dataset']['name']}, held out",
                "language": run.language,
                "score": heldout["pass@1"],
                "problems": heldout["problems"],
                "samples": run.config["heldout"]["samples"],
                "temperature": run.config["heldout"]["temperature"],
            }
        )
    rows += [
        {
            "dataset": scores["dataset"],
            "language": scores["language"],
            "score": scores["pass@1"],
            "problems": scores["problems"],
            "samples": scores["protocol"]["samples"],
            "temperature": scores["protocol"]["temperature"],
        }
        for scores in evaluations
    ]
    return rows


def _example(run: Run) -> list[str]:
    """A prompt of the run, indented: it may hold fences."""
    files = run.rollout_files("heldout") or run.rollout_files("train")
    if not files:
        return ["(no rollouts are kept)"]
    prompt = read_rows(files[max(files)])[0]["prompt"]
    return ["\n".join("    " + line for line in prompt.splitlines()[:60])]


def _versions(folder: Path) -> str:
    try:
        found = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
        return ", ".join(f"{key} {found[key]}" for key in ("git", "torch", "transformers") if key in found)
    except (OSError, ValueError, TypeError):
        return "not known"


def write(run: Run, evaluations: Sequence[Path], name: str) -> Path:
    """Writes the card beside the newest checkpoint's weights; returns the checkpoint's folder."""
    checkpoint = checkpoint_of(run)
    text = card(run, checkpoint, evaluations_of(checkpoint, evaluations), name)
    write_text(checkpoint / "README.md", text)
    return checkpoint


def main(arguments: list[str]) -> None:
    if not 1 <= len(arguments) <= 2:
        sys.exit("error: name a run, then a folder of scores: python -m study.card runs/NAME [scores]")
    run = Run.read(arguments[0])
    try:
        print(write(run, [Path(name).expanduser() for name in arguments[1:]], run.name) / "README.md")
    except OSError as error:
        raise DataError(str(error)) from error


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])
