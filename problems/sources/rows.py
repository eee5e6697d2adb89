"""The rows of a data set, from the hub or from a local copy, and the count of what became of them.

A row that makes no problem is counted with its reason, never silently lost; a source that cannot be read at all is a
DataError. Local JSONL, JSON and CSV are read here and not by `datasets`: for that library one half-written line spoils
the file, and it guesses types, so that an id 007 becomes 7, a statement NA nothing, and a test's output a date.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from base import hub, jsonl
from base.errors import DataError
from base.limits import Limits
from problems.problem import Problem
from problems.prompt import readable
from sandbox.compare import least_output
from sandbox.job import Test
from sandbox.job_rows import test_rows

Row = dict[str, Any]
FORMATS = {".jsonl": "jsonl", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
PART = r"([-_.]?\d+(-of-\d+)?(-[0-9a-f]+)?)?"  # of a split: its number, as the hub and others write it
LARGE_TEST = 10 << 20  # characters of a test's input that are worth a word in the report
SHOWN = 5  # rows that a sentence names


class Place(Protocol):
    """Where the rows of a data set lie."""

    @property
    def name(self) -> str: ...  # the option of the config group `dataset`
    @property
    def source(self) -> str | None: ...  # on the hub
    @property
    def path(self) -> str | None: ...  # a local copy, a file or a folder, in place of the source
    @property
    def streaming(self) -> bool: ...


class BadRow(Exception):
    """A row that makes no problem. The message is the reason, the same words for all such rows: reasons are counted."""


@dataclass
class Tally:
    """What became of the rows of one split."""

    kept: int = 0
    tests: int = 0
    dropped: dict[str, list[str]] = field(default_factory=dict)  # reason -> the rows, by name
    largest_input: int = 0  # characters
    large_inputs: int = 0  # inputs above LARGE_TEST
    remarks: dict[str, list[str]] = field(default_factory=dict)  # what is odd about problems that are kept -> their ids

    def keep(self, problem: Problem) -> None:
        tests = list(problem.tests)  # packed ones are unpacked once
        sizes = [len(test.input) for test in tests]
        for remark in remarks(problem, tests):
            self.remarks.setdefault(remark, []).append(problem.id)
        self.kept += 1
        self.tests += len(sizes)
        self.largest_input = max(self.largest_input, *sizes)
        self.large_inputs += sum(size > LARGE_TEST for size in sizes)

    def drop(self, reason: str, where: str) -> None:
        self.dropped.setdefault(reason, []).append(where)

    def withdraw(self, problem: Problem, reason: str) -> None:
        """A problem that was kept, and is dropped after all."""
        self.kept -= 1
        self.tests -= len(problem.tests)
        for ids in self.remarks.values():
            if problem.id in ids:
                ids.remove(problem.id)
        self.drop(reason, problem.id)

    def sentences(self) -> list[str]:
        """One line per reason, and one on large tests; empty when there is nothing to say."""
        found = []
        for reason, rows in self.dropped.items():
            found.append(f"{len(rows)} dropped: {reason} ({named(rows)})")
        for remark, ids in self.remarks.items():
            if ids:
                found.append(f"{len(ids)} {remark} ({named(ids)})")
        if self.large_inputs:
            largest = f"the largest has {self.largest_input / (1 << 20):.1f} MiB"
            found.append(f"{self.large_inputs} test inputs above {LARGE_TEST >> 20} MiB, {largest}")
        return found


def named(rows: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return "; ".join(rows[:SHOWN]) + (f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")


def remarks(problem: Problem, tests: Sequence[Test]) -> Iterator[str]:
    """What makes a problem's verdicts mean less than they should; the words are the same for all such problems."""
    shown = sum(readable(test) for test in tests[: problem.examples])
    if shown == len(tests):
        yield "with no hidden test: the prompt shows them all"
    elif explains_hidden(problem.notes, shown, len(tests)):
        yield "whose notes seem to explain an example that the prompt does not show"
    cap = Limits().output_mb
    if any(least_output(problem.compare.rule, test.output) > cap * (1 << 20) for test in tests):
        yield f"that no program can pass: an expected output is above the output cap (limits.output_mb, {cap:g} MiB)"


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
EXAMPLE = re.compile(
    rf"\b(?P<word>{'|'.join(ORDINALS)}|last|\d+(?:st|nd|rd|th))\s+(?:provided\s+|given\s+)?(?:test|sample|example)"
    r"|\b(?:test|sample|example)s?(?:\s+(?:test|case|input|output))*\s+(?:no\.?\s*|#\s*)?(?P<number>\d+)\b"
    r"|\b(?P<any>sample|example)s?\b(?!\s*,)",
    re.IGNORECASE,
)


