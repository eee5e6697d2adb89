"""Talking to a model: a scripted endpoint answers, the real jail runs, and a hostile answer steers no terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from benchmarks.scripted_endpoint import Raw, ScriptedEndpoint, events, serve, streamed
from study.chat.conversation import Conversation
from study.chat.screen import Growing
from study.chat.settings import ChatSettings
from tests.conftest import ROOT, composed
from tests.toy_policy import save_toy

GOOD = '```lua\nlocal a, b = io.read("*n", "*n")\nprint(a + b)\n```'
CTRL_C = "\x03"


def talked(endpoint: ScriptedEndpoint, folder: Path, lines: list[str], console: Console | None = None) -> None:
    url = f"model.base_url={endpoint.url}"
    converse(["model=endpoint", url, "model.name=scripted"], folder, lines, console)


def converse(model: list[str], folder: Path, lines: list[str], console: Console | None = None) -> None:
    config = composed(*model, "sandbox.workers=1", script="chat")
    settings = ChatSettings.read(OmegaConf.create(config))
    typed = iter(lines)

    def read(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    with ExitStack() as stack:
        conversation = Conversation(settings, folder, read, stack)
        conversation.console = console or conversation.console
        conversation.talk()


class Screen(io.StringIO):
    """A terminal."""

    def shows(self, word: str) -> bool:
        """Whether a word comes up on it within a minute."""
        until = time.monotonic() + 60
        while word not in self.getvalue() and time.monotonic() < until:
            time.sleep(0.02)
        return word in self.getvalue()

    def console(self) -> Console:
        return Console(file=self, force_terminal=True, width=80, height=24, highlight=False, color_system=None)


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


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
    rows = history(tmp_path)
    assert [row["verdict"] for row in rows] == ["passed", None, None]
    assert rows[1]["statement"] == "Add two\nnumbers."


def test_nothing_hostile_reaches_the_terminal(tmp_path: Path) -> None:
    """Escapes, turned and hidden text and megabytes: of an answer, a program's output, a problem and its name."""
    hostile = "\x1b[2J\x9b1m\u202egnp\u2066\u061c\u200b\U000e0041\u3164\r\x08"
    program = "print(io.read('a')) io.stderr:write('\\27]0;owned\\7')"
    rows = [{"id": hostile, "statement": hostile, "tests": [{"input": hostile, "output": hostile + "!"}]}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = iter([f"{hostile}\n```lua\n{program}\n```\n", hostile * 300_000])
    screen = Screen()
    data = ["dataset=jsonl", f"dataset.heldout={tmp_path}/rows.jsonl", "dataset.train=null"]
    with serve(lambda request: next(answers)) as endpoint:
        model = ["model=endpoint", f"model.base_url={endpoint.url}", "model.name=scripted", *data]
        lines = ["/problem", "/problem 1", "/tests", "/input", hostile, ".", "/again", "/history", f"/{hostile}"]
        converse(model, tmp_path, lines, screen.console())
    shown = re.sub(r"\x1b\[(?:\d*[AKmh]|\?25[lh]|2K|1A)|\r", "", screen.getvalue())  # what rich itself writes
    assert "wrong output" in shown and "no program was found" in shown and "more characters" in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u202e\u2066\u3164\U000e0041]", shown)
    assert "\\u202egnp" in shown and len(shown) < 200_000


