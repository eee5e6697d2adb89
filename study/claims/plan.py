"""What a study runs and compares: the typed form of claims.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from base.errors import ConfigError
from base.settings import NotNegative, Settings, Whole

PLACE = re.compile(r"<([\w/.-]+)>")  # in a word: the folder of another part
DATA = "data"  # in a word, <data>: the folder of a start's problems
Script = Literal["train", "evaluate"]
Measure = Literal[
    "before", "after", "mean", "wrong_output", "ignores_input", "shallow_before", "shallow_after", "logic_before",
    "logic_after", "score",
]  # fmt: skip


class Start(Settings):
    """Where training begins: how hard the problems are for the model that is there."""

    kinds: dict[int, list[str]]  # tier -> the kinds of starter problems that have it; those not named are left out
    train: list[str]  # words of its training runs


class Part(Settings):
    """One script, once for each seed."""

    name: str
    train: list[str] | None = None
    evaluate: list[str] | None = None
    seeds: list[Whole] | None = None  # null: those of the study

    @model_validator(mode="after")
    def _one_script(self) -> Self:
        if (self.train is None) == (self.evaluate is None):
            raise ValueError(f"part {self.name} must have the words of one script, train or evaluate")
        return self

    @property
    def script(self) -> Script:
        return "evaluate" if self.train is None else "train"

    @property
    def words(self) -> list[str]:
        return [*(self.train or []), *(self.evaluate or [])]

    @property
    def start(self) -> str:
        return self.name.partition("/")[0]


class Figure(Settings):
    """A number per seed: a measure (study/claims/measures.py) of a part."""

    part: str
    measure: Measure


class Comparison(Settings):
    this: Figure
    expected: Literal["more", "less", "same"]  # `this` against `that`, as the claim has it
    that: Figure

    @model_validator(mode="before")
    @classmethod
    def _three_words(cls, given: Any) -> Any:
        """Written [easy/grpo after, more, easy/grpo before]."""
        if isinstance(given, list) and len(given) == 3 and all(isinstance(part, str) for part in given):
            figures = [dict(zip(("part", "measure"), text.split(), strict=False)) for text in (given[0], given[2])]
            return {"this": figures[0], "expected": given[1], "that": figures[1]}
        return given


class Claim(Settings):
    claim: str
    source: str  # of the paper, or this project
    compare: list[Comparison]


class Plan(Settings):
    seeds: Annotated[list[Whole], Field(min_length=2)]  # one has no interval
    margin: NotNegative  # points of a percentage: a difference that is surely smaller counts as none
    starts: dict[str, Start]
    words: dict[Script, list[str]]  # of every run of a script
    parts: list[Part]
    claims: list[Claim]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises ConfigError, which names the file, the key and what would be valid."""
        try:
            plan = cls.read(yaml.safe_load(path.read_text(encoding="utf-8")))
            plan._check()
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{path} cannot be read ({' '.join(str(error).split())[:200]})") from error
        return plan

    def _check(self) -> None:
        names = [part.name for part in self.parts]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"parts: {min(twice)} is there twice")
        for number, part in enumerate(self.parts):
            if part.script == "train" and part.start not in self.starts:
                raise ConfigError(f"parts: {part.name} begins with no start; they are {', '.join(self.starts)}")
            if lost := self.needs(part) - {*names[:number]}:
                raise ConfigError(f"parts: {part.name} needs <{min(lost)}>, which is no part before it")
        for claim in self.claims:
            for comparison in claim.compare:
                for figure in (comparison.this, comparison.that):
                    if figure.part not in names:
                        raise ConfigError(f"claims: {figure.part} is no part; the parts are {', '.join(names)}")

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def all_words(self, part: Part) -> list[str]:
        """The words of a part's command line, its places not yet filled in: the later ones win."""
        start = self.starts[part.start].train if part.script == "train" else []
        return [*self.words.get(part.script, []), *start, *part.words]

    def needs(self, part: Part) -> set[str]:
        """The parts whose folders its words name."""
        return {name for word in self.all_words(part) for name in PLACE.findall(word)} - {DATA}
