"""Judges programs from the command line, one JSON object per line, in and out:

    python -m sandbox.verify language=lua < jobs.jsonl > verdicts.jsonl

A job is {id, program, tests: [{input, output}]}; or `completion` in place of `program`: a model's answer, of which
the code block is taken. Optional keys: `compare` (as in a problem file), `limits` (any field of base.limits.Limits),
`all_tests`, and `language` where several are given (language=lua,python; the first is the default).

Verdicts come in the order of the jobs, each as soon as it and all before it are known. A line that is no job gets a
sentence on standard error; the others are judged all the same, and the exit status is 1.

Arguments: language (required), workers (default: one per core), all_tests, unprotected (true or false).
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, ClassVar

import languages
from base import jsonl
from base.command_line import Command, Names
from base.errors import ConfigError, DataError, UserError
from base.limits import Limits, parse_limits
from base.progress import Progress
from base.settings import Count
from base.text import plain
from languages import Language
from sandbox.answer import extract
from sandbox.job import Job, SandboxError, TestResult, Verdict
from sandbox.job_rows import check_output, check_text, parse_compare, parse_tests
from sandbox.pool import Pool

KEYS = ("id", "program", "completion", "tests", "compare", "limits", "all_tests", "language")
AHEAD = 32  # jobs read ahead for each worker: memory stays bounded
AHEAD_BYTES = 32 << 20  # the same of their lines, which may be long; beyond it, none is read until others are judged


@dataclass(frozen=True)
class Arguments:
    languages: tuple[Language, ...]
    workers: int | None = None
    all_tests: bool = False
    unprotected: bool = False


class Words(Command):
    usage: ClassVar[str] = "python -m sandbox.verify language=lua workers=2"

    language: Names = ()
    workers: Count | None = None
    all_tests: bool = False
    unprotected: bool = False


def parse_arguments(words: list[str]) -> Arguments:
    """Raises ConfigError, LanguageError."""
    given = Words.parse(words)
    if not given.language:
        raise ConfigError(f"language= is missing; the languages are {', '.join(languages.names())}")
    chosen = tuple(languages.load(name) for name in given.language)
    return Arguments(chosen, given.workers, given.all_tests, given.unprotected)


def parse_job(line: bytes, where: str, arguments: Arguments) -> Job:
    """Raises DataError; `where` names the line in its message."""
    row = jsonl.decoded(line)
    if isinstance(row, jsonl.BadLine):
        raise DataError(f"{where}: {row.reason} ({row.detail})")
    return to_job(row, where, arguments)


def to_job(row: Any, where: str, arguments: Arguments) -> Job:
    """As `parse_job`, of a line that is decoded already."""
    if not isinstance(row, dict):
        raise DataError(f"{where}: a job is a JSON object, not {type(row).__name__}")
    if unknown := sorted(set(row) - set(KEYS)):
        raise DataError(f"{where}: unknown key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    if ("program" in row) == ("completion" in row):
        raise DataError(f"{where}: a job has one of the keys program and completion")
    chosen = {language.name: language for language in arguments.languages}
    name = row.get("language", arguments.languages[0].name)
    if not isinstance(name, str) or name not in chosen:
        raise DataError(f"{where}: language {name!r} is not one of those given: {', '.join(chosen)}")
    for key in ("program", "completion"):
        if not isinstance(row.get(key), str | None):
            raise DataError(f"{where}: key {key!r} must be a string, not {type(row[key]).__name__}")
    if not isinstance(row.get("all_tests", False), bool):
        raise DataError(f"{where}: key 'all_tests' must be true or false, not {row['all_tests']!r}")
    program = row.get("program") and plain(row["program"])
    if row.get("completion") is not None:
        program = extract(row["completion"], chosen[name])
    for key in ("id", "tests"):
        if not row.get(key):
            raise DataError(f"{where}: key {key!r} is missing or empty")
    if not isinstance(row["id"], str):
        raise DataError(f"{where}: key 'id' must be a string, not {type(row['id']).__name__}")
    check_text(row["id"], f"{where}: key 'id'")
    tests, compare = parse_tests(row["tests"], where), parse_compare(row.get("compare", {}), where)
    limits = _limits(row["limits"], chosen[name].limits, where) if row.get("limits") is not None else None
    check_output(row["id"], compare, tests, limits or chosen[name].limits, where)
    all_tests = row.get("all_tests", arguments.all_tests)
    return Job(row["id"], name, program, tests, compare, limits, all_tests)


def _limits(row: Any, default: Limits, where: str) -> Limits:
    try:
        return parse_limits(row, default)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error


def to_row(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a JSON object: id, status, tests, and where they say something compile and message."""
    row: dict[str, Any] = {"id": verdict.id, "status": verdict.status}
    row["tests"] = [_result_row(result) for result in verdict.tests]
    if verdict.compile:
        row["compile"] = _result_row(verdict.compile)
    if verdict.message:
        row["message"] = verdict.message
    return row


def _result_row(result: TestResult) -> dict[str, Any]:
    row = {key: value for key, value in result._asdict().items() if value is not None}
    return row | {key: round(row[key], 6) for key in ("wall_s", "cpu_s", "memory_mb")}


def verify(lines: IO[bytes], pool: Pool, arguments: Arguments, workers: int) -> Iterator[Verdict | str]:
    """Verdicts in the order of the lines, and in place of a line that is no job, its error.

    A thread reads ahead, so that a verdict never waits for the next line.
    """
    pending: queue.Queue[Future[Verdict] | str | Exception | None] = queue.Queue(AHEAD * workers)
    held = 0  # bytes of the lines whose jobs have no verdict yet
    judged = threading.Condition()

    def release(count: int, _: object) -> None:
        nonlocal held
        with judged:
            held -= count
            judged.notify()

    def has_room() -> bool:
        return held < AHEAD_BYTES * workers

    def read() -> None:
        nonlocal held
        try:
            for number, line in enumerate(lines, start=1):
                if not jsonl.without_mark(line).strip():
                    continue
                try:
                    future = pool.submit(parse_job(line, f"line {number}", arguments))
                    with judged:
                        held += len(line)
                    future.add_done_callback(partial(release, len(line)))
                    pending.put(future)
                    del line, future
                    with judged:
                        judged.wait_for(has_room)
                except (DataError, ValueError) as error:
                    text = str(error)
                    pending.put(text if text.startswith("line ") else f"line {number}: {text}")
        except SandboxError:
            pass  # the pool was closed: nobody reads on
        except Exception as error:  # for the main thread: no job is dropped in silence
            pending.put(error)
        finally:
            pending.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (item := pending.get()) is not None:
        if isinstance(item, Exception):
            raise item
        yield item if isinstance(item, str) else item.result()


def main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if words else 2
    bad = 0
    try:
        arguments = parse_arguments(words)
        with (
            Pool(arguments.languages, arguments.workers, unprotected=arguments.unprotected) as pool,
            Progress("programs judged") as progress,
        ):
            judged = passed = 0
            for answer in verify(sys.stdin.buffer, pool, arguments, pool.workers):
                if isinstance(answer, str):
                    bad += 1
                    progress.console.print(answer, markup=False, highlight=False, soft_wrap=True)
                else:
                    print(json.dumps(to_row(answer)), flush=True)
                    judged += 1
                    passed += answer.passed
                    progress.show(judged, f"{passed} passed")
    except (UserError, ValueError) as error:
        print(f"sandbox.verify: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, CancelledError):
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
