"""What a conversation shows on the terminal. Nothing that a model or its program writes can steer it."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.text import Text

from base.text import visible
from problems.problem import Problem
from sandbox.job import Status, Verdict
from study.live.text import cut

LONGEST = 2_000  # characters of an output


class Growing:
    """An answer while it is written: its end, as much as the terminal holds."""

    def __init__(self, title: str) -> None:
        self.text, self.stopped = "", False
        self.spinner = Spinner("dots", title)

    def grow(self, number: int, text: str) -> None:
        """Takes the text so far. Raises KeyboardInterrupt where the answer is to be stopped."""
        self.text = text
        if self.stopped:
            raise KeyboardInterrupt

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(Text(visible(self.text[-LONGEST:])), options, pad=False) if self.text else []
        for line in lines[-max(1, console.height - 3) :]:
            yield from [*line, Segment.line()]
        yield self.spinner


def answer(text: str) -> RenderableType:
    """An answer, its code highlighted."""
    shown = visible(cut(text, 4 * LONGEST))
    # This theme's colours are the terminal's own, and can be read on a light ground as on a dark one.
    return Syntax(shown, "markdown", theme="ansi_light", background_color="default", word_wrap=True)


def judged(problem: Problem, verdict: Verdict) -> RenderableType:
    """The verdict on the problem's tests, and how the first test that failed went."""
    passed = verdict.tests_passed
    colour = "green" if verdict.passed else "red"
    parts: list[RenderableType] = [
        Text(f"{verdict.status.replace('_', ' ')}: {passed} of {len(problem.tests)} tests", f"bold {colour}")
    ]
    if not verdict.passed:
        if passed < len(verdict.tests):
            test = problem.tests[passed]
            parts += [Text(f"reads    {quoted(test.input)}"), Text(f"expected {quoted(test.output)}")]
        parts.append(ran(verdict, passed))
    return Group(*parts)


def ran(verdict: Verdict, number: int = 0) -> RenderableType:
    """What a program printed for one test, and how it ended."""
    result = verdict.tests[number] if number < len(verdict.tests) else verdict.compile
    if result is None:
        return Text(visible(verdict.message or verdict.status.value), "red")
    parts: list[RenderableType] = []
    if result.stdout or result.status in (Status.PASSED, Status.WRONG_OUTPUT):
        parts += [Text("printed", "dim"), Text(visible(cut(result.stdout, LONGEST)))]
    if result.stderr:
        parts += [Text("standard error", "dim"), Text(visible(cut(result.stderr, LONGEST)), "yellow")]
    if result.status not in (Status.PASSED, Status.WRONG_OUTPUT):
        parts.append(Text(result.status.replace("_", " "), "red"))
    return Group(*parts)


def quoted(text: str) -> str:
    return visible(repr(cut(text, 200)))
