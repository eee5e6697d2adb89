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
# intervals over problems: by bootstrap, or Wilson's where each problem is solved always or never.

# %%
import os
import sys
from html import escape
from pathlib import Path

ROOT = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

import yaml
from IPython.display import Markdown, display

from base.errors import DataError
from study import figures, report
from study.compare import compare, p_words, points, read

SCORES = os.environ.get("SCORES", "notebooks/data/scores").split(",")
found = [read(str(path)) for folder in SCORES for path in sorted(Path(folder).expanduser().rglob("scores.json"))]
paper = yaml.safe_load(Path("notebooks/data/paper.yaml").read_text())

# %% [markdown]
# ## Your evaluations

# %%
keys = sorted({key for scores in found for key in scores["protocol"]})
told = [key for key in keys if len({repr(scores["protocol"].get(key)) for scores in found}) > 1]


def protocol(scores: dict) -> str:
    """What of its protocol others do not share."""
    return "".join(f", {key} {scores['protocol'].get(key)}" for key in told)


labels = {}
for scores in found:
    name = f"{scores['model']}, {scores['language']} on {scores['dataset']}{protocol(scores)}"
    labels[f"{name}, no. {len(labels) + 1}" if name in labels else name] = scores  # such as of another seed
rows = [
    [
        escape(label),
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
# Pairs on the same benchmark in the same language, problem by problem (`study/compare.py`). Pairs of two protocols are
# left out: their difference would say little of the models.

# %%
rows = []
names = list(labels)
for number, a in enumerate(names):
    for b in names[number + 1 :]:
        if all(labels[a][key] == labels[b][key] for key in ("dataset", "language")):
            try:
                result = compare(labels[a], labels[b])
            except DataError:
                continue
            rows.append([escape(a), escape(b), points(result), p_words(result["p"])])
Markdown(report.table(["A", "B", "B - A", "permutation test"], rows) if rows else "No two evaluations can be compared.")

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
    for model in sorted({scores["model"] + protocol(scores) for scores in mine}):
        same = [scores for scores in mine if scores["model"] + protocol(scores) == model]
        cells = {scores["language"]: report.percent(scores["pass@1"]) for scores in same}
        rows.append([f"**{escape(model)}**", *(cells.get(column, "") for column in shown["columns"])])
    title = f"### {name.capitalize()}: {shown['benchmark']}, pass@1 in %\n\n"
    return title + report.table(["model", *shown["columns"]], rows)


for name in paper:
    if name.startswith("table"):
        display(Markdown(table(name)))
