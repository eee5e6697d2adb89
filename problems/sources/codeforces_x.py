"""Ag-Codeforces-X (paper section 4.1, appendix A), and the rule that builds it from open-r1/codeforces-cots.

A row of `solutions_py_decontaminated` is a problem when it has a description and examples, and when the subset
`checker_interactor`, a model's answer about how its outputs are to be judged, says `diff`: one right output per input.
The test split holds out five easy rows and 100 drawn ones with two examples or more; the paper's own draw has no seed,
so it is read from the published data set. Every other row is training data (the paper: 5,369), its prompt in one of
three styles. With `checkers`, rows whose answer is a checker program join the training data with that program.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from base.errors import DataError
from base.settings import Whole
from problems.problem import Problem
from problems.settings import Name, SourceSettings
from problems.sources import rows
from problems.sources.rows import BadRow, Row, Tally
from sandbox.answer.markdown import after_thinking, blocks
from sandbox.job import Checker, Compare

SPLITS = ("train", "test", "validation", "train-2000")
SOLUTIONS, JUDGES = "solutions_py_decontaminated", "checker_interactor"
EASY = (0, 1, 2, 4, 6)  # positions in the source of the five problems that the authors picked by hand
SEED = 42  # the authors' for the prompts, ours for a draw of our own


class CodeforcesSettings(SourceSettings):
    """conf/dataset/codeforces_x.yaml, codeforces.yaml"""

    path: Name | None = None
    streaming: bool = False
    published: str | None  # on the hub; None: a test split of our own is drawn
    published_path: Name | None = None  # a local copy of it
    heldout_random: Whole  # problems drawn besides the five easy ones
    checkers: bool = False  # keep problems with several right outputs too
    train: Name | None = None
    heldout: Name | None = None


@dataclass(frozen=True)
class Published:
    """The data set that the paper's authors published."""

    name: str
    source: str | None
    path: Name | None
    streaming: bool = False


def problems(dataset: CodeforcesSettings, split: str, tally: Tally) -> Iterator[Problem]:
    """The problems of a split; rows that make none are counted in `tally`. Raises DataError.

    `train-2000` is the published split that the authors' instructions train on, smaller than the paper's.
    """
    if split not in SPLITS:
        raise DataError(f"{dataset.name} has no split {split!r}; the splits are {', '.join(SPLITS)}")
    if dataset.published and split != "train":
        return rows.problems(_published(dataset, split.partition("-")[0]), published_problem, tally)
    if split not in ("train", "test"):
        raise DataError(f"{dataset.name} without dataset.published has the splits train and test, not {split!r}")
    return _built(dataset, split, tally)


def _published(dataset: CodeforcesSettings, split: str) -> Iterator[tuple[str, Row | BadRow]]:
    return rows.read(Published(dataset.name, dataset.published, dataset.published_path), None, split)


def published_problem(row: Row, where: str) -> Problem:
    """A row of nuprl/agnostics-codeforces-cots. Raises BadRow, DataError."""
    return _problem(row, "source_id", "problem_statement", "problem_notes", where)


def source_problem(row: Row, where: str) -> Problem:
    """A row of open-r1/codeforces-cots. Raises BadRow, DataError."""
    return _problem(row, "id", "description", "note", where)


def _problem(row: Row, name: str, statement: str, notes: str, where: str) -> Problem:
    tests = rows.tests(row, "examples")
    identity = rows.text(row, name)
    return Problem.from_row(
        {
            "id": f"codeforces-{identity}" if identity else "",
            "statement": rows.text(row, statement),
            "input_format": rows.text(row, "input_format"),
            "output_format": rows.text(row, "output_format"),
            "notes": rows.text(row, notes),
            "tests": tests,
            "examples": len(tests) - 1,  # all but the last, which stays hidden
        },
        where,
    )


def _built(dataset: CodeforcesSettings, split: str, tally: Tally) -> Iterator[Problem]:
    judges = _judges(dataset)
    positions: dict[str, int] = {}  # in the source, by our id

    def make(row: Row, where: str) -> Problem:
        problem = source_problem(row, where)
        positions[problem.id] = row["position"]
        return replace(problem, compare=compare_of(judges.get(row["id"]), dataset.checkers))

    everything = Tally()
    found = list(rows.problems(_numbered(rows.read(dataset, SOLUTIONS, "train")), make, everything))
    tally.dropped.update(everything.dropped)
    held = _held_published(dataset) if dataset.published else drawn(found, positions, dataset.heldout_random)
    chosen = [problem for problem in found if (problem.id in held) == (split == "test")]
    for problem in chosen if split == "test" else styled(chosen):
        tally.keep(problem)
        yield problem


