"""What a run spent is counted from its start, and runs are compared at what the cheapest of them spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from base.errors import DataError
from run.cost import Cost
from study import cost


def test_a_run_counts_what_it_spends(calm: Path) -> None:
    rows = [json.loads(line) for line in (calm / "metrics.jsonl").read_text().splitlines()]
    assert Cost.of_row(rows[0]) == Cost()
    accepted = sampled = trained = 0
    for row in rows[1:]:
        table = pq.read_table(calm / f"rollouts/step_{row['step']:06d}.parquet").to_pylist()
        accepted += sum(one["verdict"] == "passed" for one in table)
        sampled += sum(one["completion_tokens"] for one in table)
        trained += row["trained_tokens"]
        assert Cost.of_row(row) == Cost(16 * row["step"], sampled, accepted, trained)
    assert accepted > 0 and trained > 0
    summary = json.loads((calm / "finished.json").read_text())
    assert summary["cost"] == {
        "samples": 64, "sampled_tokens": sampled, "accepted": accepted, "trained_tokens": trained,
        "token_equivalents": sampled + 3 * trained,
    }  # fmt: skip
    assert summary["heldout"]["after"] == rows[-1]["heldout/pass@1"] and summary["method"] == "grpo"


def run(folder: Path, method: str, rows: list[dict[str, Any]]) -> str:
    folder.mkdir()
    (folder / "config.yaml").write_text(f"method: {method}\n")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)


def row(step: int, sampled: int, trained: int, score: float | None) -> dict[str, Any]:
    found = {"step": step, **Cost(step, sampled, step, trained).row()}
    return found | ({} if score is None else {"heldout/pass@1": score})


def test_scores_are_compared_at_equal_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dear = [row(0, 0, 0, 0.1), row(1, 100, 20, 0.2), row(2, 200, 40, None), row(3, 900, 100, 0.9)]
    cheap = [row(0, 300, 0, 0.1), row(1, 300, 10, 0.3)]
    assert cost.score_within(dear, 330) == 0.2  # 100 + 3 * 20 tokens; 0.9 cost 1200
    assert cost.score_within(dear, 1200) == 0.9
    assert cost.score_within(dear, 159) is None
    cost.main([run(tmp_path / "A", "grpo", dear), run(tmp_path / "B", "distillation", cheap)])
    said = " ".join(capsys.readouterr().out.split())
    for part in ("within 330 token-equivalents", "distillation", " 20.0 ", " 30.0 ", " 90.0 "):
        assert part in said


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path} is no folder of a run"):
        cost.main([str(tmp_path)])
    with pytest.raises(SystemExit, match="name one run or more"):
        cost.main([])


def test_a_run_without_counters_is_not_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = run(tmp_path / "A", "grpo", [{"step": 0, "heldout/pass@1": 0.1}, {"step": 1, "heldout/pass@1": 0.4}])
    cost.main([old, run(tmp_path / "B", "grpo", [row(0, 0, 0, 0.1), row(1, 300, 10, 0.3)])])
    said = " ".join(capsys.readouterr().out.split())
    assert "within 330 token-equivalents" in said and "samples │ - │" in said
