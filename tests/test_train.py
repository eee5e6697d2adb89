"""The whole loop as a user runs it: reward rises, runs resume exactly, bad input gets one sentence."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

import evaluate
import train
from base.errors import ConfigError, DataError, RunError, UserError
from policy.ranks import Ranks
from problems import load
from rollout import heldout
from run import run_folder
from tests.conftest import HELDOUT, SMALL, command, composed, needs_mounts, run, stopped


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def untimed(folder: Path) -> list[dict[str, Any]]:
    """The metrics that a run's speed has no part in."""
    timed = ("seconds", "/s", "memory", "wait_share", "flops")
    return [{key: value for key, value in row.items() if not any(t in key for t in timed)} for row in rows(folder)]


def test_twenty_steps_raise_the_reward(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train.main(composed("steps=20", "heldout.every=0", "heldout.samples=2", f"run_dir={folder}"))
    rewards = [row["reward"] for row in rows(folder)[1:]]
    before, after = rows(folder)[0]["heldout/pass@1"], rows(folder)[-1]["heldout/pass@1"]
    assert len(rewards) == 20
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.05
    assert after > before + 0.1


def test_a_run_leaves_what_the_readme_says(calm: Path) -> None:
    assert [row["step"] for row in rows(calm)] == [0, 1, 2, 3, 4]
    assert {"reward", "loss", "grad_norm", "seconds/step", "tokens/s"} <= set(rows(calm)[1])
    assert [row["step"] for row in rows(calm) if "heldout/pass@1" in row] == [0, 2, 4]
    config = yaml.safe_load((calm / "config.yaml").read_text())
    assert (config["language"]["name"], config["steps"], config["group"]) == ("lua", 4, 8)
    assert {"git", "torch", "python"} <= set(json.loads((calm / "versions.json").read_text()))
    assert list((calm / "wandb").glob("offline-run-*/*.wandb"))
    assert (calm / "learning_curve.png").read_bytes().startswith(b"\x89PNG")

    table = pq.read_table(calm / "rollouts" / "step_000001.parquet").to_pylist()
    assert len(table) == 16
    assert sum(row["reward"] for row in table) / 16 == pytest.approx(rows(calm)[1]["reward"])
    for row in table:
        assert (row["verdict"] == "passed") == (row["reward"] == 1.0)
        assert row["program"] is None or row["program"].strip() in row["completion"]
        assert "```lua" in row["prompt"]

    kept = sorted(path.name for path in (calm / "checkpoints").iterdir())
    assert kept[-2:] == ["step_000003", "step_000004"]
    AutoModelForCausalLM.from_pretrained(calm / "checkpoints/step_000004")
    AutoTokenizer.from_pretrained(calm / "checkpoints/step_000004")


def same_end(calm: Path, other: Path) -> None:
    """The same metrics, the same tensors in the last checkpoint, the same rollouts, bit for bit."""
    assert untimed(other) == untimed(calm)
    last = max(calm.glob("checkpoints/step_*"))
    tensors = [path.relative_to(calm) for path in last.rglob("*.safetensors")]
    assert {"optimizer.safetensors"} < {path.name for path in tensors}
    for path in tensors:
        assert (calm / path).read_bytes() == (other / path).read_bytes(), path
    for path in (calm / "rollouts").iterdir():
        assert pq.read_table(path).equals(pq.read_table(other / "rollouts" / path.name)), path.name


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda n: n.name)  # SIGTERM: two ranks, below
def test_a_stopped_run_goes_on_exactly(number: signal.Signals, calm: Path, tmp_path: Path, few: str) -> None:
    folder = tmp_path / "run"
    arguments = (*SMALL, few, "steps=4", f"run_dir={folder}", "resume=auto")
    output = stopped(arguments, number, folder / "checkpoints/step_000002")
    assert number == signal.SIGKILL or f"run_dir={folder} resume=auto" in " ".join(output.split())
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "resuming after step" in done.stdout
    same_end(calm, folder)


