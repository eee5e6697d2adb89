"""A value of the wrong kind is one sentence, whatever the script and the key."""

from __future__ import annotations

import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import languages
from base import kinds
from base.errors import ConfigError

SCRIPTS = ("train", "evaluate", "reformulate", "bugs")
EXPERIMENTS = sorted(path.stem for path in (kinds.CONF / "experiment").glob("*.yaml"))
MODELS = sorted(path.stem for path in (kinds.CONF / "model").glob("*.yaml"))


def check(script: str, *overrides: str) -> None:
    languages.register()
    with initialize_config_dir(str(kinds.CONF), version_base="1.3"):
        config = compose(script, list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    try:
        kinds.check(config)
    finally:
        HydraConfig.instance().cfg = None  # other tests are not inside of a script


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_defaults_are_of_their_own_kind(script: str) -> None:
    check(script)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_so_is_every_experiment(experiment: str) -> None:
    check("train", f"experiment={experiment}")


@pytest.mark.parametrize("model", MODELS)
def test_so_is_every_model(model: str) -> None:
    check("evaluate", f"model={model}")


@pytest.mark.parametrize(
    "script, override, sentence",
    [
        ("train", "steps=many", "steps is 'many'; it must be a whole number of 0 or more"),
        ("train", "group=8.5", "group is 8.5; it must be a whole number of 1 or more"),
        ("train", "gpus=0", "gpus is 0; it must be a whole number of 1 or more"),
        ("train", "samplers=-1", "samplers is -1; it must be a whole number of 0 or more"),
        ("train", "teacher.n=0", "teacher.n is 0; it must be a whole number of 1 or more"),
        ("train", "prompts=0", "prompts is 0; it must be a whole number of 1 or more"),
        ("train", "loss.kl=no", "loss.kl is 'no'; it must be a number of 0 or more"),
        ("train", "optimizer.eps=-1", "optimizer.eps is -1; it must be a number of 0 or more"),
        ("train", "shard=1", "shard is 1; it must be true or false"),
        ("train", "rollout.batch_size=true", "rollout.batch_size is True; it must be a whole number of 1 or more"),
        ("evaluate", "model.max_new_tokens=-5", "model.max_new_tokens is -5; it must be a whole number of 1 or more"),
        ("reformulate", "attempts=few", "attempts is 'few'; it must be a whole number of 1 or more"),
    ],
)
def test_a_value_of_another_kind_is_named(script: str, override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        check(script, override)


def test_what_may_be_a_fraction_or_null_may() -> None:
    check("train", "stall_s=0.5", "lora.alpha=0.5", "steps=null", "optimizer.eps=1", "group=1", "resample=0")
