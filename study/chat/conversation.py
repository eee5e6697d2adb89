"""A conversation with a model about problems: what is typed, asked, answered, judged and kept."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

import languages
from base.errors import ConfigError, UserError
from base.jsonl import RowLog
from base.text import visible
from chat.settings import EndpointSettings
from problems import load
from problems.problem import Problem
from problems.task import Stdio
from rollout.draw import Answer, AnswerSource, EndpointModel, LocalModel, Question
from run import run_folder
from sandbox import open_pool
from sandbox.executor import Executor
from sandbox.job import Job, Test, Verdict
from study.chat import screen
from study.chat.settings import ChatSettings
from study.live.text import cut

END = "."  # alone on a line, it ends a text that may hold empty lines
LISTED = 20  # problems, entries of the history


class Conversation:
    """What is being talked about: a problem, a language, the newest program."""

    def __init__(self, settings: ChatSettings, folder: Path, read: Callable[[str], str], stack: ExitStack) -> None:
        """`read(prompt)` gives a line that was typed, and raises EOFError at the end."""
        self.settings, self.folder, self.read, self.stack = settings, folder, read, stack
        self.console = Console(highlight=False)
        self.language = languages.from_config(settings.language)
        self.temperature = settings.rollout.temperature
        self.problem: Problem | None = None
        self.program: str | None = None
        self.beside = False  # whether the model before training is asked too
        self.pools: dict[str, Executor] = {}
        self.history = RowLog(folder / "history.jsonl")
        stack.callback(self.history.close)
        self.turns = sum(1 for _ in self.history.rows())
        named = settings.checkpoint
        self.checkpoint = run_folder.find_checkpoint("checkpoint", named, settings.model.name) if named else None
        self.model = self._open(self.checkpoint)

    def _open(self, checkpoint: Path | None) -> AnswerSource:
        model = self.settings.model
        if isinstance(model, EndpointSettings):
            if checkpoint is not None:
                raise ConfigError("checkpoint goes with a model on this machine, not with model=endpoint")
            return EndpointModel(model, self.folder)
        with self.console.status("loading the model"):
            return LocalModel.open(model, self.settings.rollout, checkpoint, self.settings.seed)

    @cached_property
    def base(self) -> AnswerSource:
        """The model before training."""
        return self._open(None)

    @cached_property
    def problems(self) -> list[Problem]:
        return list(load.load(self.settings.dataset, self.settings.split, quiet=True))

    def pool(self, problem: Problem) -> Executor:
        """The jail for the language that is spoken, and for the problem's checker if it has one."""
        taught = load.pool_languages([problem], self.language)
        key = "+".join(language.name for language in taught)
        if key not in self.pools:
            with self.console.status(f"preparing the sandbox for {self.language.title}"):
                options = self.settings.sandbox.options()
                self.pools[key] = self.stack.enter_context(open_pool(taught, **options))
        return self.pools[key]

    def talk(self) -> None:
        """Until the end of what is typed."""
        name = self.settings.checkpoint or self.settings.model.name
        self.say(f"{name}, {self.language.title}, temperature {self.temperature:g}. Type a problem; /help lists more.")
        while True:
            try:
                text = self._typed()
            except EOFError:
                return
            except KeyboardInterrupt:
                self.say("")
                continue
            try:
                if text.startswith("/"):
                    if text.split()[0] in ("/quit", "/exit"):
                        return
                    self._command(text)
                elif text.strip():
                    self.ask(Problem(id="typed", statement=text, tests=()))
            except KeyboardInterrupt:
                self.say("stopped")
            except EOFError:
                return
            except UserError as error:
                self.say(f"error: {error}", "red")

    def _typed(self) -> str:
        """A command, or the lines of a problem up to an empty one."""
        lines = [self.read(f"{self.language.name}> ")]
        while lines[-1].strip() and not lines[0].startswith("/"):
            lines.append(self.read("... "))
        return "\n".join(lines).strip()

    def _lines(self, what: str) -> str:
        """Lines up to one that holds a single dot."""
        self.say(f"{what}; a line with a single {END!r} ends it")
        lines = []
        while (line := self.read("... ")) != END:
            lines.append(line)
        return "".join(f"{line}\n" for line in lines)

    def _command(self, text: str) -> None:
        name, _, rest = text[1:].partition(" ")
        if name not in COMMANDS:
            raise ConfigError(f"there is no command /{name}; the commands are {', '.join(f'/{c}' for c in COMMANDS)}")
        COMMANDS[name](self, rest.strip())

    def help(self, rest: str) -> None:
        """this list"""
        for name, command in COMMANDS.items():
            self.say(f"/{name:<12} {command.__doc__}")
        self.say("/quit         or Ctrl-D: the end")

    def paste(self, rest: str) -> None:
        """a problem that holds empty lines"""
        self.ask(Problem(id="typed", statement=self._lines("the problem"), tests=()))

    def choose(self, rest: str) -> None:
        """ID or number: ask a problem of the data set; without one, list them"""
        chosen = [p for n, p in enumerate(self.problems, 1) if rest in (p.id, str(n))]
        if chosen:
            self.ask(chosen[0])
            return
        found = [(n, p) for n, p in enumerate(self.problems, 1) if rest.lower() in f"{p.id} {p.statement}".lower()]
        for number, problem in found[:LISTED]:
            self.say(f"{number:>4}  {problem.id}  {cut(' '.join(problem.statement.split()), 80)}")
        self.say(f"{len(found)} of {len(self.problems)} problems; /problem WORD finds others, /problem NUMBER asks one")

    def again(self, rest: str) -> None:
        """ask the same problem once more"""
        if self.problem is None:
            raise ConfigError("there is no problem yet: type one, or choose one with /problem")
        self.ask(self.problem)

    def tests(self, rest: str) -> None:
        """show the problem's tests; /tests add types one, /tests clear removes them"""
        if self.problem is None:
            raise ConfigError("there is no problem yet: type one, or choose one with /problem")
        if rest == "add":
            test = Test(self._lines("what the program reads"), self._lines("what it must print"))
            self.problem = replace(self.problem, tests=(*self.problem.tests, test), examples=0)
        elif rest == "clear":
            self.problem = replace(self.problem, tests=())
        elif rest:
            raise ConfigError(f"/tests {rest}: write /tests, /tests add or /tests clear")
        for number, test in enumerate(self.problem.tests, 1):
            self.say(f"test {number}: reads {screen.quoted(test.input)}, must print {screen.quoted(test.output)}")
        self.say(f"{len(self.problem.tests)} tests")
        if rest == "add" and self.program is not None:
            self.console.print(screen.judged(self.problem, self._verdict(self.problem, self.program)))

    def input(self, rest: str) -> None:
        r"""TEXT: run the newest program on it (\n ends a line); without TEXT, on lines you type"""
        if self.program is None:
            raise ConfigError("there is no program yet")
        text = rest.replace("\\n", "\n") + "\n" if rest else self._lines("what the program reads")
        job = Job("input", self.language.name, self.program, (Test(text, ""),))
        verdict = self.pool(Problem(id="input", statement="", tests=())).verify([job])[0]
        self.console.print(screen.ran(verdict))

    def set_language(self, rest: str) -> None:
        """NAME: the language of the next answers"""
        self.language = languages.load(rest) if rest else self.language
        self.program = None if rest else self.program
        self.say(f"{self.language.title}: {self.language.execute}")

    def set_temperature(self, rest: str) -> None:
        """NUMBER: of the next answers; 0 is the likeliest token each time"""
        with suppress(ValueError):
            if rest and not 0 <= float(rest) <= 2:
                raise ValueError
            self.temperature = float(rest) if rest else self.temperature
            self.say(f"temperature {self.temperature:g}")
            return
        raise ConfigError(f"/temperature {rest}: it is a number from 0 to 2")

    def toggle_base(self, rest: str) -> None:
        """the model before training too, side by side; once more: no longer"""
        if self.checkpoint is None:
            raise ConfigError("/base wants a checkpoint: this is the model before training")
        self.beside = not self.beside
        self.say("the model before training answers too" if self.beside else "the trained model answers alone")

    def show_history(self, rest: str) -> None:
        """what was asked and answered"""
        rows = [row for _, row in self.history.rows()]
        for row in rows[-LISTED:]:
            statement = cut(" ".join(str(row.get("statement")).split()), 60)
            became = "stopped" if row.get("stopped") else row.get("verdict") or "no tests"
            self.say(f"{row.get('time')}  {row.get('language')}  {became}  {statement}")
        self.say(f"{len(rows)} in {self.folder}/history.jsonl")

    def ask(self, problem: Problem) -> None:
        """Asks, shows the answer, and judges its program where there are tests."""
        if problem.id != "typed":
            self.say(visible(cut(problem.statement, screen.LONGEST)), "dim")
        self.problem, self.program = problem, None
        sources = [("", self.model)] if not self.beside else [("trained", self.model), ("before training", self.base)]
        panels: list[RenderableType] = []
        for title, source in sources:
            shown, program = self._answered(problem, source, title)
            panels.append(Panel(shown, title=title) if title else shown)
            if source is self.model:
                self.program = program
        self.console.print(Columns(panels, expand=True, equal=True) if len(panels) > 1 else panels[0])
        if not problem.tests and self.program is not None:
            self.say("/input TEXT runs it; /tests add gives it a test", "dim")

    def _answered(self, problem: Problem, source: AnswerSource, title: str) -> tuple[RenderableType, str | None]:
        """The answer of one model as it is shown, and its program."""
        question = Question(Stdio([problem], self.language), problem)
        began = time.monotonic()
        answer = self._streamed(question, source, title)
        seconds = time.monotonic() - began
        if answer is None:
            return Text(visible(source.trouble or "no answer came"), "red"), None
        program = question.program(answer.text)
        parts: list[RenderableType] = [screen.answer(answer.text)]
        cost = f"{answer.tokens} tokens, {seconds:.1f} s" + ("" if answer.finished else ", cut at max_new_tokens")
        parts.append(Text(cost, "dim"))
        verdict = None
        if problem.tests and program is not None:
            verdict = self._verdict(problem, program)
            parts.append(screen.judged(problem, verdict))
        elif program is None:
            parts.append(Text("no program was found in it", "yellow"))
        self._keep(problem, source, answer.text, program=program, verdict=verdict.status.value if verdict else None)
        return Group(*parts), program

    def _streamed(self, question: Question, source: AnswerSource, title: str) -> Answer | None:
        """The answer, shown as it is written. Ctrl-C raises KeyboardInterrupt, once what is there has been kept."""
        answers: list[Answer] = []
        growing = screen.Growing(f"{title or 'the model'} answers; Ctrl-C stops it")
        sampling = replace(self.settings.rollout.sampling(), temperature=self.temperature)
        seed = self.settings.seed + self.turns  # another for each question: the same words may be asked again
        with _stopping(growing, isinstance(source, LocalModel)):
            try:
                with Live(growing, console=self.console, transient=True, refresh_per_second=8):
                    source.generate(
                        [question], 1, sampling, seed, lambda _, answer: answers.append(answer), range(1), growing.grow
                    )
            except KeyboardInterrupt:
                self._keep(question.problem, source, growing.text, stopped=True)
                if growing.text:
                    self.console.print(screen.answer(growing.text))
                raise
        return answers[0] if answers else None

    def _keep(self, problem: Problem, source: AnswerSource, answer: str, **more: Any) -> None:
        """Adds a question and its answer to the history."""
        known = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "model": source.name,
            "checkpoint": str(self.checkpoint) if self.checkpoint and source is self.model else None,
            "language": self.language.name,
            "temperature": self.temperature,
            "problem": problem.id,
            "statement": problem.statement,
            "answer": answer,
            "program": None,
            "verdict": None,
            "stopped": False,
        }
        self.history.add(known | more)
        self.turns += 1

    def _verdict(self, problem: Problem, program: str) -> Verdict:
        job = Job(problem.id, self.language.name, program, problem.tests, problem.compare)
        return self.pool(problem).verify([job])[0]

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(visible(text), style))


@contextmanager
def _stopping(growing: screen.Growing, here: bool) -> Iterator[None]:
    """Ctrl-C stops a model in this process between two tokens: a step of vLLM's that is cut short leaves the engine
    with half a step in its books. The wait for another's answer may be cut anywhere."""
    if not here:
        yield
        return

    def stop(*_: object) -> None:
        growing.stopped = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


COMMANDS: dict[str, Callable[[Conversation, str], None]] = {
    "help": Conversation.help,
    "paste": Conversation.paste,
    "problem": Conversation.choose,
    "again": Conversation.again,
    "tests": Conversation.tests,
    "input": Conversation.input,
    "language": Conversation.set_language,
    "temperature": Conversation.set_temperature,
    "base": Conversation.toggle_base,
    "history": Conversation.show_history,
}
