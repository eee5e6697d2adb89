"""Sweeps as users run them: jobs at once, an error that ends its own run only, finished ones skipped, one table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from base.errors import DataError
from run import gpus
from study import sweep
from study.run_data import Run
from tests.conftest import ROOT, command, register_languages

KEYS = ("seed", "rollout.temperature")


def run_sweep(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=600, cwd=cwd)


def table(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "study.sweep", str(folder), *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)


def test_a_sweep_runs_its_jobs_at_once_and_a_second_call_skips_them(tmp_path: Path, few: str) -> None:
    sizes = ("group=2", "prompts=1", "heldout.samples=1", "steps=1", "rollout.max_new_tokens=16", few)
    words = ("-m", "runs=runs/one", "resume=auto", "seed=0,1", "loss.variant=grpo,ppo", *sizes)
    done = run_sweep(tmp_path, *words, "hydra/launcher=gpus", "hydra.launcher.n_jobs=2")
    assert done.returncode != 0 and "loss.variant is 'ppo'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    folders = sorted((tmp_path / "runs/one").glob("*/finished.json"))
    assert len(folders) == 2, done.stdout + done.stderr
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/one").glob("*/metrics.jsonl")}

    again = run_sweep(tmp_path, *(word.replace("grpo,ppo", "grpo") for word in words))
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("finished already: runs/one/") == 2, again.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before

    shown = table(tmp_path / "runs/one")
    assert shown.returncode == 0, shown.stderr
    assert "| run | seed | steps done | before | after | best | minutes |" in shown.stdout
    assert "| all | 2 |" in shown.stdout
    assert (tmp_path / "runs/one/sweep.md").read_text() == shown.stdout


def made(folder: Path, name: str, seed: int, temperature: float, scores: list[float], finished: bool = True) -> Path:
    """A run's folder as train.py leaves it, as far as a table needs it."""
    run = folder / name
    run.mkdir(parents=True)
    config = {
        "seed": seed,
        "run_dir": str(run),
        "rollout": {"temperature": temperature},
        "language": {"name": "lua", "prompt": f"x{name}"},
    }
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))
    rows = [{"step": n, "heldout/pass@1": score, "seconds/step": 30.0} for n, score in enumerate(scores)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if finished:
        (run / "finished.json").write_text("{}")
    return run


def test_a_sweep_in_one_table(tmp_path: Path) -> None:
    for number, (seed, temperature, score) in enumerate([(0, 0.7, 0.5), (1, 0.7, 0.7), (0, 1.0, 0.4), (1, 1.0, 0.4)]):
        made(tmp_path, f"r{number}", seed, temperature, [0.1, 0.8, score], finished=number != 3)
    checkpoint = tmp_path / "r0/checkpoints/step_000002"
    drawn = {"value": 0.25, "low": 0.1, "high": 0.4}
    found = {"model": str(checkpoint), "dataset": "ladder", "language": "lua", "pass@1": drawn, "per_problem": []}
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores/scores.json").write_text(json.dumps(found))
    shown = table(tmp_path, str(tmp_path / "scores"))
    assert shown.returncode == 0, shown.stderr
    record = json.loads((tmp_path / "sweep.json").read_text())
    assert record["keys"] == ["language.prompt", *KEYS] or record["keys"] == [*KEYS, "language.prompt"]
    assert [row["after"] for row in record["runs"] if row["rollout.temperature"] == 0.7] == [0.5, 0.7]
    assert record["runs"][0]["scores"] == {"ladder lua": drawn}
    assert "25.0 [10.0, 40.0]" in shown.stdout and "2 (unfinished)" in shown.stdout
    assert (record["runs"][0]["best"], record["runs"][0]["seconds"]) == (0.8, 90.0)


def test_settings_are_as_the_command_line_takes_them_and_steps_asked_for_are_not_those_done(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = [{"steps": 9, "wide": None, "shard": True}, {"steps": 1, "wide": 2}]
    for number, settings in enumerate(asked):
        config = made(tmp_path, f"r{number}", 0, 1.0, [0.1, 0.2], finished=number == 1) / "config.yaml"
        config.write_text(OmegaConf.to_yaml({**settings, "run_dir": f"r{number}"}))
    page = sweep.page(*sweep.gather([tmp_path / "r0", tmp_path / "r1"]))
    assert "| run | steps | wide | shard | steps done |" in page
    assert "| r0 | 9 | null | true | 1 (unfinished) |" in page and "| r1 | 1 | 2 | null | 1 |" in page
    assert "steps=1, wide=2, shard=null" in page


def test_means_are_over_seeds() -> None:
    keys = ["seed", "group"]
    rows = [
        {"run": f"{seed}-{group}", "seed": seed, "group": group, "after": after, "finished": True, "seconds": 60.0,
         "scores": {}}
        for seed, group, after in [(0, 16, 0.5), (1, 16, 0.7), (0, 32, 0.9)]
    ]  # fmt: skip
    first, second = sweep.means(keys, rows)
    assert (first["group"], first["runs"], first["mean"]) == (16, 2, pytest.approx(0.6))
    assert first["deviation"] == pytest.approx(0.1414, abs=1e-4)
    assert (second["group"], second["runs"], second["deviation"]) == (32, 1, None)


def test_of_a_group_with_a_name_the_name_is_enough() -> None:
    a = {"model": {"name": "tiny", "path": "a"}, "seed": 0, "run_dir": "x", "language_mix": None}
    b = {"model": {"name": "big", "path": "b"}, "seed": 0, "run_dir": "y", "language_mix": None}
    assert sweep.varying([a, b]) == ["model.name"]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [("", "no finished step"), ('{"step": 0}\n{"step": 1', None), ('{"st\n{"step": 1}\n', "metrics.jsonl, line 1")],
)
def test_a_folder_that_is_no_run_is_named(metrics: str, words: str | None, tmp_path: Path) -> None:
    run = made(tmp_path, "r", 0, 0.7, [0.1])
    (run / "metrics.jsonl").write_text(metrics)
    if words is None:  # a kill cut the last row off
        assert Run.read(run).last_step == 0
        return
    with pytest.raises(DataError, match=words):
        Run.read(run)
    shown = table(tmp_path)
    assert shown.returncode == 1 and "Traceback" not in shown.stderr and words in shown.stderr


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    shown = table(tmp_path)
    assert shown.returncode == 1 and shown.stderr == f"error: {tmp_path} holds no folder of a run\n"


def launcher(*overrides: str) -> dict[str, object]:
    """Hydra's launcher as a sweep would start it, resolved."""
    register_languages()
    Plugins.instance()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    try:
        resolved = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    finally:
        HydraConfig.instance().cfg = None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def test_slurm_gets_the_gpus_of_a_job() -> None:
    """SLURM itself is not here: the config is what can be checked."""
    found = launcher("hydra/launcher=slurm", "gpus=4", "hydra.launcher.partition=gpu", "hydra.sweep.dir=x")
    assert str(found["_target_"]).endswith("SlurmLauncher")
    assert (found["gpus_per_node"], found["partition"], found["tasks_per_node"]) == (4, "gpu", 1)
    assert found["submitit_folder"] == "x/slurm/%j"


def test_one_job_a_free_gpu(four_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert launcher("hydra/launcher=gpus")["n_jobs"] == 3
    assert launcher("hydra/launcher=gpus", "gpus=2")["n_jobs"] == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert launcher("hydra/launcher=gpus")["n_jobs"] == 1


def test_without_gpus_one_job_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert launcher("hydra/launcher=gpus")["n_jobs"] == 1
    with gpus.hold(1):
        pass


def test_jobs_hold_gpus_of_their_own(four_gpus: None) -> None:
    seen: list[str] = []
    with gpus.hold(2):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-0000-test,GPU-1111-test"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    script = (
        "import os; from run import gpus\n"
        "with gpus.hold(1): print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); input()"
    )

    def started() -> subprocess.Popen[str]:
        words = [sys.executable, "-c", script]
        return subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )

    with started() as first, started() as second:
        for process in (first, second):
            assert process.stdout is not None
            seen.append(process.stdout.readline().strip())
        taken = threading.Event()

        def wait() -> None:
            with gpus.hold(2):
                taken.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not taken.wait(0.3), "one GPU is left, and two were wanted"
        for process in (first, second):
            process.communicate("\n", timeout=30)
        assert taken.wait(30)
        thread.join()
    assert len(set(seen)) == 2 and set(seen) <= {"GPU-0000-test", "GPU-1111-test", "GPU-3333-test"}


