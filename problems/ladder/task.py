"""How a ladder problem is written down: a function whose docstring is the problem and whose body solves it.

    problem = tier(1)

    @problem(cases=[[[3, 4]], [[-5, 5]]], random=lambda rng: [rng.ints(2, -1000, 1000)])
    def sum_of_two(read):
        '''Print the sum of two whole numbers.

        Input: one line with two whole numbers a and b, separated by a space (-1000 <= a, b <= 1000).

        Output: one line with the sum.
        '''
        a, b = read.numbers()
        return a + b

Inputs (`cases`, what `random` returns) and outputs (what the function returns) are *blocks*: a list is one line
per item, an item that is itself a list is one line of values separated by single spaces, anything else is one
line. The first case, or the first `examples` of them, is what the prompt shows; seeded random inputs follow the
cases until there are `TESTS` of them, growing in size, the last as large as the generator makes them.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from problems.problem import Problem
from sandbox.job import Test

TESTS = 10  # a problem
LOWER = "abcdefghijklmnopqrstuvwxyz"


def block(value: Any) -> str:
    """The text of a block; it ends with a newline."""
    lines = value if isinstance(value, list) else [value]
    return "".join(" ".join(map(str, line)) + "\n" if isinstance(line, list | tuple) else f"{line}\n" for line in lines)


def fixed(x: float) -> str:
    """`x` to 4 decimals. Refuses values that languages may round to different sides or print as minus zero."""
    tenthousandths = x * 10_000
    if abs(abs(tenthousandths) % 1 - 0.5) < 1e-4 or -0.5 <= tenthousandths < 0:
        raise ValueError(f"{x!r} has no clear value of 4 decimals")
    return f"{x:.4f}"


class Reader:
    """The input as a reference solution reads it, line by line."""

    def __init__(self, text: str):
        self.rest = text.splitlines()[::-1]

    def line(self) -> str:
        return self.rest.pop()

    def words(self) -> list[str]:
        return self.line().split()

    def number(self) -> int:
        return int(self.line())

    def numbers(self) -> list[int]:
        return [int(word) for word in self.words()]

    def lines(self, n: int) -> list[str]:
        return [self.line() for _ in range(n)]

    def rows(self, n: int) -> list[list[int]]:
        """`n` lines of whole numbers."""
        return [self.numbers() for _ in range(n)]


class Rng(random.Random):
    """Random inputs. `growth` goes from just above 0 to 1, from a problem's first random input to its last."""

    growth = 1.0

    def size(self, low: int, high: int) -> int:
        """A size that grows with the tests and ends at `high`."""
        return low + round((high - low) * self.growth)

    def ints(self, n: int, low: int, high: int) -> list[int]:
        return [self.randint(low, high) for _ in range(n)]

    def counted(self, n: int, low: int, high: int) -> list[Any]:
        """Two lines: n, then n whole numbers."""
        return [n, self.ints(n, low, high)]

    def word(self, low: int, high: int, letters: str = LOWER) -> str:
        """A word of `low` to `high` letters."""
        return "".join(self.choices(letters, k=self.randint(low, high)))

    def edges(self, n: int, m: int) -> list[list[int]]:
        """`m` different pairs a < b out of 1..n, shuffled; fewer where there are fewer."""
        pairs = [[a, b] for a in range(1, n + 1) for b in range(a + 1, n + 1)]
        return self.sample(pairs, min(m, len(pairs)))

    def grid(self, height: int, width: int, letters: str) -> list[str]:
        return [self.word(width, width, letters) for _ in range(height)]


@dataclass(frozen=True)
class Task:
    """A problem before its tests are made."""

    name: str
    tier: int
    statement: str
    input_format: str
    output_format: str
    reference: Callable[[Reader], Any]
    cases: list[Any]
    random: Callable[[Rng], Any]
    examples: int

    def solve(self, text: str) -> str:
        """The right output for one input. Raises ValueError where the solution leaves some of the input unread."""
        reader = Reader(text)
        output = block(self.reference(reader))
        if reader.rest:
            raise ValueError(f"{self.name}: {len(reader.rest)} lines of the input are left over")
        return output

    def random_input(self, seed: str, growth: float = 1.0) -> str:
        rng = Rng(seed)
        rng.growth = growth
        return block(self.random(rng))

    def inputs(self) -> list[str]:
        """`TESTS` different inputs, the same ones every time."""
        texts = [block(case) for case in self.cases]
        wanted = TESTS - len(texts)
        for number in range(1, wanted + 1):
            tries = (self.random_input(f"{self.name}/{number}/{k}", number / wanted) for k in range(100))
            texts.append(next(text for text in tries if text not in texts))
        return texts

    def problem(self) -> Problem:
        return Problem(
            id=f"ladder-{self.name}",
            statement=self.statement,
            tests=tuple(Test(text, self.solve(text)) for text in self.inputs()),
            input_format=self.input_format,
            output_format=self.output_format,
            examples=self.examples,
            tier=self.tier,
        )


def tier(number: int) -> Callable[..., Callable[[Callable[[Reader], Any]], Task]]:
    """The decorator that makes a Task of this tier out of a function (see the top of this file)."""

    def problem(cases: list[Any], random: Callable[[Rng], Any], examples: int = 1) -> Any:
        def task(reference: Callable[[Reader], Any]) -> Task:
            name = getattr(reference, "__name__", "")
            statement, input_format, output_format = _parts(name, inspect.getdoc(reference) or "")
            return Task(name, number, statement, input_format, output_format, reference, cases, random, examples)

        return task

    return problem


def _parts(name: str, text: str) -> tuple[str, str, str]:
    """Statement, input format and output format of a docstring; a line break inside a paragraph is a space."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    heads = [paragraph.partition(":")[0] for paragraph in paragraphs]
    if heads[-2:] != ["Input", "Output"] or len(paragraphs) < 3:
        raise ValueError(f"{name}: a docstring is the statement, then 'Input: ...', then 'Output: ...'")
    input_format, output_format = (p.partition(":")[2].strip() for p in paragraphs[-2:])
    return "\n\n".join(paragraphs[:-2]), capital(input_format), capital(output_format)


def capital(sentence: str) -> str:
    """With a capital letter at its beginning, unless that is a name such as n."""
    return sentence[0].upper() + sentence[1:] if sentence[:2].isalpha() else sentence
