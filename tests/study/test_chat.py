"""Talking to a model: a scripted endpoint answers, the real jail runs, and a hostile answer steers no terminal."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from study.chat import ChatSettings, Conversation
from tests.conftest import composed
from tests.scripted_endpoint import Raw, ScriptedEndpoint, serve

GOOD = '```lua\nlocal a, b = io.read("*n", "*n")\nprint(a + b)\n```'


def talked(endpoint: ScriptedEndpoint, folder: Path, lines: list[str]) -> None:
    url = f"model.base_url={endpoint.url}"
    config = composed("model=endpoint", url, "model.name=scripted", "sandbox.workers=1", script="chat")
    settings = ChatSettings.read(OmegaConf.create(config))
    typed = iter(lines)

    def read(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    with ExitStack() as stack:
        Conversation(settings, folder, read, stack).talk()


def test_a_conversation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([GOOD, "\x1b]0;owned\x07 no program", GOOD])
    lines = ["/problem 1", "/input 3 4", "Add two", "numbers.", "", "/again", "/tests add", "5 6", ".", "11", "."]
    lines += ["/temperature 0.5", "/nope", "/base", "/language nope", "/history"]
    with serve(lambda request: next(answers)) as endpoint:
        talked(endpoint, tmp_path, lines)
    shown = capsys.readouterr().out
    assert "passed: 5 of 5 tests" in shown and "passed: 1 of 1 tests" in shown
    assert "printed" in shown and "7" in shown
    assert "no program was found" in shown and "\x1b" not in shown and "\x07" not in shown
    assert "there is no command /nope" in shown and "/base wants a checkpoint" in shown and "3 in " in shown
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in rows] == ["passed", None, None]
    assert rows[1]["statement"] == "Add two\nnumbers."


def test_an_answer_can_be_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers: Iterator[Raw | str] = iter([Raw(delay_s=30), GOOD])

    def script(request: dict[str, object]) -> Raw | str:
        answer = next(answers)
        if isinstance(answer, Raw):
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        return answer

    with serve(script) as endpoint:
        talked(endpoint, tmp_path, ["Slow.", "", "Fast.", ""])
    assert "stopped" in capsys.readouterr().out
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1
