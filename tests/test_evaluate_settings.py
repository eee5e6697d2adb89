"""What evaluate.py may be told: protocols, options of every kind, and one sentence for what cannot be."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import yaml

import evaluate
import languages
from base.errors import ConfigError, DataError, UserError
from evaluate import Evaluation
from sandbox.compare import matches
from tests.conftest import ROOT, composed

config_of = partial(composed, script="evaluate")


def test_the_papers_protocol_is_the_default() -> None:
    config = config_of()
    assert (config.samples, config.rollout.temperature, config.rollout.max_new_tokens) == (20, 0.2, 1024)
    assert (config.prefix, config.rollout.top_p) == (False, 1.0)
    config = evaluate.as_in_training(config_of("protocol=heldout", "model=tiny"))
    assert (config.samples, config.rollout.temperature, config.prefix) == (4, 0.2, True)
    assert config.rollout.max_new_tokens == config.model.max_new_tokens


def test_the_papers_harness_and_its_training() -> None:
    config = config_of("protocol=ag_lcb_x", "dataset=livecodebench_x", "language=fortran")
    assert (config.extract, config.compare, config.samples, config.prefix) == ("paper", "exact", 20, False)
    assert (config.rollout.temperature, config.rollout.max_new_tokens) == (0.2, 1024)
    language = languages.from_config(Evaluation.read(config).language)
    assert (language.name, language.limits.program_s, language.limits.test_s) == ("fortran", 15.0, 15.0)
    config = config_of("protocol=paper_training")
    assert (config.extract, config.compare, config.samples, config.prefix) == ("paper", "exact", 1, True)
    assert config.rollout.temperature == 0.0
    for protocol in ("ag_lcb_x", "paper_training"):
        Evaluation.read(config_of(f"protocol={protocol}"))
    assert evaluate.other_limits(language) == "compile_s=15.0 test_s=15.0 program_s=15.0"
    assert evaluate.other_limits(languages.load("fortran")) == "own"
    julia = Evaluation.read(config_of("protocol=ag_lcb_x", "dataset=livecodebench_x", "language=julia")).language
    assert languages.load("julia").limits.test_s == 15.0  # its own: one protocol reads alike all the same
    assert evaluate.other_limits(languages.from_config(julia)) == evaluate.other_limits(language)


def test_the_papers_harness_compares_the_whole_output(tmp_path: Path) -> None:
    row = {"id": "a", "statement": "s", "tests": [{"input": "", "output": "1.0"}], "compare": {"rule": "decimal"}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    problems = [
        Evaluation.read(config_of("dataset=jsonl", f"dataset.heldout={tmp_path}/rows.jsonl", *words)).task().problems[0]
        for words in ((), ("protocol=ag_lcb_x",))
    ]
    assert [matches(problem.compare, "1.00\n", "1.0") for problem in problems] == [True, False]
    assert [matches(problem.compare, " 1.0", "1.0") for problem in problems] == [True, False]
    assert matches(problems[1].compare, "1.0 \n\n", "1.0")


def test_heldout_asks_as_the_checkpoints_run_did(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run/checkpoints/step_000002"
    checkpoint.mkdir(parents=True)
    (checkpoint / "config.json").write_text("{}")
    there = {
        "model": {"name": "tiny"}, "dataset": {"name": "ladder", "tiers": [1, 2]}, "extract": "paper", "seed": 7,
        "heldout": {"samples": 3, "temperature": 0.5}, "rollout": {"max_new_tokens": 77, "max_prompt_tokens": 99},
        "prompt": {"template": "words.jinja"},
    }  # fmt: skip
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump(there))
    words = (f"checkpoint={checkpoint}", "protocol=heldout", "dataset=ladder")
    found = Evaluation.read(evaluate.as_in_training(config_of(*words)))
    assert (found.samples, found.extract, found.seed, found.dataset.model_dump()["tiers"]) == (3, "paper", 7, [1, 2])
    assert found.prompt.template == "words.jinja"
    assert (found.prompts_too_long, config_of("dataset=ladder").prompts_too_long) == ("drop", "refuse")
    rollout = found.rollout
    assert (rollout.temperature, rollout.max_new_tokens, rollout.max_prompt_tokens) == (0.5, 77, 99)
    found = Evaluation.read(evaluate.as_in_training(config_of(*words, "samples=10", "dataset.tiers=[1]")))
    assert (found.samples, found.extract, found.dataset.model_dump()["tiers"]) == (10, "paper", [1])
    found = Evaluation.read(evaluate.as_in_training(config_of(*words[:2], "dataset=starter")))
    assert "tiers" not in found.dataset.model_fields_set and found.samples == 3


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"id": "a", "statement": "s", "tests": []}', ("line 1", "'tests'")),
        (b'{"id": "a", "statement": "s"}', ("line 1", "'tests'")),
        (b'{"id": "a", "statement": "\xff"}', ("line 1", "not UTF-8")),
        (b'{"id": "a", "statement": "s", "tests": [{"input": "\\ud800", "output": ""}]}', ("test 0", "surrogate")),
    ],
)
def test_a_bad_row_is_named(line: bytes, words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(DataError) as caught:
        evaluate.run(config_of("dataset=jsonl", "dataset.train=x", f"dataset.heldout={path}", f"run_dir={tmp_path}"))
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("extract=best", ("extract", "'best'", "paper")),
        ("checkpoint=/no/such/run", ("checkpoint=/no/such/run",)),
        ("rollout.max_prompt_tokens=10", ("rollout.max_prompt_tokens", "10")),
    ],
)
def test_a_bad_choice_is_answered(override: str, words: tuple[str, ...], few: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        evaluate.run(config_of(few, override, f"run_dir={tmp_path}"))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("samples=0", "samples is 0; it must be at least 1"),
        ("limit=few", "limit is 'few'; it must be a whole number"),
        ("k=[1,0]", "k.1 is 0; it must be at least 1"),
        ("rollout.top_p=1.5", "rollout.top_p is 1.5; it must be more than 0 and at most 1"),
        ("model.max_new_tokens=-5", "model.max_new_tokens is -5; it must be at least 1"),
        ("sandbox.workers=none", "sandbox.workers is 'none'; it must be a whole number"),
        ("+sandbox.address=x", None),
        ("+rollout.best_of=2", "rollout.best_of is unknown; the keys are engine, "),
    ],
)
def test_a_value_of_another_kind_is_named(override: str, sentence: str | None) -> None:
    if sentence is None:
        Evaluation.read(config_of(override))
    else:
        with pytest.raises(ConfigError) as error:
            Evaluation.read(config_of(override))
        assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("model", sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml")))
def test_every_model_is_read(model: str) -> None:
    given = ("model.name=m", "model.base_url=http://h/v1") if model == "endpoint" else ()
    assert Evaluation.read(config_of(f"model={model}", *given)).model.name


def test_an_endpoint_without_a_name_is_told_what_it_needs() -> None:
    with pytest.raises(ConfigError, match=r"^model\.name is not given; model=endpoint needs model\.base_url=http"):
        Evaluation.read(config_of("model=endpoint", "model.base_url=http://h/v1"))
