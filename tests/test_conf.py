"""Every option of every config group composes; --help and --cfg work; experiment=paper says what the paper says."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

import languages
from rollout.reward import open_reward
from tests.conftest import composed
from training.settings import TrainSettings

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
OPTIONS = [
    f"{folder.name}={path.stem}"
    for folder in sorted(CONF.iterdir())
    if folder.is_dir() and folder.name != "protocol"  # evaluate.py's own
    for path in folder.glob("*.yaml")
] + [f"language={name}" for name in languages.names()]


config_of = partial(composed, resolved=False)  # some options want values that no test has

# what wants another group beside it
INCOMPLETE = ("model=endpoint", "dataset=jsonl", "experiment=distillation", "experiment=parallel_warm_start")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes(option: str) -> None:
    config = config_of(option)
    missing = {
        "dataset=jsonl": {"dataset.train", "dataset.heldout"},
        "model=endpoint": {"model.name", "model.base_url"},
        "experiment=distillation": {"teacher.model.name", "teacher.model.base_url"},
    }.get(option, set())
    assert set(OmegaConf.missing_keys(config)) == missing
    languages.from_config(OmegaConf.to_container(config.language))  # type: ignore[arg-type]
    open_reward(config.reward)
    if not missing and option not in INCOMPLETE:
        OmegaConf.resolve(config)
        TrainSettings.read(config)


def test_models_of_one_kind_have_the_same_keys() -> None:
    files = (path for path in (CONF / "model").glob("*.yaml") if path.stem != "endpoint")  # which has no weights
    keys = {path.stem: set(OmegaConf.load(path)) for path in files}
    assert all(found == keys["tiny"] for found in keys.values()), keys
    assert set(keys) >= {"tiny", "smollm2_135m", "qwen3_4b", "qwen3_8b", "phi4_mini", "smollm3_3b"}


def test_paper() -> None:
    config = config_of("experiment=paper", "model=qwen3_4b")
    seen = {
        "rate": config.optimizer.learning_rate,
        "schedule": config.optimizer.schedule,
        "warmup": config.optimizer.warmup,
        "prompts": config.prompts,
        "group": config.group,
        "temperature": config.rollout.temperature,
        "tokens": config.rollout.max_new_tokens,
        "loss": config.loss.variant,
        "kl": config.loss.get("kl", 0.0),
        "correction": config.loss.correction,
        "reasoning": config.model.chat_template_kwargs.enable_thinking,
        "steps": config.steps,
        "reward": {key: value for key, value in config.reward.items() if value is not None},
    }
    assert seen == {
        "rate": 5e-6,
        "schedule": "cosine",
        "warmup": 0.1,
        "prompts": 4,
        "group": 32,
        "temperature": 0.7,
        "tokens": 1024,
        "loss": "grpo",
        "kl": 0.0,
        "correction": "none",
        "reasoning": False,
        "steps": None,
        "reward": {"passed": 1.0},
    }


def command(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / script, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "reformulate.py"])
def test_help_shows_groups_and_three_examples(script: str) -> None:
    done = command(script, "--help")
    assert done.returncode == 0, done.stderr
    for group in ("model: ", "language: ", "dataset: "):
        assert group in done.stdout
    assert done.stdout.count(f"python {script}") >= 3


def test_an_unknown_language_is_answered_with_the_choices() -> None:
    done = command("train.py", "language=klingon")
    assert done.returncode != 0
    for word in ("klingon", "lua", "ocaml"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_cfg_job_shows_the_whole_config() -> None:
    done = command("train.py", "--cfg", "job", "language=python")
    assert done.returncode == 0, done.stderr
    assert OmegaConf.create(done.stdout).language.name == "python"


@pytest.mark.parametrize("request_", ["{seed: null}", "{chat_template_kwargs: {enable_thinking: false}}"])
def test_a_request_may_hold_any_key(request_: str) -> None:
    """As docs/how-to/reformulate.md says it; a mapping of the config would take only the keys that it has."""
    config = config_of(f"model.request={request_}", script="reformulate")
    assert config.model.request == yaml.safe_load(request_)


def test_a_method_is_more_than_its_loss() -> None:
    """What belongs to Dr. GRPO (arXiv 2503.20783) and DAPO (arXiv 2503.14476) beside the variant of the loss."""
    dr_grpo, dapo = config_of("experiment=dr_grpo"), config_of("experiment=dapo")
    assert (dr_grpo.loss.variant, dr_grpo.advantage, dr_grpo.loss.kl) == ("dr_grpo", "none", 0.0)
    assert (dapo.loss.variant, dapo.loss.clip_low, dapo.loss.clip_high) == ("dapo", 0.2, 0.28)
    assert dapo.resample > 0 and dapo.overlong == "mask" and dapo.loss.kl == 0.0


def test_the_data_set_suits_the_model() -> None:
    """python train.py language=ocaml model=qwen3_4b, with no further option."""
    config = config_of("language=ocaml", "model=qwen3_4b")
    assert (config.dataset.name, config.dataset.train) == ("ladder", "problems/ladder/data/train.jsonl")
    assert config_of("dataset.tiers=[1]", "model=qwen3_4b").dataset.tiers == [1]
    assert (config.optimizer.learning_rate, config.rollout.temperature, config.rollout.max_new_tokens) == (
        5e-6,
        0.7,
        1024,
    )
    assert config.rollout.engine == "auto"
    assert config_of().dataset.name == "starter"
