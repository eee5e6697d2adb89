"""The plan of study.claims: every word of it composes, and a mistake in one is a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import languages
from base.errors import ConfigError, RunError
from problems.prompt import Template, render
from problems.starter import splits
from problems.starter.kinds import KINDS
from study.claims.parts import Parts, chosen
from study.claims.plan import Plan
from tests.conftest import ROOT, composed

PATH = ROOT / "study/claims/claims.yaml"
PLAN = Plan.load(PATH)


def words(plan: Plan, name: str, folder: Path) -> list[str]:
    """The overrides of a part's command line, without Hydra's own."""
    command = Parts(plan, folder, 1).command(plan.part(name), [3])
    return command[command.index("-m") + 1 :]


@pytest.mark.parametrize("name", [part.name for part in PLAN.parts])
def test_every_part_composes(name: str, tmp_path: Path) -> None:
    part = PLAN.part(name)
    config = composed(*words(PLAN, name, tmp_path), script=part.script)
    assert config.run_dir == f"{tmp_path}/{name}/seed_3" and config.seed == 3
    if part.script == "train":
        assert config.dataset.train == f"{tmp_path}/data/{part.start}/train.jsonl"
        supervised = config.method != "grpo"
        assert (config.steps is None) == supervised  # a baseline learns for its epochs


def test_the_starts_name_every_kind_once() -> None:
    for start, left_out in (("easy", set()), ("hard", {"sum", "product", "difference"})):
        named = [kind for kinds in PLAN.starts[start].kinds.values() for kind in kinds]
        assert sorted(named) == sorted({kind.name for kind in KINDS} - left_out)


def test_the_data_of_a_start_are_the_starter_problems_with_tiers(tmp_path: Path) -> None:
    from problems.problem import read_jsonl

    Parts(PLAN, tmp_path, 1).write_data()
    for split, problems in splits().items():
        easy, hard = (list(read_jsonl(tmp_path / "data" / start / f"{split}.jsonl")) for start in ("easy", "hard"))
        assert [replace(problem, tier=0) for problem in easy] == problems
        assert hard == [problem for problem in easy if problem.tier > 1]
        assert {problem.tier for problem in easy} == {1, 2, 3}


def test_the_template_is_the_usual_prompt_without_a_word_on_the_language() -> None:
    language = languages.load("lua")
    template = Template(ROOT / "study/claims/without_prefix.j2")
    for problem in splits()["train"]:
        assert template.render(problem, language) == render(problem, replace(language, prompt=""))


def test_a_part_brings_what_it_needs() -> None:
    some = chosen(PLAN, ("easy/distillation",))
    assert [part.name for part in some.parts] == ["easy/grpo", "answers/teacher", "easy/distillation"]
    with pytest.raises(RunError, match=r"parts=easy/gspo: there is no such part; they are easy/grpo, hard/grpo"):
        chosen(PLAN, ("easy/gspo",))


MISTAKES = {
    "a need that comes later": (
        ("parts", 0, "train"),
        ["warm_start=<hard/warm>/seed_0"],
        "needs <hard/warm>, which is no",
    ),
    "no start": (("parts", -1, "name"), "middle/grpo", "middle/grpo begins with no start; they are easy, hard"),
    "twice": (("parts", 1, "name"), "easy/grpo", "parts: easy/grpo is there twice"),
    "two scripts": (
        ("parts", 0, "evaluate"),
        [],
        "part easy/grpo must have the words of one script, train or evaluate",
    ),
    "one seed": (("seeds",), [0], "seeds is [0]"),
    "no such part": (("claims", 0, "compare", 0, 0), "easy/gspo after", "claims: easy/gspo is no part"),
    "no such measure": (
        ("claims", 0, "compare", 0, 2),
        "easy/grpo best",
        "is 'best'; the choices are 'before', 'after'",
    ),
    "no such verb": (
        ("claims", 0, "compare", 0, 1),
        "most",
        "expected is 'most'; the choices are 'more', 'less', 'same'",
    ),
    "an unknown key": (("margins",), 3, "margins is unknown; the keys are seeds, margin"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_that_names_the_file(mistake: str, tmp_path: Path) -> None:
    keys, value, sentence = MISTAKES[mistake]
    plan = yaml.safe_load(PATH.read_text())
    place = plan
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    with pytest.raises(ConfigError) as caught:
        Plan.load(path)
    assert str(caught.value).startswith(f"{path}: ") and sentence in str(caught.value), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["seeds: [0", "- 1", ""])
def test_a_file_that_is_no_plan(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"plan\.yaml(: all of it is .*; it must be a mapping| cannot be read)"):
        Plan.load(tmp_path / "plan.yaml")
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read"):
        Plan.load(tmp_path / "none.yaml")
