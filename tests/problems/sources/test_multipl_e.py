"""MultiPL-E as its harness scores it: where an answer ends, what is run, which exit codes pass. The row is our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import languages
from base.errors import ConfigError, DataError
from base.limits import Limits
from problems.load import dataset
from problems.sources.multipl_e import MultiplE, MultiplESettings, cut, toolchain
from sandbox.job import Job, Status
from sandbox.pool import Pool

LUA = languages.load("lua")
ROW: dict[str, Any] = {
    "name": "Ours_0_double_all",
    "language": "lua",
    "prompt": "-- Double every number of a table.\n-- >>> double_all({1})\n-- {2}\nlocal function double_all(xs)\n",
    "tests": "lu = require('luaunit')\n\nfunction test_humaneval()\nlocal candidate = double_all\n"
    "    lu.assertEquals(candidate({1, 2}), {2, 4})\n    lu.assertEquals(candidate({}), {})\nend\n\n"
    "os.exit(lu.LuaUnit.run())",
    "stop_tokens": ["\nlocal", "\nfunction", "\n--", "\n\n"],
    "doctests": "transform",
}
RIGHT = "\n  local out = {}\n  for i, x in ipairs(xs) do out[i] = x << 1 end\n  return out\nend"  # << is Lua 5.3's


def written(folder: Path, *rows: Any, name: str = "humaneval-lua") -> MultiplESettings:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return MultiplESettings(name="multipl_e", root="humaneval", path=str(folder), style="completion")


@pytest.fixture
def task(tmp_path: Path) -> MultiplE:
    return MultiplE.load(written(tmp_path, ROW), LUA)


def test_the_model_continues_the_bare_text(task: MultiplE) -> None:
    assert task.prompt(task.problems[0]) == ROW["prompt"].strip()
    assert task.stop == ("\nlocal", "\nfunction", "\n--", "\n\n")


def test_what_is_run_is_prompt_completion_newline_tests(task: MultiplE) -> None:
    program = task.program(task.problems[0], RIGHT + "\n\nprint('more')")
    assert program == ROW["prompt"] + RIGHT + "\n" + ROW["tests"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\nend\nlocal b\nfunction c", "a\nend"),
        ("a\n\nb\nlocal c", "a"),
        ("\n  local x\n  return x", "\n  local x\n  return x"),
        ("\nlocal x", ""),
        ("", ""),
    ],
)
def test_an_answer_ends_before_its_first_stop_token(text: str, kept: str) -> None:
    assert cut(text, ROW["stop_tokens"]) == kept


@given(st.text(alphabet="\nlocal-f "), st.lists(st.text(alphabet="\nlocal-f ", min_size=1, max_size=4)))
def test_a_cut_is_the_longest_beginning_without_a_stop_token(text: str, stops: list[str]) -> None:
    kept = cut(text, stops)
    assert text.startswith(kept)
    assert not any(stop in kept for stop in stops)
    if kept != text:
        assert any(text.startswith(stop, len(kept)) for stop in stops)


def test_a_chat_model_answers_with_the_whole_program(task: MultiplE) -> None:
    chat = MultiplE(task.problems, task.language, "chat")
    prompt = chat.prompt(task.problems[0])
    assert isinstance(prompt, list) and ROW["prompt"].strip() in prompt[0]["content"]
    assert "luaunit" not in prompt[0]["content"]
    assert chat.stop == ()
    program = chat.program(task.problems[0], "Sure:\n```lua\nlocal function double_all(xs)\nend\n```\n")
    assert program == "local function double_all(xs)\nend\n\n" + ROW["tests"]
    assert chat.program(task.problems[0], "I cannot.") is None


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool([toolchain(LUA)], workers=2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("completion", "status"),
    [
        (RIGHT, Status.PASSED),
        ("\n  print('output decides nothing')" + RIGHT, Status.PASSED),
        ("\n  return xs\nend", Status.RUNTIME_ERROR),  # luaunit's exit code is its number of failures
        ("\n  return (\nend", Status.RUNTIME_ERROR),
        ("\n  while true do end\nend", Status.TIMEOUT),
        ("\n  return xs\nend\nos.exit(0)", Status.PASSED),  # a hole of the benchmark's: the program judges itself
    ],
)
def test_the_exit_code_decides(task: MultiplE, pool: Pool, completion: str, status: Status) -> None:
    problem = task.problems[0]
    limits = Limits(test_s=1.0) if status is Status.TIMEOUT else None
    job = Job("x", "lua", task.program(problem, completion), problem.tests, problem.compare, limits)
    assert pool.verify([job])[0].status is status


def test_times_and_toolchains_are_the_harnesses() -> None:
    seconds = {name: toolchain(languages.load(name)).limits.test_s for name in ("lua", "ocaml", "julia", "r", "python")}
    assert seconds == {"lua": 15.0, "ocaml": 15.0, "julia": 5.0, "r": 5.0, "python": 15.0}
    assert "lua5.3" in toolchain(LUA).execute


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**ROW, "tests": ""}, ("line 1", "'tests'", "missing or empty")),
        ({key: value for key, value in ROW.items() if key != "stop_tokens"}, ("'stop_tokens'", "missing")),
        ({**ROW, "stop_tokens": "\n"}, ("'stop_tokens'", "list of strings")),
        ({**ROW, "prompt": 3}, ("'prompt'", "must be a string")),
        ([1], ("line 1", "JSON object")),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        MultiplE.load(written(tmp_path, row), LUA)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    config = written(tmp_path, ROW)
    with pytest.raises(DataError, match=r"humaneval-jl\.jsonl.*humaneval-lua"):
        MultiplE.load(config, languages.load("julia"))


def test_an_unknown_style_is_answered_with_the_styles() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.style is 'poem'; the choices are completion, chat"):
        dataset({"name": "multipl_e", "root": "humaneval", "style": "poem"})


def test_without_a_hub_a_folder_is_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    config = MultiplESettings(name="multipl_e", root="humaneval", path=None, style="completion")
    with pytest.raises(DataError, match=r"dataset\.path=FOLDER"):
        MultiplE.load(config, LUA)
