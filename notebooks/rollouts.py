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
# # Rollouts
#
# A browser for what a model wrote: prompt, program, verdict, tests. `FOLDER` is a run or an evaluation.

# %%
import os
import sys
from pathlib import Path

ROOT = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

from collections import Counter
from html import escape

from IPython.display import HTML, Markdown, display

from problems import load
from study import report
from study.run_data import Run, read_rows

FOLDER = Path(os.environ.get("FOLDER", "notebooks/data/runs/lua_seed0"))
STEP = os.environ.get("STEP")  # of a run; none: its last one with rollouts
KIND = os.environ.get("KIND", "heldout")  # of a run: heldout or train

# %%
if (FOLDER / "samples.parquet").exists():
    rows, tests = read_rows(FOLDER / "samples.parquet"), {}
else:
    run = Run.read(FOLDER)
    files = run.rollout_files(KIND)
    step = int(STEP) if STEP else max(files)
    rows = read_rows(files[step])
    tests = {problem.id: problem.tests for problem in load.load(run.dataset, KIND)}
    print(f"{run.name}, {KIND}, after step {step}; there are the steps {', '.join(map(str, files))}")

# %% [markdown]
# ## All of them

# %%
problems = sorted({row["problem"] for row in rows})
table = []
for problem in problems:
    verdicts = Counter(row["verdict"] for row in rows if row["problem"] == problem)
    table.append([escape(problem), str(verdicts.total()), str(verdicts["passed"]), report.verdicts(verdicts)])
Markdown(report.table(["problem", "samples", "passed", "verdicts"], table))


# %% [markdown]
# ## One by one
#
# `browse(problem=..., verdict=..., first=0, count=3)`: the rollouts that fit.


# %%
def pre(title: str, text: str) -> str:
    box = "background:#f5f5f5;color:#1a1a1a;padding:.6em;white-space:pre-wrap;text-align:left"
    return f"<b>{escape(title)}</b><pre style='{box}'>{escape(text)}</pre>"


def show(row: dict) -> None:
    head = f"{row['problem']}: {row['verdict']}, {row['tests_passed']} of {row['tests']} tests"
    if row.get("reward") is not None:
        head += f", reward {row['reward']:g}, advantage {row['advantage']:+.2f}"
    parts = [
        f"<h3>{escape(head)}</h3>",
        pre("prompt", row["prompt"]),
        pre("program", row["program"] or "(none found) " + row["completion"]),
    ]
    for number, test in enumerate(tests.get(row["problem"], ())[:4], 1):
        parts.append(pre(f"test {number}", f"in:  {test.input.strip()}\nout: {test.output.strip()}"))
    if row["message"]:
        parts.append(pre("message", row["message"]))
    display(HTML("\n".join(parts)))


def browse(problem: str | None = None, verdict: str | None = None, first: int = 0, count: int = 3) -> None:
    fits = [
        row for row in rows if (not problem or row["problem"] == problem) and (not verdict or row["verdict"] == verdict)
    ]
    print(f"{len(fits)} rollouts; showing {first} to {min(len(fits), first + count) - 1}" if fits else "none fits")
    for row in fits[first : first + count]:
        show(row)


# %%
browse(verdict="passed", count=1)

# %%
browse(verdict="wrong_output", count=1)

# %%
browse(verdict="runtime_error", count=1)
