"""What a prompt says, and what it must never say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import languages
from base.errors import DataError
from problems.problem import Problem
from problems.prompt import Template, messages, render
from sandbox.job import Test

LUA = languages.load("lua")
PROBLEM = Problem(
    id="p",
    statement="Add two numbers.",
    tests=(Test("2 3\n", "5\n"), Test("40 2\n", "hidden42\n")),
    input_format="Two integers.",
    output_format="Their sum.",
    notes="Mind the sign.",
)


def test_a_prompt_holds_every_part_of_the_problem_and_the_language() -> None:
    text = render(PROBLEM, LUA)
    for part in ("Lua", "Add two numbers.", "Two integers.", "Their sum.", "2 3", "5", "Mind the sign.", LUA.prompt):
        assert part in text
    assert "```lua" in text


def test_hidden_tests_stay_hidden() -> None:
    assert "hidden42" not in render(PROBLEM, LUA)


def test_parts_that_are_not_given_leave_no_heading() -> None:
    text = render(Problem("p", "Print 1.", (Test("", "1"),), examples=0), LUA)
    for heading in ("# Input", "# Output", "# Example", "# Notes"):
        assert heading not in text


def test_the_system_message_is_the_models_own_switch() -> None:
    assert [m["role"] for m in messages(PROBLEM, LUA)] == ["user"]
    assert messages(PROBLEM, LUA, "/no_think")[0] == {"role": "system", "content": "/no_think"}


def test_an_example_too_long_to_read_is_left_out() -> None:
    tests = (Test("x" * 100_000_000, "long"), Test("2 3", "5"))
    text = render(Problem("p", "Count.", tests, examples=2), LUA)
    assert "2 3" in text and len(text) < 2_000


def test_a_language_without_a_prompt_is_only_named() -> None:
    text = render(PROBLEM, replace(LUA, prompt=""))
    assert "Write a Lua program" in text and "# Language" not in text and "LuaJIT" not in text
    for style in ("bold", "plain"):
        text = render(replace(PROBLEM, style=style), replace(LUA, prompt=""))
        assert "whole Lua program in one ```lua code block" in text and "Language" not in text


def template(path: Path, text: str) -> Template:
    path.write_bytes(text.encode())
    return Template(path)


def test_a_template_has_every_field_and_keeps_its_bytes(tmp_path: Path) -> None:
    text = "{{ statement }}|{{ input_format }}|{{ output_format }}|{{ notes }}|{{ language }}|{{ prefix }}|"
    text += "{% for example in examples %}{{ example.input }}{{ example.output }}{% endfor %} <&> \u00e9 {# no #}\n\n"
    said = template(tmp_path / "t.jinja", text).render(PROBLEM, replace(LUA, prompt="Say."))
    wanted = "Add two numbers.|Two integers.|Their sum.|Mind the sign.|Lua|Say.|2 3\n5\n <&> \u00e9 \n\n"
    assert said == wanted
    assert messages(PROBLEM, LUA, template=template(tmp_path / "t.jinja", "x\n"))[-1]["content"] == "x\n"
    long = Problem("p", "Count.", (Test("x" * 20_000, "long"), Test("2 3", "5")), examples=2)
    assert template(tmp_path / "t.jinja", text).render(long, LUA).startswith("Count.||||Lua|Use Lua")
    assert len(template(tmp_path / "t.jinja", text).render(long, LUA)) < 2_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ statment }}", ("t.jinja", "'statment' is undefined", "the fields are statement, input_format")),
        ("a\n{% for x %}", ("t.jinja, line 2",)),
        ("{{ examples[5].input }}", ("t.jinja", "the fields are")),
    ],
)
def test_a_template_that_is_wrong_is_one_sentence(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        template(tmp_path / "t.jinja", text).render(PROBLEM, LUA)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_mark_in_front_of_a_template_is_none_of_the_prompt(tmp_path: Path) -> None:
    assert template(tmp_path / "t.jinja", "\ufeffSolve {{ statement }}").render(PROBLEM, LUA).startswith("Solve ")


def test_a_template_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"prompt\.template: cannot read .*none\.jinja \(No such file"):
        Template(tmp_path / "none.jinja")
