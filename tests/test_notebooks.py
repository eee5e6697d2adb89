"""Every notebook runs from top to bottom on the stored runs, shows what it promises, and equals its .py twin."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

FOLDER = ROOT / "notebooks"
# How many figures each shows, and words that only its own results can bring forth.
NOTEBOOKS = {
    "training_curves": (8, ["| lua_seed0 | lua |", "| python_seed0 | python |"]),
    "results": (1, ["### Table 1: Ag-LiveCodeBench-X", "| Qwen3-4B-CF-X | 23 | 22 | 15 |", "### Table 8"]),
    "bugs": (1, ["| Syntax and typos |", "failed programs", "no model has labelled"]),
    "rollouts": (0, ["<b>program</b>", "passed, ", "<b>test 1</b>"]),
    "profile": (4, ["| lua_seed0 |"]),
    "claims": (7, ["| another language does not suffer |", "| hard/grpo |"]),
}


def test_there_is_a_test_for_each() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(NOTEBOOKS) == {p.stem for p in FOLDER.glob("*.ipynb")}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_pair_is_one_notebook(name: str) -> None:
    """`jupytext --sync notebooks/*.py` writes the .ipynb."""
    text, notebook = (jupytext.read(FOLDER / f"{name}.{kind}") for kind in ("py", "ipynb"))
    assert [(c.cell_type, c.source) for c in text.cells] == [(c.cell_type, c.source) for c in notebook.cells]
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not kept"


def executed(name: str) -> nbformat.NotebookNode:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    return notebook


def test_results_of_other_protocols_and_other_peoples_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each evaluation has a row of its own, pairs of two protocols are left out, and a name is no markup."""
    for number, temperature in enumerate((0.2, 0.7, 0.7)):
        found = json.loads((FOLDER / "data/scores/after/scores.json").read_text())
        found |= {"model": "<b>x</b>", "protocol": {**found["protocol"], "temperature": temperature}}
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "scores.json").write_text(json.dumps(found))
    monkeypatch.setenv("SCORES", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    outputs = [output for cell in executed("results").cells for output in cell.get("outputs", [])]
    shown = "".join(str(output["data"].get("text/markdown")) for output in outputs if "data" in output)
    assert "temperature 0.2 |" in shown and "temperature 0.7 |" in shown and "temperature 0.7, no. 3 |" in shown
    assert shown.count("no interval") == 1 and "<b>x</b>" not in shown


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("RUNS", "SCORES", "BUGS", "FOLDER", "STEP", "KIND"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = executed(name)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output["data"] for output in outputs if "data" in output]
    figures, words = NOTEBOOKS[name]
    assert sum("image/png" in item for item in data) == figures
    shown = "\n".join(
        [str(item.get("text/markdown") or item.get("text/html") or "") for item in data]
        + [output["text"] for output in outputs if output["output_type"] == "stream" and output["name"] == "stdout"]
    )
    for word in words:
        assert word in shown, shown
    errors = [o["text"] for o in outputs if o["output_type"] == "stream" and o["name"] == "stderr"]
    errors = [text for text in errors if "font cache" not in text]  # matplotlib's first start on a slow machine
    assert not errors, errors
    if target := os.environ.get("NOTEBOOKS_OUT"):  # to look at
        nbformat.write(notebook, Path(target) / f"{name}.ipynb")
