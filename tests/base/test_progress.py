"""What a long piece of work shows: lines where there is no terminal, a live line where there is one."""

from __future__ import annotations

import io
import re

import pytest
from rich.text import Text

from base import progress
from base.progress import Progress


def test_without_a_terminal_lines_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    with Progress("answers", 3, file=out) as shown:
        shown.show(1, "[b]none[/b]")  # too soon for a line
        monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
        shown.show(2, "[b]one[/b] right")
        shown.show(3, "two right")
        shown.say("done [here]")
    lines = [line.split(" s  ", 1)[1] for line in out.getvalue().splitlines()]
    assert lines == ["2/3 answers  [b]one[/b] right", "3/3 answers  two right", "done [here]"]


def test_on_a_terminal_there_is_one_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = io.StringIO()
    with Progress("answers", 3, file=out) as shown:
        assert shown.live
        shown.show(2, "[b]one[/b] right")
    assert "2/3 answers" in out.getvalue() and "[b]one[/b] right" in out.getvalue()


def test_a_narrow_terminal_cuts_the_figures_and_not_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    out = io.StringIO()
    with Progress("steps", 100, file=out) as shown:
        shown.show(88, "reward 0.72  held-out 0.91  " + "x" * 80)
    last = Text.from_ansi(out.getvalue()).plain.splitlines()[-1]
    assert re.fullmatch(r". 88/100 steps -:--:-- left reward 0\.72  held-out 0\.91  x+…", last), last


def test_only_the_first_rank_shows() -> None:
    out = io.StringIO()
    with Progress("steps", 2, file=out, quiet=True) as shown:
        shown.show(2)
        shown.say("x")
    assert out.getvalue() == ""