def explains_hidden(notes: str, shown: int, tests: int) -> bool:
    """Whether notes speak of an example beyond the first `shown` of `tests`, the only ones that a prompt shows."""
    for found in EXAMPLE.finditer(notes):
        word = (found["word"] or "").lower()
        if found["any"]:
            number = 0 if shown else 1
        elif word == "last":
            number = tests
        elif word in ORDINALS:
            number = ORDINALS.index(word) + 1
        else:
            number = int(re.sub(r"\D", "", word or found["number"])[:6])
        if shown < number <= tests:
            return True
    return False


def problems(
    rows: Iterable[tuple[str, Row | BadRow]], make: Callable[[Row, str], Problem | None], tally: Tally
) -> Iterator[Problem]:
    """What `make(row, where)` makes of the rows. None is a row of another split; BadRow and DataError drop a row."""
    seen: set[str] = set()
    for where, row in rows:
        try:
            if isinstance(row, BadRow):
                raise row
            problem = make(row, where)
            if problem is None:
                continue
            if problem.id in seen:
                raise BadRow("the id appears twice")
        except BadRow as reason:
            tally.drop(str(reason), where)
        except DataError as error:
            tally.drop(str(error).removeprefix(where).partition(": ")[2], where)  # without the test's number
        else:
            seen.add(problem.id)
            tally.keep(problem)
            yield problem


def read(place: Place, subset: str | None, split: str) -> Iterator[tuple[str, Row | BadRow]]:
    """The rows that lie there, each with a name for messages.

    A local copy is a file; or a clone of a hub repository, whose README.md says which files make which split; or a
    folder of plain files `<split>.jsonl` (or .parquet, .json, .csv; or parts `<split>-0.jsonl`, ...), in its folder
    `<subset>`, in `data` or in itself.
    """
    if place.path:
        return _local(Path(place.path).expanduser(), subset, split, place.streaming)
    if not place.source:
        raise DataError(f"dataset={place.name} needs dataset.source=NAME on the hub, or dataset.path=FILE_OR_FOLDER")
    return _datasets(place.source, {"path": place.source, "name": subset, "split": split}, place.streaming)


def _local(path: Path, subset: str | None, split: str, streaming: bool) -> Iterator[tuple[str, Row | BadRow]]:
    if not path.exists():
        raise DataError(f"dataset.path: there is no file or folder {path}")
    if _is_clone(path):
        return _datasets(str(path), {"path": str(path), "name": subset, "split": split}, streaming)
    if path.is_file():
        files = [path]
    else:
        folders = [path / subset] if subset else []
        folder = next((folder for folder in (*folders, path / "data") if folder.is_dir()), path)
        of_split = re.compile(re.escape(split) + PART)
        files = sorted(file for file in folder.iterdir() if file.suffix in FORMATS and of_split.fullmatch(file.stem))
        if not files:
            raise DataError(
                f"dataset.path: {folder} has no file {split} (or {split}-00000-of-00002, ...) in a known format "
                f"({', '.join(FORMATS)})"
            )
    kinds = {FORMATS.get(file.suffix) for file in files}
    for kind, rows_of in {"jsonl": _lines, "json": _json, "csv": _csv}.items():
        if kinds == {kind}:
            return (row for file in files for row in rows_of(file))
    if len(kinds) > 1 or None in kinds:
        raise DataError(f"dataset.path: {files[0]} and its like must be of one format of {', '.join(FORMATS)}")
    names = [str(file) for file in files]
    return _datasets(str(path), {"path": kinds.pop(), "data_files": names, "split": "train"}, streaming)


