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
# # Where the time goes
#
# Sampling, verification in the sandbox, update and weight sync of a run, from its `metrics.jsonl`. Verification runs
# beside sampling; `waiting` is only what sampling could not hide.

# %%
import os
import statistics
import sys
from html import escape
from pathlib import Path

ROOT = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

from IPython.display import Markdown

from study import figures, report
from study.run_data import Run

RUNS = os.environ.get("RUNS", "notebooks/data/runs/lua_seed0,notebooks/data/runs/python_seed0").split(",")
runs = [Run.read(folder) for folder in RUNS]

# %% [markdown]
# ## A typical step
#
# Medians over steps. `held out` is the sum of all evaluations between steps.

# %%
header = [
    "run",
    "step, s",
    *(f"{label}, s" for label in figures.PHASES.values()),
    "waiting, % of a step",
    "tokens/s",
    "programs/s",
    "held out, s",
]
rows = []
for run in runs:
    median = {
        key: statistics.median(run.series(key)[1])
        for key in ("seconds/step", *figures.PHASES, "wait_share", "tokens/s", "programs/s")
    }
    rows.append(
        [
            escape(run.name),
            *(f"{median[key]:.2f}" for key in ("seconds/step", *figures.PHASES)),
            f"{100 * median['wait_share']:.1f}",
            *(f"{median[key]:.0f}" for key in ("tokens/s", "programs/s")),
            f"{sum(run.series('heldout/seconds')[1]):.1f}",
        ]
    )
Markdown(report.table(header, rows))

# %%
for run in runs:
    figures.show(figures.step_profile(run))

# %% [markdown]
# ## Throughput

# %%
for run in runs:
    figures.show(figures.throughput(run))