def test_runs_that_differ_beside_their_names_are_not_averaged() -> None:
    models = [("tiny", "a"), ("big", "b"), ("big", "c")]
    configs = [
        {"model": {"name": name, "path": path}, "seed": seed, "language_mix": None}
        for seed, (name, path) in enumerate(models)
    ]
    keys = sweep.varying(configs)
    assert keys == ["model.name", "model.path", "seed"]
    rows = [
        {"model.name": name, "model.path": path, "seed": seed, "after": 0.5, "finished": True, "seconds": 1.0,
         "scores": {}}
        for seed, (name, path) in enumerate(models)
    ]  # fmt: skip
    assert [row["runs"] for row in sweep.means(keys, rows)] == [1, 1, 1]


def test_a_repeated_seed_counts_once_and_a_score_that_one_run_lacks_has_no_mean() -> None:
    rows = [
        {"seed": seed, "after": after, "finished": True, "seconds": 1.0,
         "scores": {"ladder lua": {"value": after}} | ({"mbpp lua": {"value": 1.0}} if seed else {"mbpp lua": None})}
        for seed, after in [(0, 0.1), (0, 0.3), (1, 0.5)]
    ]  # fmt: skip
    (found,) = sweep.means(["seed"], rows)
    assert (found["runs"], found["mean"], found["scores"]) == (
        2,
        pytest.approx(0.4),
        {"ladder lua": pytest.approx(0.4)},
    )