def _is_clone(path: Path) -> bool:
    card = path / "README.md"
    return card.is_file() and "\nconfigs:" in card.read_text(errors="replace").partition("\n---")[0]


def _lines(file: Path) -> Iterator[tuple[str, Row | BadRow]]:
    for number, row in jsonl.lines(file):
        if isinstance(row, jsonl.BadLine):
            row = BadRow(row.reason)
        yield f"{file.name}, line {number}", row if isinstance(row, dict | BadRow) else BadRow("not a JSON object")


def _json(file: Path) -> Iterator[tuple[str, Row | BadRow]]:
    """A list of rows, or one row; or, as many such files are, JSONL."""
    try:
        value = jsonl.decoded(file.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {file} ({error.strerror})") from error
    if isinstance(value, jsonl.BadLine):
        yield from _lines(file)
        return
    for number, row in enumerate(value if isinstance(value, list) else [value]):
        yield f"{file.name}, row {number}", row if isinstance(row, dict) else BadRow("not a JSON object")


def _csv(file: Path) -> Iterator[tuple[str, Row | BadRow]]:
    """Every cell is text, or null where it is empty."""
    csv.field_size_limit(sys.maxsize)  # a cell may hold all tests
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            table = csv.reader(lines, strict=True)
            head = next(table, [])
            if twice := [column for column in head if head.count(column) > 1]:
                raise DataError(f"{file} has the column {twice[0]!r} twice")
            for cells in table:
                row = {column: cell or None for column, cell in zip(head, cells, strict=False)}
                if cells:
                    where = f"{file.name}, line {table.line_num}"
                    yield where, row if len(cells) == len(head) else BadRow("not as many cells as columns")
    except OSError as error:
        raise DataError(f"cannot read {file} ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {file} after line {table.line_num} ({error})") from error


def _datasets(source: str, arguments: dict[str, Any], streaming: bool) -> Iterator[tuple[str, Row | BadRow]]:
    offline = "" if Path(source).exists() else hub.settle()
    import datasets  # seconds to import; it reads then whether it is offline

    number = -1
    try:
        for number, row in enumerate(datasets.load_dataset(**arguments, streaming=streaming)):
            yield f"{Path(source).name}, row {number}", row
    except Exception as error:  # the library's errors, of the network, the hub, arrow, files, have no base of their own
        said = error.__cause__ or error  # "An error occurred while generating the dataset" says nothing
        why = offline or " ".join(str(said).split())[:300] or type(said).__name__
        at = f" after row {number}" if number >= 0 else ""
        raise DataError(f"{source} cannot be read{at} ({why}); dataset.path=FOLDER reads a local copy") from error


def text(row: Row, key: str) -> str:
    """`row[key]` as text, "" where it is missing or null. Raises BadRow."""
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRow(f"key {key!r} must be a string, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadRow(f"key {key!r} holds text that UTF-8 cannot write") from error
    return value


def tests(row: Row, key: str) -> list[Any]:
    """`row[key]` as the list that `Problem.from_row` takes, in any of the shapes that `parse_tests` reads.

    Keys of a test beyond input and output, which data sets have for uses of their own, are left out. Raises DataError.
    """
    if row.get(key) is None:
        raise BadRow("no tests")
    found = test_rows(row[key], "")
    objects = [test for test in found if isinstance(test, dict)]
    if any((test.get("testtype") or "stdin") != "stdin" for test in objects):  # LiveCodeBench's key; parquet has nulls
        raise BadRow("a test calls a function, and reads no standard input")
    return [
        {side: test[side] for side in ("input", "output") if side in test} if isinstance(test, dict) else test
        for test in found
    ]
