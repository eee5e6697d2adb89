"""How often our verdicts agree with known ones, on programs whose verdict somebody else gave:

    python benchmarks/ground_truth.py DATA                       # everything; DATA is a folder as described below
    python benchmarks/ground_truth.py DATA sets=kth,exercism languages=lua,r

kth        DATA/verdicts/kth_submissions.jsonl: contest submissions labelled by their judges (accepted, wrong_answer,
           time_limit_exceeded, run_time_error), with the tests of DATA/stdio/kth_problems.jsonl
exercism   DATA/known_correct/*_exercism.jsonl: solutions that pass their own tests (exit code 0, and OK printed where
           the row says so), and a stub in its place that must not pass (`negative_program`)
humaneval  DATA/known_correct/julia_humaneval_canonical.jsonl: solutions with their tests

Prints a line for each program whose verdict differs, with what it printed, and a table of agreement. Languages that
this project has no file for are counted as not run.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import languages
from base.errors import DataError
from base.limits import Limits
from languages import Language
from problems.sources.multipl_e import toolchain
from sandbox.job import Compare, Job, Status, Test, Verdict
from sandbox.pool import Pool

# What a judge's word may be in ours. A program that is wrong and slow, or wrong and crashes, was stopped by the judge
# at its first failing test, and is by us at ours: for those labels any failure but a compile error agrees.
FAILURES = {Status.WRONG_OUTPUT, Status.RUNTIME_ERROR, Status.TIMEOUT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT}
KTH_LANGUAGES = {"python3": "python", "g++": "cpp"}
PROGRAMS = ("program", "negative_program")
SECONDS = (
    10.0  # of a contest's test: its archive does not say its limit, which is a multiple of what accepted ones take
)


@dataclass(frozen=True)
class Known:
    """A program with the verdict that it should get."""

    job: Job
    set: str
    label: str  # accepted, or why not
    allowed: frozenset[Status]


def kth(data: Path, ours: dict[str, Language]) -> Iterator[Known]:
    problems = {row["id"]: row for row in _rows(data / "stdio" / "kth_problems.jsonl")}
    for row in _rows(data / "verdicts" / "kth_submissions.jsonl"):
        problem = problems[row["problem"]]
        tests = tuple(Test(test["input"], test["output"]) for test in problem["examples"] + problem["tests"])
        language = KTH_LANGUAGES.get(row["lang"], row["lang"])
        limits = ours[language].limits if language in ours else Limits()
        limits = replace(limits, compile_s=60.0, test_s=SECONDS, program_s=600.0, memory_mb=2048)
        program = _named_main(row["program"]) if language == "java" else row["program"]
        job = Job(row["id"], language, program, tests, _flags(problem["validator_flags"]), limits)
        accepted = row["label"] == "accepted"
        yield Known(job, "kth", row["label"], frozenset({Status.PASSED} if accepted else FAILURES))


def _named_main(program: str) -> str:
    """A Java program whose public class is Main: a judge finds it under any name, our file is always Main.java."""
    name = re.search(r"public\s+class\s+(\w+)", program)
    return re.sub(rf"\b{name[1]}\b", "Main", program) if name else program


def _flags(flags: str | None) -> Compare:
    """The comparison that a problem's judge was given."""
    words = (flags or "").split()
    if "float_tolerance" in words:
        return Compare("float", float(words[words.index("float_tolerance") + 1]))
    return Compare("tokens")  # the judge's default: white space decides nothing


def exercism(data: Path, ours: dict[str, Language]) -> Iterator[Known]:
    for path in sorted((data / "known_correct").glob("*_exercism.jsonl")):
        for row in _rows(path):
            printed = row["test_cases"]
            tests = tuple(Test(test["input"], test["output"]) for test in printed) if printed else (Test("", ""),)
            compare = Compare("exact" if printed else "exit_code")
            # How much a test set prints is all that `verbose` says, and Julia before 1.6 refuses it.
            programs = [row[key] and row[key].replace("@testset verbose = true", "@testset") for key in PROGRAMS]
            job = Job(row["id"], row["lang"], programs[0], tests, compare)
            yield Known(job, f"exercism {row['lang']}", "correct", frozenset({Status.PASSED}))
            if programs[1]:
                stub = replace(job, id=row["id"] + " (stub)", program=programs[1])
                failures = frozenset(FAILURES | {Status.COMPILE_ERROR})
                yield Known(stub, f"exercism {row['lang']}", "stub", failures)


def humaneval(data: Path, ours: dict[str, Language]) -> Iterator[Known]:
    for row in _rows(data / "known_correct" / "julia_humaneval_canonical.jsonl"):
        tests = tuple(Test(test["input"], test["output"]) for test in row["test_cases"])
        job = Job(row["id"], row["lang"], row["program"], tests)
        yield Known(job, "humaneval julia", "correct", frozenset({Status.PASSED}))


SETS = {"kth": kth, "exercism": exercism, "humaneval": humaneval}


def _rows(path: Path) -> list[Any]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def main(arguments: list[str]) -> None:
    chosen = dict(word.split("=", 1) for word in arguments if "=" in word)
    folders = [word for word in arguments if "=" not in word]
    sets = chosen.get("sets", ",".join(SETS)).split(",")
    if len(folders) != 1 or not set(sets) <= set(SETS) or not set(chosen) <= {"sets", "languages"}:
        sys.exit(f"usage: python benchmarks/ground_truth.py DATA [sets={','.join(SETS)}] [languages=lua,...]")
    ours = {name: languages.load(name) for name in languages.names()}
    # Its Lua programs are written for any Lua: they run in the one that MultiPL-E takes, 5.3, and in our own.
    ours["lua5.3"] = replace(toolchain(ours["lua"]), name="lua5.3")
    wanted = chosen["languages"].split(",") if "languages" in chosen else list(ours)
    known = [item for name in sets for item in SETS[name](Path(folders[0]).expanduser(), ours)]
    known += [
        replace(item, job=replace(item.job, language="lua5.3"), set="exercism lua 5.3")
        for item in known
        if item.set == "exercism lua"
    ]
    run = [item for item in known if item.job.language in ours and item.job.language in wanted]
    agreed: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter((item.set, item.label) for item in run)
    started = time.monotonic()
    with Pool([ours[name] for name in sorted({item.job.language for item in run})]) as pool:
        for index, verdict in pool.as_verified(item.job for item in run):
            item = run[index]
            if verdict.status in item.allowed:
                agreed[item.set, item.label] += 1
            else:
                print(f"{item.label} there, {verdict.status} here: {item.job.id} ({item.job.language}) {_why(verdict)}")
    print(f"\n{'set':20} {'label':20} {'programs':>8} {'agree':>6}")
    for (name, label), count in sorted(total.items()):
        print(f"{name:20} {label:20} {count:8} {agreed[name, label]:6}")
    skipped = Counter(item.job.language for item in known if item.job.language not in ours)
    print(f"not run, no such language here: {dict(skipped)}; {time.monotonic() - started:.0f} s")


def _why(verdict: Verdict) -> str:
    tests = [test for test in verdict.tests if test.status is not Status.PASSED]
    failed = verdict.compile if verdict.status is Status.COMPILE_ERROR else tests[0] if tests else None
    if failed is None:
        return verdict.message
    said = " ".join((failed.stderr or failed.stdout).split())[:160]
    return f"test {len(verdict.tests)}, {failed.wall_s:.2f} s: {said}"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except DataError as error:
        sys.exit(f"error: {error}")
