"""The same small programs in every language, and what the sandbox must say of each.

`languages/proofs/<language>.yaml` has one program under each name below; a private language's file lies in the folder
`proofs` beside it. The doctor (`sandbox/check`) and the tests run them in the language's jail.

TESTS are the eleven that say whether the language and its limits work. WILD are what programs in the wild do besides:
recurse deeply, read much, sort text, compute with big numbers, fill a large array. A language that cannot do one of
them leaves it out, or gives it another test. A program of any other name has a test of its own too (`library`).

    recursion: {program: "...", input: "5000\n", output: "12502500\n"}    a test other than that of WILD
    library: {program: "...", output: "..."}                              any other name; no input is an empty one
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import yaml

import languages
from sandbox.job import Job, Status, Test


def _sum() -> list[Test]:
    return [Test("3 4\n", "7\n"), Test("-20 5\n", "-15\n"), Test("100000 900000\n", "1000000\n")]


def _echo() -> list[Test]:
    return [
        Test("plain\nzwölf Boxkämpfer\n日本語 и 🙂\n", "plain\nzwölf Boxkämpfer\n日本語 и 🙂\n"),
        Test("one\n", "one\n"),
    ]


def _mean() -> list[Test]:
    return [Test("4\n1 2 3 4.5\n", "2.6250\n"), Test("3\n10.5 20.25 30.125\n", "20.2917\n")]


def _sort() -> list[Test]:
    numbers = random.Random(0).choices(range(-(10**9), 10**9), k=10**5)
    return [Test("\n".join(map(str, [len(numbers), *numbers])) + "\n", "\n".join(map(str, sorted(numbers))) + "\n")]


def _until_eof() -> list[Test]:
    return [Test("1\n2\n3\n40\n", "46\n"), Test("5\n", "5\n")]


TESTS: dict[str, Callable[[], list[Test]]] = {
    "sum": _sum,  # of the two integers on the only line
    "echo": _echo,  # every line as it is, until the end of input
    "mean": _mean,  # of n numbers, n on the first line, the numbers on the second; four decimals
    "sort": _sort,  # 10^5 integers, one per line after their count; sorted, one per line
    "until_eof": _until_eof,  # the sum of the integers, one per line until the end of input
    "wrong": _sum,  # a minus b
    "broken": _sum,  # does not compile, or does not parse
    "crash": _sum,  # an error that nothing catches
    "loop": _sum,  # runs for ever
    "hog": _sum,  # takes and fills memory for ever
    "flood": _sum,  # prints for ever
}


def _recursion() -> list[Test]:
    return [Test("100000\n", "5000050000\n")]


def _million() -> list[Test]:
    numbers = random.Random(1).choices(range(-(10**6), 10**6), k=10**6)
    return [Test(f"{len(numbers)}\n{' '.join(map(str, numbers))}\n", f"{sum(numbers)}\n")]


def _words() -> list[Test]:
    words = ["pear", "Zebra", "_x", "apple", "Apple", "10", "9", "a-b", "aB", "ab", "a.b", "é", "zoo", "B~", "b", "a"]
    return [Test("\n".join(words) + "\n", "\n".join(sorted(words)) + "\n")]


def _factorial() -> list[Test]:
    return [Test("100\n", f"{math.factorial(100)}\n"), Test("1500\n", f"{math.factorial(1500)}\n")]


def _sieve() -> list[Test]:
    return [Test("5000000\n", "348513\n")]


WILD: dict[str, Callable[[], list[Test]]] = {
    "recursion": _recursion,  # 1 + 2 + ... + n by a function that calls itself n deep, adding after the call
    "million": _million,  # the sum of n integers, n on the first line, the numbers on the second
    "words": _words,  # the lines of the input, sorted as bytes
    "factorial": _factorial,  # n!, exactly
    "sieve": _sieve,  # how many primes there are up to n, by the sieve of Eratosthenes
}
EXPECTED = {
    "wrong": Status.WRONG_OUTPUT,
    "crash": Status.RUNTIME_ERROR,
    "loop": Status.TIMEOUT,
    "hog": Status.MEMORY_LIMIT,
    "flood": Status.OUTPUT_LIMIT,
}
LOOP_S = 2.0  # seconds that an endless loop is given, for the proof not to take long
HOG_MB, HOG_S = 512, 60.0  # what the memory hog may fill, and the seconds it has for that on a busy machine


class Program(NamedTuple):
    """A program of a proof and what it must do to pass."""

    text: str
    tests: tuple[Test, ...]


def path(language: languages.Language) -> Path:
    """Where a language's proof lies, beside the language's own file."""
    return Path(language.where).parent / "proofs" / f"{language.name}.yaml"


def programs(language: languages.Language) -> dict[str, Program]:
    """The small programs by name, as many as there are. Raises languages.LanguageError for a file that is wrong."""
    file = path(language)
    if not file.is_file():
        return {}
    try:
        row = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise languages.LanguageError(f"{file}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(row, dict):
        raise languages.LanguageError(f"{file}: must be a mapping of {', '.join(TESTS)} to programs")
    found = {str(name): _program(str(name), value, file) for name, value in row.items()}
    order = [*TESTS, *WILD]
    return {name: found[name] for name in [*order, *(name for name in found if name not in order)] if name in found}


def _program(name: str, value: object, file: Path) -> Program:
    common = TESTS | WILD
    if isinstance(value, str):
        if name not in common:
            raise languages.LanguageError(
                f"{file}: {name!r}: must be one of {', '.join(common)}, or a mapping of program, input and output"
            )
        return Program(value, tuple(common[name]()))
    keys = set(value) if isinstance(value, dict) else set()
    if not ({"program", "output"} <= keys <= {"program", "input", "output"} and name not in TESTS):
        raise languages.LanguageError(
            f"{file}: {name!r}: must be a program as text"
            + (", or a mapping of program, input and output" if name not in TESTS else "")
        )
    assert isinstance(value, dict)
    if not all(isinstance(text, str) for text in value.values()):
        raise languages.LanguageError(f"{file}: {name!r}: program, input and output must be text")
    return Program(value["program"], (Test(value.get("input", ""), value["output"]),))


def expected(language: languages.Language, name: str) -> set[Status]:
    """The verdicts that are right for a program of the proof.

    A compile line that names the program's file compiles it, and then `broken` must be caught there.
    """
    if name == "broken":
        if language.compile is None:
            return {Status.RUNTIME_ERROR}
        named = language.filename in language.compile
        return {Status.COMPILE_ERROR} if named else {Status.COMPILE_ERROR, Status.RUNTIME_ERROR}
    return {EXPECTED.get(name, Status.PASSED)}


def jobs(language: languages.Language, use_cgroups: bool = True) -> list[Job]:
    """The proof as jobs for a pool; a job's id is its program's name.

    Without cgroups the memory hog gets all of the language's `memory_mb`: what is counted then is addresses, and a
    runtime that sets many aside would not even start with less.
    """
    hog_mb = min(HOG_MB, language.limits.memory_mb) if use_cgroups else language.limits.memory_mb
    limits = {
        "loop": replace(language.limits, test_s=min(LOOP_S, language.limits.test_s)),
        "hog": replace(language.limits, test_s=HOG_S, memory_mb=hog_mb),
    }
    return [
        Job(name, language.name, program.text, program.tests, limits=limits.get(name))
        for name, program in programs(language).items()
    ]
