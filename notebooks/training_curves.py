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
# # Training curves
#
# The paper's figures 5 and 7 to 14 from run folders: pass@1 of each batch and on held-out problems. Several runs are
# aligned by step. Name your own runs in `RUNS`, here or as an environment variable.

# %%
import os
import sys
from html import escape
from pathlib import Path

ROOT = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

from IPython.display import Markdown

from run.cost import before_and_after
from study import figures, report
from study.run_data import Run

DATA = "notebooks/data/runs"
RUNS = os.environ.get("RUNS", f"{DATA}/lua_seed0,{DATA}/lua_seed1,{DATA}/python_seed0").split(",")
runs = [Run.read(folder) for folder in RUNS]

# %% [markdown]
# ## What was run

# %%
header = ["run", "language", "model", "group", "seed", "steps", "held out before, %", "after, % [95 % interval]"]
rows = []
for run in runs:
    before, after = ("" if score is None else f"{100 * score:.1f}" for score in before_and_after(run.metrics))
    last = run.heldout(run.last_step)
    config = run.config
    rows.append(
        [
            *map(escape, (run.name, run.language, config["model"]["name"])),
            *map(str, (config["group"], config["seed"], run.last_step)),
            before,
            report.percent(last["pass@1"]) if last and last.get("pass@1") else after,
        ]
    )
Markdown(report.table(header, rows))

# %% [markdown]
# ## Batch pass@1 of all runs (figures 5 and 8)

# %%
figures.show(figures.batch_curves(runs))

# %% [markdown]
# ## Held-out pass@1 of all runs (figure 9)

# %%
figures.show(figures.heldout_curves(runs))

# %% [markdown]
# ## Each run: batch and held out together (figures 10 to 14)
#
# The vertical bars are 95 % intervals over problems, where the run kept its held-out programs.

# %%
for run in runs:
    figures.show(figures.run_curve(run))

# %% [markdown]
# ## What the programs died of

# %%
for run in runs:
    figures.show(figures.verdict_areas(run))