class Terminal:
    """A chat in a process of its own, on a real pseudo-terminal: Ctrl-C is the key, not the signal."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.seen = descriptor, b""

    def until(self, word: str, typed: str = "") -> None:
        """Types, and waits until a word comes up."""
        os.write(self.descriptor, typed.encode())
        while word.encode() not in self.seen:
            assert select.select([self.descriptor], [], [], 300)[0], self.seen
            try:
                self.seen += os.read(self.descriptor, 65536)
            except OSError as error:  # nobody is there any more
                raise AssertionError(self.seen) from error
        self.seen = self.seen.partition(word.encode())[2]


@contextmanager
def chat(*words: str) -> Iterator[Terminal]:
    """Ends it with /quit, and looks that it ended well."""
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-m", "study.chat", *words], {**os.environ, "TERM": "xterm"})
    try:
        terminal = Terminal(descriptor)
        terminal.until("lua> ")
        yield terminal
        os.write(descriptor, b"/quit\n")
        _, status = os.waitpid(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(descriptor)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("engine", ["transformers", pytest.param("vllm", marks=pytest.mark.slow)])
def test_ctrl_c_stops_an_answer_and_keeps_the_session(tmp_path: Path, engine: str) -> None:
    """A model of random weights seldom finds its end."""
    save_toy(tmp_path / "toy")
    config = tmp_path / "toy/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": 4096}))
    model = (f"rollout={engine}", f"model.path={tmp_path}/toy", "rollout.max_new_tokens=1500")
    with chat(*model, f"run_dir={tmp_path}", "sandbox.workers=1") as terminal:
        for _ in range(2):
            terminal.until("stops it", "Print a line.\n\n")
            terminal.until("stopped", CTRL_C)
            terminal.until("lua> ")
        terminal.until("2 in ", "/history\n")
    assert [row["stopped"] for row in history(tmp_path)] == [True, True]


def test_ctrl_c_stops_an_answer_that_an_endpoint_writes(tmp_path: Path) -> None:
    """Before its first word, and in its middle; the next question is answered."""
    over, asked = threading.Event(), threading.Semaphore(0)

    def endless() -> Iterator[bytes]:
        yield from events("begun ")[:2]
        over.wait(60)

    answers: Iterator[Any] = iter([Raw(delay_s=30), streamed(endless()), GOOD])

    def script(request: dict[str, object]) -> Any:
        asked.release()
        return next(answers)

    with serve(script) as endpoint:
        model = ("model=endpoint", f"model.base_url={endpoint.url}", "model.name=scripted")
        with chat(*model, f"run_dir={tmp_path}", "sandbox.workers=1") as terminal:
            for question, shown in (("Slow.", "stops it"), ("Endless.", "begun")):
                terminal.until(shown, f"{question}\n\n")
                assert asked.acquire(timeout=60), "the question has not come"
                terminal.until("stopped", CTRL_C)
                terminal.until("lua> ")
            over.set()
            terminal.until("lua> ", "Fast.\n\n")
    assert [(row["statement"], row["stopped"], row["answer"]) for row in history(tmp_path)] == [
        ("Slow.", True, ""),
        ("Endless.", True, "begun "),
        ("Fast.", False, GOOD),
    ]


def test_an_answer_is_shown_as_it_is_written(tmp_path: Path) -> None:
    """The server writes the second half once the first is on the screen."""
    screen, shown = Screen(), []

    def halves() -> Iterator[bytes]:
        *first, last, end, usage, done = events("\x1b]0;owned\x07early\n", GOOD)
        yield from first
        shown.append(screen.shows("early"))
        yield from (last, end, usage, done)

    with serve(lambda request: streamed(halves())) as endpoint:
        talked(endpoint, tmp_path, ["/problem 1"], screen.console())
    assert shown == [True], "what was there was not shown before more came"
    text = screen.getvalue()
    assert "passed: 5 of 5 tests" in text and "\x1b]0;" not in text
    assert [(row["verdict"], row["stopped"]) for row in history(tmp_path)] == [("passed", False)]


def test_the_end_of_a_long_answer_is_shown() -> None:
    growing = Growing("the model answers")
    growing.grow(0, "".join(f"line {number}\n" for number in range(500)) + "half a li")
    screen = Screen()
    screen.console().print(growing)
    lines = screen.getvalue().splitlines()
    assert len(lines) <= 24 and "half a li" in lines[-2] and "the model answers" in lines[-1]
    growing.stopped = True
    with pytest.raises(KeyboardInterrupt):
        growing.grow(0, "more")


def test_a_trained_model_beside_the_one_before(calm: Path, tmp_path: Path) -> None:
    """A real run's checkpoint and the model that it began with answer the same problem, and stream."""
    screen = Screen()
    lines = ["/temperature 0", "/base", "/problem 1", "/base", "/again"]
    converse([f"checkpoint={calm}", "model=tiny"], tmp_path, lines, screen.console())
    rows = history(tmp_path)
    trained = str(calm / "checkpoints/step_000004")
    assert [row["checkpoint"] for row in rows] == [trained, None, trained]
    assert rows[0]["answer"] == rows[2]["answer"] and all(row["verdict"] for row in rows)
    shown = screen.getvalue()
    assert "trained" in shown and "before training" in shown and "the trained model answers alone" in shown