def test_scores_of_two_protocols_are_two_columns(tmp_path: Path) -> None:
    run = made(tmp_path, "r0", 0, 0.7, [0.1, 0.5])
    made(tmp_path, "r1", 1, 0.7, [0.1, 0.5])
    evaluations = [
        {"model": str(run), "dataset": "ladder", "language": "lua", "pass@1": {"value": value}, "per_problem": [],
         "protocol": {"temperature": temperature}}
        for value, temperature in ((0.2, 0.2), (0.3, 0.7))
    ]  # fmt: skip
    _, found = sweep.gather([run, tmp_path / "r1"], evaluations)
    assert found[0]["scores"] == {
        "ladder lua temperature 0.2": {"value": 0.2},
        "ladder lua temperature 0.7": {"value": 0.3},
    }


def evaluation(model: Path, value: float) -> dict[str, Any]:
    score = {"value": value, "low": value, "high": value}
    return {"model": str(model), "dataset": "ladder", "language": "lua", "pass@1": score, "per_problem": []}


def test_of_two_checkpoints_the_newest_counts_and_two_scores_of_one_are_refused(tmp_path: Path) -> None:
    run = made(tmp_path, "r0", 0, 0.7, [0.1, 0.5])
    early, late = (run / f"checkpoints/step_00000{step}" for step in (1, 2))
    _, found = sweep.gather([run], [evaluation(late, 0.9), evaluation(early, 0.2)])
    assert found[0]["scores"]["ladder lua"]["value"] == 0.9
    with pytest.raises(DataError, match=r"two evaluations of .*step_000002"):
        sweep.gather([run], [evaluation(late, 0.9), evaluation(late, 0.8)])


def test_a_run_that_cannot_be_read_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, empty, torn = (made(tmp_path, name, 0, 0.7, [0.1, 0.5]) for name in ("whole", "empty", "torn"))
    (empty / "metrics.jsonl").write_text("")
    (torn / "rollouts").mkdir()
    (torn / "rollouts/heldout_step_000001.parquet").write_bytes(b"PAR1")
    _, found = sweep.gather([whole, empty, torn])
    assert [row["run"] for row in found] == ["whole"]
    said = capsys.readouterr().err
    assert said.count("left out: ") == 2 and str(empty) in said and str(torn) in said


def test_an_earlier_score_is_not_that_of_the_end(tmp_path: Path) -> None:
    run = made(tmp_path, "r0", 0, 0.7, [0.1, 0.5, 0.6])
    rows = [{"step": 0, "heldout/pass@1": None}, {"step": 1, "heldout/pass@1": 0.5}, {"step": 2}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, found = sweep.gather([run])
    assert (found[0]["before"], found[0]["after"], found[0]["best"]) == (None, None, 0.5)


def test_a_key_that_was_renamed_tells_no_runs_apart() -> None:
    assert sweep.varying([{"temperature": 0.7}, {"rollout": {"temperature": 0.7}}]) == []


def test_an_evaluation_without_verdicts_has_no_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path, "r0", 0, 0.7, [0.1, 0.5])
    monkeypatch.setattr(Run, "heldout", lambda self, step: {"pass@1": None})
    _, found = sweep.gather([run], [{**evaluation(run, 0.0), "pass@1": None}])
    assert found[0]["interval"] is None and "infrastructure" in sweep.page([], found)
