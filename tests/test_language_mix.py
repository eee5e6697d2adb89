"""Training on several languages at once: turns, scores by language, and a resume that is exact."""

import json
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import languages
import train
from tests.conftest import composed, stopped
from training.batches import turns

MIX = ("language_mix=[lua,python]", "group=4", "prompts=2", "steps=2", "heldout.samples=1", "heldout.every=0")
QUICK = ("checkpoint.every=1", "rollout.max_new_tokens=48")


def test_languages_take_turns_through_the_steps() -> None:
    mix = [languages.load(name) for name in ("lua", "python", "r")]
    names = [language.name for step in range(3) for language in turns(mix, step, 4)]
    assert names == ["lua", "python", "r"] * 4
    assert [language.name for language in turns(mix[:1], 5, 2)] == ["lua", "lua"]


@pytest.mark.parametrize("value", ["lua", [], ["lua", "lua"]])
def test_a_mix_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(languages.LanguageError, match="language_mix is a list of different languages"):
        languages.of_run({}, value)
    with pytest.raises(languages.LanguageError, match="unknown language 'klingon'"):
        languages.of_run({}, ["lua", "klingon"])


def files(folder: Path) -> dict[str, object]:
    weights = {path.name: path.read_bytes() for path in (folder / "checkpoints/step_000002").rglob("*.safetensors")}
    tables = {path.name: pq.read_table(path).to_pylist() for path in (folder / "rollouts").iterdir()}
    return {**weights, **tables}


def test_a_mix_trains_is_scored_by_language_and_resumes_exactly(
    tmp_path: Path, few: str, capsys: pytest.CaptureFixture[str]
) -> None:
    calm, folder = tmp_path / "calm", tmp_path / "stopped"
    train.main(composed(*MIX, *QUICK, few, f"run_dir={calm}"))
    rows = [json.loads(line) for line in (calm / "metrics.jsonl").read_text().splitlines()]
    for row in (rows[0], rows[-1]):
        by_language = [row["heldout/pass@1/lua"], row["heldout/pass@1/python"]]
        assert row["heldout/pass@1"] == pytest.approx(sum(by_language) / 2)
    assert {"pass@1/lua", "pass@1/python"} <= set(rows[-1])
    table = pq.read_table(calm / "rollouts/step_000001.parquet").to_pylist()
    assert [row["language"] for row in table] == ["lua"] * 4 + ["python"] * 4
    assert all(f"```{row['language']}" in row["prompt"] for row in table)

    arguments = (*MIX, *QUICK, few, f"run_dir={folder}", "resume=auto")
    stopped(arguments, signal.SIGKILL, folder / "checkpoints/step_000001")
    train.main(composed(*arguments))
    assert "resuming after step" in capsys.readouterr().out
    assert files(folder) == files(calm)
