"""What is measured of a run or an evaluation: one number per seed, from what it wrote.

    before, after    held-out pass@1 of a run before training and at its end
    mean             of its held-out pass@1 after training began: how soon it learned
    score            pass@1 of an evaluation
    wrong_output     share of the programs of the last quarter of the steps that run and print something wrong
    ignores_input    of the programs that earned something in that quarter, those that print the same whatever they read
    shallow_before   share of the failed held-out programs that get the language wrong: syntax, functions, types,
    shallow_after    variables (study/bugs/themes.py), before training and at its end
    logic_before     the same of programs whose algorithm is wrong
    logic_after

Each is a share between 0 and 1, and None where there is none (no program failed, an evaluation without verdicts).
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

from hydra import compose, initialize_config_dir

from base.script import CONF
from run.cost import before_and_after
from study import bugs, hacking
from study.bugs.themes import Theme
from study.claims.plan import Measure
from study.compare import read
from study.run_data import Run

SHALLOW = {Theme.SYNTAX, Theme.FUNCTIONS, Theme.TYPES, Theme.UNINITIALIZED}
PROGRAMS = 600  # of a run that are run again to see whether they read their input
ASKED = {"problems": 1000, "samples": 1000, "seed": 0}  # of study.bugs: every held-out program


def measure(folder: Path, name: Measure) -> float | None:
    """The measure of one seed's `folder`. Raises DataError and what running its programs again raises."""
    if name == "score":
        found = read(str(folder))["pass@1"]
        return found and float(found["value"])
    run = Run.read(folder)
    if name == "wrong_output":
        return fmean(row.get("verdict/wrong_output", 0.0) for row in last_quarter(run))
    if name == "ignores_input":
        return _signs(folder)["ignores_input"]["share_last_quarter"]
    if name in ("before", "after", "mean"):
        learned = [score for step, score in curve(folder) if step > 0]
        before, after = before_and_after(run.metrics)
        return {"before": before, "after": after, "mean": fmean(learned) if learned else None}[name]
    about, when = name.split("_")
    themes = _themes(folder, 0 if when == "before" else run.last_step)
    wanted = SHALLOW if about == "shallow" else {Theme.LOGIC}
    return fmean(bool(wanted & labels) for labels in themes) if themes else None


def last_quarter(run: Run) -> list[dict[str, Any]]:
    """The rows of metrics of its last steps."""
    steps = [row for row in run.metrics if row["step"] > 0]
    return steps[-max(1, len(steps) // 4) :]


def curve(folder: Path) -> list[tuple[int, float]]:
    """(step, held-out pass@1) of a run."""
    return list(zip(*Run.read(folder).series("heldout/pass@1"), strict=True))


def _signs(folder: Path) -> dict[str, Any]:
    found = _kept(folder / "hacking.json")
    if found.get("programs") != PROGRAMS:  # made by hand, of another number
        found = hacking.report(folder, PROGRAMS, None)
    return dict(found["signs"])


def _themes(folder: Path, step: int) -> list[set[str]]:
    """The themes of each failed held-out program after `step`."""
    out = folder / "bugs" / f"step_{step:06d}"
    if _kept(out / "bugs.json").get("asked") != ASKED:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            words = [f"folder={json.dumps(str(folder))}", f"step={step}"]
            bugs.run(compose("bugs", words + [f"{key}={value}" for key, value in ASKED.items()]))
    lines = (out / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    return [set(row["rules"]) for row in map(json.loads, lines)]


def _kept(path: Path) -> dict[str, Any]:
    """What an earlier command has found; {} where none has been there."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
