# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Bugs
#
# Radar charts of what kinds of bugs failed programs have (the paper's figures 6 and 15 to 19). `BUGS` names `bugs.json`
# files of `python -m study.bugs`, such as those of one model before and after training. A radial is a theme; how far
# out a point lies is the share of the failed programs that have it, and a program may have several.

# %%
import json
import os
import sys
from html import escape
from pathlib import Path

ROOT = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

import yaml
from IPython.display import Markdown, display

from study import figures, report
from study.bugs.themes import TITLES

DATA = "notebooks/data/scores"
BUGS = os.environ.get("BUGS", f"{DATA}/before/bugs/bugs.json,{DATA}/after/bugs/bugs.json").split(",")


def label(path: Path) -> str:
    """The folder that was looked at and, of a run, the step: X/step_000000 of runs/X/bugs/step_000000/bugs.json."""
    return "/".join(part for part in path.parent.parts[-3:] if part != "bugs")


labels = [label(Path(name)) for name in BUGS]  # two that are alike are told apart by their whole paths
found = {
    name if labels.count(short) > 1 else short: json.loads(Path(name).read_text())
    for name, short in zip(BUGS, labels, strict=True)
}


# %%
def shares(bugs: dict, who: str) -> dict[str, float]:
    return {theme: row[who] / max(1, bugs["programs"]) for theme, row in bugs["themes"].items()}


def labelled(who: str) -> dict[str, dict[str, float]]:
    """The sets that `who` (rules, model) has labelled, with how many programs each has."""
    named = {name: bugs for name, bugs in found.items() if who in bugs["unlabelled"]}
    return {f"{name}: {bugs['programs']} failed programs": shares(bugs, who) for name, bugs in named.items()}


# %% [markdown]
# ## By the rules

# %%
figures.show(figures.radar(labelled("rules"), "Bugs in failed programs, by rules"))

# %% [markdown]
# ## By a model
#
# Where `python -m study.bugs` was given one (`model=endpoint ...`).

# %%
if labelled("model"):
    figures.show(figures.radar(labelled("model"), "Bugs in failed programs, by a model"))
else:
    print("no model has labelled these programs")

# %% [markdown]
# ## Counts, and how far rules and model agree
#
# Cohen's kappa is 1 for agreement in every program and 0 for what chance alone would give.

# %%
for name, bugs in found.items():
    asked = "model" in bugs["unlabelled"]
    rows = []
    for theme, row in bugs["themes"].items():
        kappa = "" if row.get("kappa") is None else f"{row['kappa']:.2f}"
        rows.append([TITLES[theme], str(row["rules"]), *([str(row["model"]), kappa] if asked else [])])
    header = ["theme", "rules", *(["model", "kappa"] if asked else [])]
    display(Markdown(f"### {escape(name)}: {bugs['programs']} failed programs\n\n" + report.table(header, rows)))
    if asked and bugs["jaccard"] is not None:
        print(f"mean Jaccard index over {bugs['compared']} programs: {bugs['jaccard']:.2f}")

# %% [markdown]
# ## The paper's figures for OCaml
#
# Section 4.4 gives three of the seven themes of figure 6 in words, as labelled by Sonnet 4.

# %%
paper = yaml.safe_load(Path("notebooks/data/paper.yaml").read_text())["bugs"]
rows = [
    [TITLES[theme], *(f"{shares[theme]:.0%}" for shares in paper.values())]
    for theme in ("syntax", "functions", "logic")
]
Markdown(report.table(["theme", *paper], rows))
