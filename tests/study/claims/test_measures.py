"""Measures of runs whose evaluations are few or gave no score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from study import bugs, hacking
from study.claims import measures


def made(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / "config.yaml").write_text("seed: 0\n")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_one_score_is_that_of_before_only(tmp_path: Path) -> None:
    run = made(tmp_path, [{"step": 0, "heldout/pass@1": 0.25}, {"step": 1, "heldout/pass@1": None}])
    assert [measures.measure(run, name) for name in ("before", "after", "mean")] == [0.25, None, None]


def test_what_was_found_in_other_samples_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path, [{"step": 0}, {"step": 1}])
    made_again = []

    def look(folder: Path, sample: int, workers: int | None) -> dict[str, Any]:
        made_again.append(sample)
        return {"programs": sample, "signs": {"ignores_input": {"share_last_quarter": 0.5}}}

    monkeypatch.setattr(hacking, "report", look)
    sign = {"ignores_input": {"share_last_quarter": 0.0}}
    (run / "hacking.json").write_text(json.dumps({"programs": 3, "signs": sign}))
    assert measures.measure(run, "ignores_input") == 0.5 and made_again == [measures.PROGRAMS]
    (run / "hacking.json").write_text(json.dumps({"programs": measures.PROGRAMS, "signs": sign}))
    assert measures.measure(run, "ignores_input") == 0.0

    out = run / "bugs/step_000001"
    out.mkdir(parents=True)
    (out / "labels.jsonl").write_text(json.dumps({"rules": ["logic"]}) + "\n")
    (out / "bugs.json").write_text(json.dumps({"asked": {"problems": 2, "samples": 1, "seed": 0}}))
    monkeypatch.setattr(bugs, "run", lambda config: made_again.append(config.samples))
    measures.measure(run, "logic_after")
    assert made_again[-1] == measures.ASKED["samples"]
