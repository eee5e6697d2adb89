"""What the tiny policy reads before it is trained by reward: chats that ask for a program, and programs.

Python programs are right. Lua programs are what a programmer of Python writes who half remembers Lua: at many places
(`io.read` or `input()`, `#s` or `len(s)`, `t = t + x` or `t += x`) either way is drawn at random, so that some programs
of every kind are right by luck. The English is varied and right: it is only Lua that the policy is to be bad at.

Three grammars beside this file say it all. In them, `@name` opens a rule; a line `3 text` is an alternative that is
taken three times as often as `1 text`; a line `| text` continues it; `$name` is replaced by an alternative of that
rule, and `$Name` starts it with a capital.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from problems.problem import Problem
from problems.starter import splits
from problems.starter.kinds import KINDS, LIST, Kind
from sandbox.job import Test

FOLDER = Path(__file__).parent
LANGUAGES = {"python": 0.35, "lua": 0.65}  # shares of the corpus
COMMENTS = {"python": "#", "lua": "--"}


class Grammar:
    """Rules and their weighted alternatives, as read from a file of this folder."""

    def __init__(self, path: Path) -> None:
        self.rules: dict[str, tuple[list[str], list[int]]] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            mark, _, text = line.partition(" ")
            if mark.startswith("@"):
                alternatives, weights = self.rules[mark[1:]] = [], []
            elif mark == "|":
                alternatives[-1] += "\n" + text
            elif mark.isdigit():
                alternatives.append(text)
                weights.append(int(mark))
            else:
                raise ValueError(f"{path}, line {number}: starts with neither @, a weight nor |: {line!r}")

    def expand(self, text: str, random: Random, **own: str) -> str:
        """`text` with every $name replaced, until none is left; `own` gives some names a rule of another name."""

        def replace(match: re.Match[str]) -> str:
            name = match[1].lower()
            alternatives, weights = self.rules[own.get(name, name)]
            chosen = self.expand(random.choices(alternatives, weights)[0], random, **own)
            return chosen[:1].upper() + chosen[1:] if match[1][0].isupper() else chosen

        return re.sub(r"\$(\w+)", replace, text)


@dataclass(frozen=True)
class Sample:
    """One chat: a problem, the language it is asked in, and an answer."""

    kind: Kind
    problem: Problem
    language: str
    completion: str


class Corpus:
    """An endless stream of samples, a pure function of its seed. Held-out statements and inputs never appear in it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"tiny corpus {seed}")
        self.english = Grammar(FOLDER / "english.txt")
        self.code = {language: Grammar(FOLDER / f"{language}.txt") for language in LANGUAGES}
        self.weights = [2 if kind.shape is LIST else 1 for kind in KINDS]  # the longest programs, told most alike
        self.heldout_statements = {problem.statement.casefold() for problem in splits()["heldout"]}
        self.heldout_inputs = {(p.id.split("-")[1], test.input) for p in splits()["heldout"] for test in p.tests}

    def draw(self) -> Sample:
        kind = self.random.choices(KINDS, self.weights)[0]
        language = self.random.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
        program = self.code[language].expand(f"${kind.name}", self.random)
        # Saying what the program does is how a model this small learns, in so little time, what it was asked.
        comment = f"{COMMENTS[language]} {kind.name}"
        return Sample(kind, self._problem(kind), language, f"```{language}\n{comment}\n{program}\n```")

    def _problem(self, kind: Kind) -> Problem:
        while (statement := self._statement(kind)).casefold() in self.heldout_statements:
            pass
        tests: list[Test] = []
        while len(tests) < 12:
            text = kind.shape.draw(self.random) + "\n"
            if (kind.name, text) not in self.heldout_inputs:
                tests.append(Test(text, kind.solve(text) + "\n"))
        test = min(tests, key=lambda test: len(test.input + test.output))  # short, as a problem's example is
        return Problem(kind.name, statement, (test,), kind.shape.input_format, kind.output_format)

    def _statement(self, kind: Kind) -> str:
        if self.random.random() < 0.25:
            return self.random.choice(kind.train)
        frame = self.random.choice(["$frame_what", "$frame_do"])
        own = {"what": f"what_{kind.name}", "do": f"do_{kind.name}", "in": f"in_{kind.shape.name}"}
        statement = self.english.expand(frame, self.random, **own)
        return statement[0].upper() + statement[1:]
