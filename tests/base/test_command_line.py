"""A command's words become typed arguments, or one sentence."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest

from base.command_line import Command, Names
from base.errors import ConfigError
from base.settings import Count


class Arguments(Command):
    usage: ClassVar[str] = "python -m toy FOLDER languages=lua,tcl"
    bare: ClassVar[tuple[str, ...]] = ("folder",)

    folder: str
    languages: Names
    count: Count | None = None
    rule: Literal["paper", "strict"] = "paper"
    dry_run: bool = False


def test_words_become_typed() -> None:
    found = Arguments.parse(["dry_run=true", "runs/a=b", "languages=lua,tcl", "count=3"])
    assert found == Arguments(folder="runs/a=b", languages="lua,tcl", count=3, dry_run=True)  # type: ignore[arg-type]
    assert found.languages == ("lua", "tcl") and found.rule == "paper"


def test_text_stays_text() -> None:
    assert Arguments.parse(["1", "languages=no"]) == Arguments(folder="1", languages="no")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["languages=lua"], "folder is missing"),
        (["x"], "languages is missing"),
        (["x", "languages=lua", "y"], "unknown argument 'y'; write folder key=value with the keys languages, count, "),
        (["x", "lang=lua"], "unknown argument 'lang=lua'; write folder key=value with the keys languages, count, "),
        (["x", "languages=lua", "count=0"], "count is '0'; it must be at least 1"),
        (["x", "languages=lua", "count=two"], "count is 'two'; it must be a whole number"),
        (["x", "languages=lua", "dry_run=maybe"], "dry_run is 'maybe'; it must be true or false"),
        (["x", "languages=lua", "rule=mine"], "rule is 'mine'; the choices are 'paper', 'strict'"),
    ],
)
def test_a_wrong_word_is_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        Arguments.parse(words)
    assert str(error.value).startswith(sentence) and str(error.value).endswith(f": {Arguments.usage}")
