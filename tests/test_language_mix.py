"""Training on several languages at once: turns, scores by language, and a resume that is exact."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

import languages
from problems import load
from tests.conftest import command, run

MIX = ("language_mix=[lua,python]", "group=4", "prompts=2", "steps=2", "heldout.samples=1", "heldout.every=0")
QUICK = ("checkpoint.every=1", "rollout.max_new_tokens=48")


def test_languages_take_turns_through_the_steps() -> None:
    mix = [languages.load(name) for name in ("lua", "python", "r")]
    spoken = [language.name for step in range(3) for language in load.spoken(mix, step, 4)]
    assert spoken == ["lua", "python", "r"] * 4
    assert [language.name for language in load.spoken(mix[:1], 5, 2)] == ["lua", "lua"]


@pytest.mark.parametrize("value", ["lua", [], ["lua", "lua"]])
def test_a_mix_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(languages.LanguageError, match="language_mix is a list of different languages"):
        languages.of_run(OmegaConf.create({"language_mix": value}))
    with pytest.raises(languages.LanguageError, match="unknown language 'klingon'"):
        languages.of_run(OmegaConf.create({"language_mix": ["lua", "klingon"]}))


def files(folder: Path) -> dict[str, object]:
    weights = {path.name: path.read_bytes() for path in (folder / "checkpoints/step_000002").glob("*.safetensors")}
    tables = {path.name: pq.read_table(path).to_pylist() for path in (folder / "rollouts").iterdir()}
    return {**weights, **tables}


def test_a_mix_trains_is_scored_by_language_and_resumes_exactly(tmp_path: Path, few: str) -> None:
    calm, stopped = tmp_path / "calm", tmp_path / "stopped"
    done = run(*MIX, *QUICK, few, f"run_dir={calm}")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (calm / "metrics.jsonl").read_text().splitlines()]
    for row in (rows[0], rows[-1]):
        by_language = [row["heldout/pass@1/lua"], row["heldout/pass@1/python"]]
        assert row["heldout/pass@1"] == pytest.approx(sum(by_language) / 2)
    assert {"pass@1/lua", "pass@1/python"} <= set(rows[-1])
    table = pq.read_table(calm / "rollouts/step_000001.parquet").to_pylist()
    assert [row["language"] for row in table] == ["lua"] * 4 + ["python"] * 4
    assert all(f"```{row['language']}" in row["prompt"] for row in table)

    arguments = (*MIX, *QUICK, few, f"run_dir={stopped}", "resume=auto")
    with subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 600
        while not (stopped / "checkpoints/step_000001").exists():
            assert process.poll() is None and time.monotonic() < deadline, "the run ended early"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    done = run(*arguments)
    assert done.returncode == 0 and "resuming after step" in done.stdout, done.stderr
    assert files(stopped) == files(calm)
