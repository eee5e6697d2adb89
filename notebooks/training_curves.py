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
from pathlib import Path

ROOT = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

from IPython.display import Markdown

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
    _, scores = run.series("heldout/pass@1")
    last = run.heldout()
    after = report.percent(last["pass@1"]) if last and "pass@1" in last else f"{100 * scores[-1]:.1f}"
    config = run.config
    rows.append(
        [
            run.name,
            run.language,
            config["model"]["name"],
            *map(str, (config["group"], config["seed"], run.last_step)),
            f"{100 * scores[0]:.1f}",
            after,
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