def test_a_failed_evaluation_costs_no_step_and_is_made_up_for(
    calm: Path, tmp_path: Path, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one, after which there is no step left to do."""
    config = composed(*SMALL, few, "steps=4", f"run_dir={tmp_path / 'run'}", "resume=auto")
    folder, real = run_folder.create(config)[0], heldout.evaluate
    calls = []

    def fails_at_last(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise RunError("the machine went away")
        return real(*arguments)

    monkeypatch.setattr(heldout, "evaluate", fails_at_last)
    with pytest.raises(RunError, match="went away"):
        train.train(config, folder, Ranks())
    assert rows(folder)[-1]["step"] == 4 and "heldout/pass@1" not in rows(folder)[-1]
    assert run_folder.last_checkpoint(folder) == folder / "checkpoints/step_000004"
    assert not run_folder.finished(folder)
    train.train(config, folder, Ranks())
    same_end(calm, folder)
    there, here = (json.loads((path / "finished.json").read_text()) for path in (calm, folder))
    assert here == there


def test_the_time_of_a_step_is_that_of_its_phases(calm: Path) -> None:
    phases = ("seconds/sample", "seconds/wait", "seconds/update", "seconds/sync")
    for row in rows(calm)[1:]:
        assert sum(row[key] for key in phases) <= row["seconds/step"]


@pytest.mark.parametrize("sign", ["checkpoints", "config.yaml"])
def test_ctrl_c_before_the_first_step_is_a_sentence(tmp_path: Path, few: str, sign: str) -> None:
    """While the folder is being made, and right after."""
    folder = tmp_path / "run"
    output = stopped((*SMALL, few, f"run_dir={folder}"), signal.SIGINT, folder / sign)
    assert f"error: stopped at once; with run_dir={folder} resume=auto" in output


def test_two_ranks_train_one_policy(tmp_path: Path, few: str) -> None:
    """Started by train.py itself; one writes, both save when told to stop, and the run goes on exactly."""
    calm, folder = tmp_path / "calm", tmp_path / "run"
    arguments = (*SMALL, few, "steps=2", "gpus=2", "resume=auto")
    stopped((*arguments, f"run_dir={folder}"), signal.SIGTERM, folder / "checkpoints/step_000001")
    for path in (folder, calm):
        done = run(*arguments, f"run_dir={path}")
        assert done.returncode == 0, done.stderr
    assert [row["step"] for row in rows(folder)] == [0, 1, 2]
    for path in (folder / "rollouts").glob("step_*.parquet"):
        assert pq.read_table(path).num_rows == 16
    for row in rows(folder)[1:]:
        assert row["sampler_gap"] < 1e-3, "both ranks' samples are scored under one policy"
    same_end(calm, folder)


def test_a_mistake_on_several_ranks_is_one_sentence(tmp_path: Path, few: str) -> None:
    done = run(*SMALL, few, "gpus=2", "steps=1", "model.path=/no/such/model", f"run_dir={tmp_path}/run")
    refused(done, "model.path: '/no/such/model' is no folder")


VLLM = ("rollout=vllm", "rollout.cpu_kv_cache_gib=1", "rollout.max_prompt_tokens=256")


def gaps_of_all(folder: Path) -> list[float]:
    """Of each step, all of which have trained. Weights that were not synced would show from the second on: an engine
    begins with those of the file, and one update of these tests moves log-probs by 0.06 nats per token or more."""
    found = rows(folder)[1:]
    assert all(row["trained_tokens"] for row in found), "a step without signal: choose another seed"
    return [row["sampler_gap"] for row in found]


@pytest.mark.parametrize(
    ("rank", "rate"),
    [pytest.param(8, 1e-2, id="adapters", marks=pytest.mark.slow), pytest.param(0, 3e-4, id="all")],
)
def test_vllm_trains_and_goes_on_exactly(rank: int, rate: float, tmp_path: Path, few: str) -> None:
    """vLLM's CPU build in this process, the weights (adapters: merged) loaded into it after every update.

    The checkpoint is then evaluated by vLLM, in the layout of today and in that from before 2026-11-28.
    """
    calm, folder = tmp_path / "calm", tmp_path / "run"
    trained = (f"lora.rank={rank}", f"optimizer.learning_rate={rate}", "steps=2", "group=32")
    arguments = (*SMALL, *VLLM, *trained, few, "resume=auto")
    done = run(*arguments, f"run_dir={calm}")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-3000:]
    assert [row["step"] for row in rows(calm)] == [0, 1, 2]
    assert max(found := gaps_of_all(calm)) < 0.02, found
    last = calm / "checkpoints/step_000002"
    assert (last / ("adapter_model.safetensors" if rank else "model.safetensors")).exists()

    # What a kill leaves just before the last checkpoint is renamed into its place: that step's rows are there already.
    shutil.copytree(calm, folder)
    (folder / "checkpoints/step_000002").rename(folder / "checkpoints/.step_000002.part")
    (folder / run_folder.FINISHED).unlink()
    if not rank:  # the old layout: the trainer's state beside the weights
        first = folder / "checkpoints/step_000001"
        for path in (first / run_folder.TRAINER).iterdir():
            path.rename(first / path.name)
        (first / run_folder.TRAINER).rmdir()
    done = run(*arguments, f"run_dir={folder}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resuming after step 1" in done.stdout
    same_end(calm, folder)
    if not rank:
        lengths = ("samples=1", "rollout.max_new_tokens=64", "protocol=heldout")
        done = run(f"checkpoint={calm}", few, *VLLM, *lengths, f"run_dir={tmp_path}/scores", script="evaluate.py")
        assert done.returncode == 0, done.stderr[-3000:]
        scores = json.loads((tmp_path / "scores/scores.json").read_text())
        assert scores["pass@1"]["value"] == pytest.approx(rows(calm)[-1]["heldout/pass@1"])


def test_groups_without_signal_are_drawn_anew(tmp_path: Path, few: str) -> None:
    """The tiny policy fails most groups of four: with more rounds, fewer groups of a batch are flat."""
    flat = {}
    for rounds in (0, 4):
        folder = tmp_path / str(rounds)
        words = ("group=4", "prompts=4", "steps=2", "heldout.every=0", f"resample={rounds}")
        train.main(composed(*SMALL, few, *words, f"run_dir={folder}"))
        flat[rounds] = sum(row["zero_variance_groups"] for row in rows(folder)[1:])
        assert pq.read_table(folder / "rollouts" / "step_000001.parquet").num_rows == 16
    assert flat[4] < flat[0]


def test_a_run_folder_is_not_overwritten(calm: Path, few: str) -> None:
    before = (calm / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="holds a run already; add resume=auto"):
        train.main(composed(*SMALL, few, "steps=4", f"run_dir={calm}"))
    assert (calm / "metrics.jsonl").read_bytes() == before


def test_a_run_is_not_resumed_with_other_settings(calm: Path, few: str) -> None:
    words = ("steps=4", "optimizer.learning_rate=1e-3", f"run_dir={calm}", "resume=auto")
    with pytest.raises(RunError, match=r"optimizer\.learning_rate \(0\.0003 there, 0\.001 here\)"):
        train.main(composed(*SMALL, few, *words))


def test_evaluate_gives_the_figure_that_the_run_reported(calm: Path, few: str, tmp_path: Path) -> None:
    words = (f"checkpoint={calm}", "protocol=heldout", few, f"run_dir={tmp_path}")
    scores = evaluate.run(composed(*words, script="evaluate"))
    assert scores["pass@1"]["value"] == pytest.approx(rows(calm)[-1]["heldout/pass@1"])
    ours = pq.read_table(tmp_path / "samples.parquet").to_pylist()
    trains = pq.read_table(calm / "rollouts" / "heldout_step_000004.parquet").to_pylist()
    assert sorted(row["completion"] for row in ours) == sorted(row["completion"] for row in trains)
    assert len(ours) == HELDOUT


def test_a_checkpoint_is_not_asked_as_another_model(calm: Path) -> None:
    with pytest.raises(ConfigError, match=f"^checkpoint={calm} is of model 'tiny': add model=tiny$"):
        evaluate.run(composed(f"checkpoint={calm}", "model=smollm2_135m", script="evaluate"))


def test_a_sweep_runs_every_job(tmp_path: Path, few: str) -> None:
    done = subprocess.run(
        command("-m", "language=lua,python", "seed=1,2", *SMALL, few, "steps=1"),
        capture_output=True, text=True, timeout=900, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = [yaml.safe_load(path.read_text()) for path in (tmp_path / "runs").glob("*/config.yaml")]
    assert sorted((config["language"]["name"], config["seed"]) for config in runs) == [
        ("lua", 1), ("lua", 2), ("python", 1), ("python", 2),
    ]  # fmt: skip


def test_prompts_in_ones_own_words(tmp_path: Path, few: str) -> None:
    """They are what the model is asked, their hashes are in the results, and a run that goes on keeps to them."""
    (tmp_path / "words.jinja").write_text("{{ statement }} In {{ language }}!")
    folder = tmp_path / "run"
    few_steps = ("group=2", "prompts=1", "steps=1", "heldout.samples=1", "rollout.max_new_tokens=16")
    arguments = (*few_steps, few, f"prompt.template={tmp_path}/words.jinja", f"run_dir={folder}", "resume=auto")
    train.main(composed(*arguments))
    held = {problem.id: problem for problem in load.load(load.dataset(composed(few).dataset), "heldout", quiet=True)}
    table = pq.read_table(folder / "rollouts/heldout_step_000001.parquet").to_pylist()
    for row in table:
        words = f"{held[row['problem']].statement} In Lua!"
        assert words in row["prompt"] and "```" not in row["prompt"]
        assert row["prompt_sha256"] == hashlib.sha256(words.encode()).hexdigest()
    assert len(table) == len(held)
    assert re.fullmatch("[0-9a-f]{64}", json.loads((folder / "data.json").read_text())["prompts_sha256"])
    (folder / "finished.json").unlink()
    (tmp_path / "words.jinja").write_text("{{ statement }} In {{ language }}, please!")
    with pytest.raises(DataError, match=r"prompt\.template: the prompts are not those that the run in"):
        train.train(composed(*arguments), folder, Ranks())


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One sentence, no traceback, a status that says failure."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_corrupt_row_is_named(tmp_path: Path, few: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"id": "a", "statement": "s", "tests": [{"input": "", "output": ""}]}\n{"id": "b"\n')
    refused(run(f"dataset.train={path}", few, f"run_dir={tmp_path}/run"), f"{path}, line 2: not JSON")


def test_a_root_that_cannot_be_built_is_explained(tmp_path: Path, few: str) -> None:
    (tmp_path / "foo.yaml").write_text(
        "prompt: Use Foo.\nfilename: a.foo\nexecute: foo a.foo\ninstall: apt-get install -y no-such-package-foo\n"
    )
    done = run("language=foo", few, f"run_dir={tmp_path}/run", env={"AGNOSTICS_LANGUAGES": str(tmp_path)})
    refused(done, "foo", "no-such-package-foo")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("loss.variant=ppo", ("loss.variant", "'ppo'", "grpo")),
        ("advantage=median", ("advantage", "'median'", "group")),
        ("optimizer.schedule=step", ("optimizer.schedule", "'step'", "cosine")),
        ("extract=best", ("extract", "'best'", "paper")),
        ("+reward.infrastructure_error=1", ("reward.infrastructure_error", "passed")),
        ("model.path=/no/such/model", ("model.path", "/no/such/model")),
        ("wandb=on", ("wandb", "'on'", "offline")),
        ("resume=yes", ("resume", "auto")),
        ("sandbox.executor=slurm", ("sandbox.executor", "'slurm'", "'local', 'ray'")),
    ],
)
def test_a_bad_choice_is_answered_with_the_choices(
    override: str, words: tuple[str, ...], tmp_path: Path, few: str
) -> None:
    """In this process, as `main` calls it; that `main` turns these errors into a sentence is tested above."""
    config = composed(override, few, f"run_dir={tmp_path}/run", "steps=1", "group=2", "prompts=1")
    with pytest.raises(UserError) as caught:
        train.train(config, run_folder.create(config)[0], Ranks())
    for word in words:
        assert word in str(caught.value)


@needs_mounts
def test_a_full_disk_loses_no_earlier_checkpoint(tmp_path: Path, few: str) -> None:
    """On a tmpfs with room for one checkpoint but not for two."""
    folder = tmp_path / "small"
    folder.mkdir()
    train = " ".join(command(*SMALL, few, "steps=4", f"run_dir={folder}/run"))
    script = (
        f"mount -t tmpfs -o size=20m tmpfs {folder} && {{ {train}; echo status $?; "
        f"ls -A {folder}/run/checkpoints; {sys.executable} -c 'from transformers import AutoModelForCausalLM as M; "
        f'M.from_pretrained("{folder}/run/checkpoints/step_000001"); print("loads")\'; }}'
    )
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=600)
    assert "status 1\nstep_000001\n" in done.stdout, done.stdout + done.stderr
    assert "loads" in done.stdout
    assert "cannot write checkpoint" in done.stderr and "resume=auto" in done.stderr
    assert "Traceback" not in done.stderr
