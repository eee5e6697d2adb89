"""Right Lua programs for kinds of starter problems, as a teacher would answer, in the words the tiny policy knows."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import ROOT

PAIR, NUMBER, TEXT = 'local a, b = io.read("*n", "*n")\n', 'local n = io.read("*n")\n', 'local s = io.read("*l")\n'
PROGRAMS = {
    "sum": PAIR + "print(a + b)",
    "difference": PAIR + "print(math.abs(a - b))",
    "product": PAIR + "print(a * b)",
    "power": PAIR + "print(a ^ b)",
    "parity": NUMBER + 'print(n % 2 == 0 and "even" or "odd")',
    "triangular": NUMBER + "print(n * (n + 1) / 2)",
    "countdown": NUMBER + "for i = n, 1, -1 do\n  print(i)\nend",
    "vowels": TEXT + 'local _, c = s:gsub("[aeiou]", "")\nprint(c)',
    "words": TEXT + 'local _, c = s:gsub("%S+", "")\nprint(c)',
    "length": TEXT + "print(#s)",
    "reverse": TEXT + "print(s:reverse())",
    "upper": TEXT + "print(s:upper())",
    "palindrome": TEXT + 'print(s == s:reverse() and "yes" or "no")',
    "repeat": TEXT + NUMBER + "print(s:rep(n))",
}


def kind(problem: str) -> str:
    """Of a starter problem's id."""
    return problem.split("-")[1]


def answer(kind: str) -> str:
    return f"```lua\n-- {kind}\n{PROGRAMS[kind]}\n```"


def split(name: str, count: int) -> list[str]:
    """`count` lines of the starter's file, spread over the kinds that have a program here."""
    lines = (ROOT / f"problems/starter/data/{name}.jsonl").read_text().splitlines(keepends=True)
    known = [line for line in lines if kind(json.loads(line)["id"]) in PROGRAMS]
    return known[:: len(known) // count][:count]


def write_answers(path: Path, problems: list[str]) -> None:
    """A teacher's file: one right answer to each of the problems, which are lines of a data file."""
    ids = [json.loads(line)["id"] for line in problems]
    path.write_text("".join(json.dumps({"problem": i, "completion": answer(kind(i))}) + "\n" for i in ids))