def _numbered(source: Iterator[tuple[str, Row | BadRow]]) -> Iterator[tuple[str, Row | BadRow]]:
    for position, (where, row) in enumerate(source):
        yield where, row if isinstance(row, BadRow) else {**row, "position": position}


def _held_published(dataset: CodeforcesSettings) -> set[str]:
    """The ids of the published test and validation splits."""
    return {
        f"codeforces-{row.get('source_id')}"
        for split in ("test", "validation")
        for _, row in _published(dataset, split)
        if not isinstance(row, BadRow)
    }


def drawn(found: list[Problem], positions: dict[str, int], count: int) -> set[str]:
    """A test split of our own by the paper's rule: the five easy rows and `count` more with two examples."""
    fit = [problem for problem in found if len(problem.tests) > 1 and problem.compare.rule == "exact"]
    easy = {problem.id for problem in fit if positions[problem.id] in EASY}
    rest = [problem.id for problem in fit if problem.id not in easy]
    if len(rest) <= count:
        raise DataError(f"dataset.heldout_random is {count}, and only {len(rest)} problems have two examples or more")
    return easy | set(Random(SEED).sample(rest, count))


def _judges(dataset: CodeforcesSettings) -> dict[str, str]:
    """Id -> how its outputs are judged, a model's answer. A problem was asked several times: the last answer counts."""
    found: dict[str, str] = {}
    for _, row in rows.read(dataset, JUDGES, "train"):
        if not isinstance(row, BadRow) and isinstance(row.get("id"), str):
            found[row["id"]] = str(row.get("generation"))
    return found


def compare_of(answer: str | None, checkers: bool) -> Compare:
    """How outputs are compared, by an answer of `checker_interactor`. Raises BadRow where that cannot be done."""
    if answer is None:
        raise BadRow("no answer about its judging")
    closed = [block for block in blocks(after_thinking(answer) or "") if block.closed]
    try:
        judge = json.loads(closed[-1].text) if closed else None
    except (ValueError, RecursionError):
        judge = None
    if not isinstance(judge, dict):
        raise BadRow("the answer about its judging holds no JSON object")
    match judge.get("type"):
        case "diff":
            return Compare()
        case "checker" if not checkers:
            raise BadRow("has several right outputs (dataset.checkers=true keeps it, with its checker)")
        case "checker" if isinstance(judge.get("code"), str) and judge["code"].strip():
            return Compare("checker", checker=Checker("python", checker_program(judge["code"])))
        case "checker":
            raise BadRow("has several right outputs, and a checker without code")
        case "interactor":
            raise BadRow("interactive")
    raise BadRow("the answer about its judging has an unknown type")


def checker_program(code: str) -> str:
    """A checker of the data set as one of ours: exit status 0 for right, 1 for wrong (sandbox/worker.py).

    Theirs is told the files of input, reference and output in this order, and prints 1 for right. One that fails says
    wrong: an output that breaks the checker must earn nothing.
    """
    return (
        "import contextlib, io, sys\n"
        f"code = {code!r}\n"
        'sys.argv = ["checker.py", "input.txt", "reference.txt", "output.txt"]\n'
        "said = io.StringIO()\n"
        "with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):\n"
        '    exec(compile(code, "checker.py", "exec"), {"__name__": "__main__"})\n'
        'sys.exit(0 if said.getvalue().split()[-1:] == ["1"] else 1)\n'
    )


def styled(chosen: list[Problem]) -> Iterator[Problem]:
    """The problems with the paper's randomised prompts: 30 % headings, 35 % bold, 35 % plain, half of these without
    an example. The draws are those of the authors' framework, in its order, so that every row gets the style it had."""
    random = Random(SEED)
    for problem in chosen:
        random.choice((0,))  # theirs draws one of one languages here
        several = len(problem.tests) > 1
        if several and random.random() < 0.3:
            yield problem
        elif several and random.random() < 0.5:
            yield replace(problem, style="bold")
        else:
            shown = several and random.random() < 0.5
            yield replace(problem, style="plain", examples=problem.examples if shown else 0)
