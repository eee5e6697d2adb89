# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The paper's claims, tried at the scale of a laptop
#
# What `python -m study.claims` found: every comparison with its interval, and how each part learned. Name the folder of
# your own study in `STUDY`, here or as an environment variable. [The results page](../docs/results/claims.md) says what
# was run and what a tiny model cannot tell.

# %%
import json
import os
import sys
from pathlib import Path

ROOT = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

from IPython.display import Markdown

from study.claims import figures
from study.claims.page import page
from study.figures import show

STUDY = Path(os.environ.get("STUDY", "notebooks/data/claims"))
found = json.loads((STUDY / "claims.json").read_text())
Markdown(page(found))

# %% [markdown]
# ## The difference behind each verdict
#
# A claim that something is more is seen where the whole interval lies right of zero. The grey band is the margin:
# differences that are surely inside it count as none.

# %%
show(figures.differences(found))

# %% [markdown]
# ## How the methods learn
#
# The mean over seeds; the band goes from the lowest seed to the highest.

# %%
METHODS = ["grpo", "distillation", "distillation_32", "rejection_sampling", "rejection_sampling_12_epochs"]
REWARDS = ["grpo", "partial", "dense", "max_rl", "resample"]
ORDERS = ["grpo", "prefix", "warm_grpo", "pass_rate", "easy_to_hard"]
SETTINGS = ["grpo", "group_16", "group_64", "temperature_0.2", "temperature_0.7", "rate_1e-4", "rate_1e-3"]
FIGURES = [
    ("easy", METHODS, "from 25 %: methods"),
    ("hard", METHODS, "from near zero: methods"),
    ("easy", SETTINGS, "from 25 %: settings"),
    ("easy", REWARDS, "from 25 %: rewards, advantages, resampling"),
    ("hard", REWARDS, "from near zero: rewards, advantages, resampling"),
    ("hard", ORDERS, "from near zero: prefix, warm start, curricula"),
]
for start, names, title in FIGURES:
    show(figures.curves(found, [f"{start}/{name}" for name in names], title))
