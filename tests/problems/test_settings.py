"""The config group `dataset` as settings: each option has its class, and what it does not know is said."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from base.errors import ConfigError
from problems.load import dataset, load
from problems.settings import FileSettings
from tests.conftest import ROOT, composed

OPTIONS = sorted(path.stem for path in (ROOT / "conf/dataset").glob("*.yaml"))


def option(name: str) -> dict[str, Any]:
    found: Any = OmegaConf.to_container(composed(f"dataset={name}", "model=qwen3_4b").dataset, resolve=True)
    return dict(found)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_read_and_written_as_it_is(name: str) -> None:
    """With its keys in their order: the name of an evaluation's folder depends on both."""
    given = option(name)
    assert list(dataset(given).model_dump(exclude_unset=True).items()) == list(given.items())


@pytest.mark.parametrize(
    ("name", "keys", "sentence"),
    [
        ("ladder", {"teirs": [1]}, "dataset.teirs is unknown; the keys are name, license, train, heldout, tiers"),
        ("mbpp_x", {"checkers": True}, "dataset.checkers is unknown; the keys are name, license, loader, source, subs"),
        ("multipl_e", {"source": "x"}, "dataset.source is unknown; the keys are name, license, root, path, style, tr"),
        ("ladder", {"tiers": 2}, "dataset.tiers is 2; it must be a list"),
        ("hub", {"examples": "all"}, "dataset.examples is 'all'; it must be a whole number"),
        ("codeforces", {"heldout_random": -1}, "dataset.heldout_random is -1; it must be at least 0"),
        ("mbpp", {"hub": None}, "dataset.hub is None; it must be text"),
        (
            "hub",
            {"loader": "mine"},
            "dataset.loader is 'mine'; the loaders are mbpp_x, codeforces_x, livecodebench_x, ",
        ),
    ],
)
def test_what_an_option_does_not_know_is_one_sentence(name: str, keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        dataset(option(name) | keys)
    assert str(error.value).startswith(sentence)


def test_a_key_that_is_missing_is_named() -> None:
    given = option("codeforces_x")
    del given["published"]
    with pytest.raises(ConfigError, match=r"^dataset\.published is missing$"):
        dataset(given)


def test_a_stored_run_may_lack_what_was_added_since() -> None:
    kept = {"name": "ladder", "train": "problems/data/ladder/train.jsonl", "heldout": None}
    assert len(load(dataset(kept), "train")) > 50
    assert dataset({**option("mbpp_x"), "train": 2024}).part("train") == "2024"  # as Hydra reads a bare number


def test_a_file_that_is_not_given_yet_is_none() -> None:
    found = dataset({"name": "jsonl", "license": None, "train": "???", "heldout": "mine.jsonl"})
    assert isinstance(found, FileSettings)
    assert (found.part("train"), found.part("heldout")) == (None, "mine.jsonl")
