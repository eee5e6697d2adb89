"""A checkpoint and a data set on a local stand-in of the hub, with their cards; the optimizer's state stays at home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub.utils import filter_repo_objects
from transformers import AutoModelForCausalLM

from study.card import _reinforced, _run_of, _supervised, card, checkpoint_of, evaluations_of
from study.publish import publish
from study.run_data import Run
from tests.conftest import ROOT
from tests.hub_stand_in import Hub, serve_hub

TOKEN = "hf_of_this_test_only"


def run(*arguments: str, hub: Hub | None = None, token: str = TOKEN, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_TOKEN": token, "HF_HOME": str(home)}
    environment |= {"HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9", "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    words = [sys.executable, "-m", "study.publish", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment, cwd=ROOT)


@pytest.fixture
def trained(calm: Path, tmp_path: Path) -> Path:
    return shutil.copytree(calm, tmp_path / "run")


def front(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_a_checkpoint_and_its_card_arrive(trained: Path, tmp_path: Path) -> None:
    with serve_hub(TOKEN) as hub:
        done = run(str(trained), "me/lua-tiny", hub=hub, home=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"{hub.url}/me/lua-tiny/commit/abc" in done.stdout
    assert hub.repositories == {"me/lua-tiny": {"kind": "model", "private": True}}
    files = {path: data for (_, path), data in hub.files.items()}
    assert {"config.json", "model.safetensors", "README.md", "tokenizer.json"} <= set(files)
    assert not {"optimizer.safetensors", "trainer.json"} & set(files)
    there = tmp_path / "there"
    there.mkdir()
    for path, data in files.items():
        (there / path).write_bytes(data)
    AutoModelForCausalLM.from_pretrained(there)
    assert files["README.md"].decode().startswith("---\n")


def test_a_card_says_what_a_reader_wants(trained: Path, tmp_path: Path) -> None:
    reader = Run.read(trained)
    checkpoint = checkpoint_of(reader)
    score = {"value": 0.25, "low": 0.1, "high": 0.4}
    found = {
        "model": str(checkpoint), "dataset": "ladder", "language": "lua", "pass@1": score, "per_problem": [],
        "problems": 30, "protocol": {"samples": 20, "temperature": 0.2},
    }  # fmt: skip
    for name, model in (("ours", str(checkpoint)), ("other", "tiny")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.json").write_text(json.dumps({**found, "model": model}))
    evaluations = evaluations_of(checkpoint, [tmp_path])
    assert len(evaluations) == 1
    text = card(reader, checkpoint, evaluations, "me/lua-tiny")
    head = front(text)
    assert head["library_name"] == "transformers" and "lua" in head["tags"]
    heldout, ladder = head["model-index"][0]["results"]
    assert heldout["metrics"][0]["value"] == pytest.approx(reader.metrics[-1]["heldout/pass@1"], abs=1e-4)
    assert ladder["metrics"][0]["value"] == 0.25
    assert "| ladder | lua | 25.0 [10.0, 40.0] | 30 | 20 | 0.2 |" in text
    for words in ('from_pretrained("me/lua-tiny")', "apache-2.0", "4, 2 problems each, 8 programs per problem", "    "):
        assert words in text, text
    assert str(tmp_path) not in text, "no path of this machine"


@pytest.mark.parametrize(
    ("method", "words"), [("distillation", "programs of a teacher"), ("rejection_sampling", "its own programs")]
)
def test_the_card_of_a_supervised_model_speaks_of_no_reward(trained: Path, method: str, words: str) -> None:
    config = yaml.safe_load((trained / "config.yaml").read_text())
    (trained / "config.yaml").write_text(yaml.safe_dump({**config, "method": method}))
    reader = Run.read(trained)
    text = card(reader, checkpoint_of(reader), [], "me/lua-tiny")
    assert method.replace("_", "-") in front(text)["tags"] and "grpo" not in text
    assert words in text and "learned from if passed" in text
    assert "reward" not in text and "reinforcement learning:" not in text


def test_a_data_set_arrives(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "problems.prepare", "dataset=ladder", f"run_dir={tmp_path}/ladder"]
    subprocess.run(words, check=True, capture_output=True, timeout=120, cwd=ROOT)
    with serve_hub(TOKEN) as hub:
        done = run(f"{tmp_path}/ladder", "me/ladder", "public=true", hub=hub, home=tmp_path)
        assert done.returncode == 0, done.stderr
    assert hub.repositories == {"me/ladder": {"kind": "dataset", "private": False}}
    for path in (tmp_path / "ladder").iterdir():
        assert hub.files["me/ladder", path.name] == path.read_bytes()


def test_only_what_a_dry_run_lists_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    (data / "private").mkdir(parents=True)
    for name in ("README.md", "a[1].jsonl", "private/notes.txt"):
        (data / name).write_text("x")
    sent: dict[str, Any] = {}
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda self, *_, **keys: None)

    def upload(self: object, **keys: Any) -> SimpleNamespace:
        sent.update(keys)
        return SimpleNamespace(commit_url="")

    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", upload)
    publish(data, "me/x", "", False, False)
    names = ["README.md", "a[1].jsonl", "private/notes.txt", "private/README.md"]
    assert list(filter_repo_objects(names, allow_patterns=sent["allow_patterns"])) == names[:2]


def test_what_a_card_says_of_a_run_is_what_it_used() -> None:
    config: dict[str, Any] = {
        "prompts": 2, "group": 8, "rollout": {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 9},
        "reward": {"passed": 1.0, "dense": 0.5, "function": None},
        "loss": {"variant": "grpo", "clip_low": 0.2, "clip_high": 0.2, "function": None, "kl": 0.0},
    }  # fmt: skip
    said = dict(_reinforced(config, 4))
    assert (said["reward"], said["loss"]) == ("passed 1.0, else 0; dense 0.5", "grpo, clip 0.2 and 0.2, KL 0.0")
    config["reward"]["function"], config["loss"]["function"] = "mine:reward", "mine:loss"
    said = dict(_reinforced(config, 4))
    assert (said["reward"], said["loss"]) == ("the function mine:reward", "the function mine:loss, KL 0.0")
    teacher = {"batch": 64, "epochs": 3, "n": 1, "accept": "passed", "answers": "f.jsonl"}
    said = dict(_supervised({"steps": 5, "teacher": teacher}, 5))
    assert (said["steps"], said["answers"]) == ("5, 64 answers each", "of a file, learned from if passed")
    assert _run_of("runs/a/checkpoints/step_000004") == _run_of("runs/a") == "a"


def test_a_dry_run_sends_nothing(trained: Path, tmp_path: Path) -> None:
    done = run(str(trained), "me/lua-tiny", "dry_run=true", home=tmp_path)  # there is no hub at that address
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("would upload") and "model.safetensors" in done.stdout
    assert "optimizer" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("RUN", "lua-tiny"), "'lua-tiny' is no name on the hub"),
        (("RUN", "me/lua tiny!"), "is no name on the hub"),
        (("/nowhere", "me/x"), "/nowhere is neither a run nor a folder"),
        (("RUN",), "repository is missing; as in: python -m study.publish runs/NAME me/lua-tiny"),
        (("RUN", "me/x", "dry_run=maybe"), "dry_run is 'maybe'; it must be true or false"),
        (("RUN", "me/x", "private=true"), "unknown argument 'private=true'"),
        (("RUN", "me/x"), "it wants a token that may write"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], words: str, trained: Path, tmp_path: Path) -> None:
    with serve_hub("another token") as hub:
        given = [str(trained) if argument == "RUN" else argument for argument in arguments]
        done = run(*given, hub=hub, home=tmp_path)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_hub_that_is_down_is_one_sentence(trained: Path, tmp_path: Path) -> None:
    done = run(str(trained), "me/lua-tiny", home=tmp_path)
    assert done.returncode == 1 and "http://127.0.0.1:9 did not take me/lua-tiny" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
