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
# # Results
#
# The paper's tables 1 to 8 with your own evaluations beside them. `SCORES` names folders that hold `scores.json`
# files of `evaluate.py`, at any depth. Figures of the paper are as it prints them, without intervals; yours have 95 %
# intervals, by bootstrap over problems.

# %%
import os
import sys
from pathlib import Path

ROOT = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

import yaml
from IPython.display import Markdown, display

from study import figures, report
from study.compare import compare, read

SCORES = os.environ.get("SCORES", "notebooks/data/scores").split(",")
found = [read(str(path)) for folder in SCORES for path in sorted(Path(folder).expanduser().rglob("scores.json"))]
paper = yaml.safe_load(Path("notebooks/data/paper.yaml").read_text())

# %% [markdown]
# ## Your evaluations

# %%
labels = {f"{scores['model']}, {scores['language']} on {scores['dataset']}": scores for scores in found}
rows = [
    [
        label,
        *(report.percent(scores[key]) if key in scores else "" for key in ("pass@1", "pass@5")),
        str(scores["problems"]),
        str(scores["protocol"]["samples"]),
    ]
    for label, scores in labels.items()
]
display(Markdown(report.table(["evaluation", "pass@1, %", "pass@5, %", "problems", "samples"], rows)))
figures.show(figures.score_bars({label.replace(", ", "\n", 1): scores for label, scores in labels.items()}))

# %% [markdown]
# ## Is one better than another?
#
# Pairs on the same benchmark in the same language, problem by problem (`study/compare.py`).

# %%
rows = []
names = list(labels)
for number, a in enumerate(names):
    for b in names[number + 1 :]:
        if all(labels[a][key] == labels[b][key] for key in ("dataset", "language")):
            result = compare(labels[a], labels[b])
            points = f"{100 * result['difference']:+.1f} [{100 * result['low']:+.1f}, {100 * result['high']:+.1f}]"
            rows.append([labels[a]["model"], labels[b]["model"], points, f"{result['p']:.4f}"])
Markdown(report.table(["A", "B", "B - A, points", "p"], rows) if rows else "No two evaluations can be compared.")

# %% [markdown]
# ## The paper's tables, yours below the line
#
# Evaluations on a table's benchmark join it as rows with intervals.


# %%
def table(name: str) -> str:
    """A table of the paper; evaluations on its benchmark follow, in bold."""
    shown = paper[name]
    rows = [[model, *map(str, cells)] for model, cells in shown["rows"].items()]
    mine = [scores for scores in found if scores["dataset"] == shown["dataset"]]
    for model in sorted({scores["model"] for scores in mine}):
        cells = {scores["language"]: report.percent(scores["pass@1"]) for scores in mine if scores["model"] == model}
        rows.append([f"**{model}**", *(cells.get(column, "") for column in shown["columns"])])
    title = f"### {name.capitalize()}: {shown['benchmark']}, pass@1 in %\n\n"
    return title + report.table(["model", *shown["columns"]], rows)


for name in paper:
    if name.startswith("table"):
        display(Markdown(table(name)))
