"""Typed parts of a config: every wrong value is one sentence that names its key."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from base.errors import ConfigError
from base.settings import RENAMED, Count, NotNegative, Settings, Share


class Inner(Settings):
    top_p: Share
    stop: list[str]


class Outer(Settings):
    group: Count
    rate: NotNegative
    steps: Count | None
    variant: Literal["grpo", "dapo"]
    shard: bool
    inner: Inner


GOOD: dict[str, Any] = {
    "group": 8,
    "rate": 1,
    "steps": None,
    "variant": "grpo",
    "shard": False,
    "inner": {"top_p": 0.5, "stop": []},
}


def test_a_good_config_becomes_typed() -> None:
    found = Outer.read(OmegaConf.create(GOOD))
    assert found.inner.top_p == 0.5 and found.steps is None and isinstance(found.rate, float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"group": 8.5}, "x.group is 8.5; it must be a whole number"),
        ({"group": "many"}, "x.group is 'many'; it must be a whole number"),
        ({"group": True}, "x.group is True; it must be a whole number"),
        ({"group": 0}, "x.group is 0; it must be at least 1"),
        ({"steps": "ten"}, "x.steps is 'ten'; it must be a whole number"),
        ({"steps": 0}, "x.steps is 0; it must be at least 1"),
        ({"rate": float("inf")}, "x.rate is inf; it must be a finite number"),
        ({"shard": 1}, "x.shard is 1; it must be true or false"),
        ({"variant": "ppo"}, "x.variant is 'ppo'; the choices are 'grpo', 'dapo'"),
        ({"inner": {"top_p": 1.5, "stop": []}}, "x.inner.top_p is 1.5; it must be at least 0 and at most 1"),
        ({"inner": {"top_p": 1.0, "stop": 3}}, "x.inner.stop is 3; it must be a list"),
        ({"inner": {"top_p": 1.0, "stop": [], "k": 1}}, "x.inner.k is unknown; the keys are top_p, stop"),
        ({"lucky": 1}, "x.lucky is unknown; the keys are group, rate, steps, variant, shard, inner"),
    ],
)
def test_a_wrong_value_is_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        Outer.read(OmegaConf.create(GOOD | change), "x")
    assert str(error.value) == words


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^x\.shard is missing$"):
        Outer.read({key: value for key, value in GOOD.items() if key != "shard"}, "x")


@pytest.mark.parametrize("key", ["results", "temperature"])
def test_a_renamed_key_is_told_its_new_name(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} is called {RENAMED[key]} now$"):
        Outer.read(GOOD | {key: 1})
