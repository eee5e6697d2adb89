"""Ag-Codeforces-X: the rule that builds it, its splits, its three styles of prompt, and its checkers in the jail."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import languages
from base.errors import DataError
from problems.problem import Problem
from problems.prompt import render
from problems.settings import DatasetSettings
from problems.sources.codeforces_x import checker_program, compare_of, styled
from problems.sources.rows import BadRow
from sandbox.job import Checker, Compare, Job, Status, Test
from sandbox.pool import Pool, toolchain
from tests.problems.source_rows import config, judge, loaded, published, solution, write_lines, write_parquet

CHECKER = """
import sys
given, reference, output = (open(name).read().split() for name in sys.argv[1:4])
print(1 if sorted(output) == sorted(reference) and output[0] != given[0] else 0)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve rows, of which 1/K has one example, 1/C a checker, 1/I is interactive, 1/E and 1/D lack something."""
    rows = [solution(f"1/{n}") for n in range(8)]
    rows += [solution("1/K", examples=1), solution("1/C"), solution("1/I"), solution("1/N")]
    rows += [solution("1/E", examples=0), solution("1/D", description=None)]
    judges = [judge(f"1/{n}", "checker") for n in range(8)]  # asked before, answered otherwise
    judges += [judge(f"1/{n}") for n in range(8)]
    judges += [judge("1/K"), judge("1/C", "checker", CHECKER), judge("1/I", "interactor"), judge("1/E"), judge("1/D")]
    write_parquet(tmp_path / "source/solutions_py_decontaminated/train-00000-of-00001.parquet", rows)
    write_lines(tmp_path / "source/checker_interactor/train.jsonl", judges)
    return tmp_path / "source"


@pytest.fixture
def paper(source: Path, tmp_path: Path) -> DatasetSettings:
    write_lines(tmp_path / "published/test.jsonl", [published("1/0"), published("1/2", 2)])
    write_lines(tmp_path / "published/validation.jsonl", [published("1/5", 5)])
    write_lines(tmp_path / "published/train.jsonl", [published("1/3", 3)])
    return config("codeforces_x", path=source, published_path=tmp_path / "published")


def ids(problems: list[Problem]) -> list[str]:
    return [problem.id.removeprefix("codeforces-") for problem in problems]


def test_the_rule_leaves_out_what_is_held_out_or_cannot_be_compared(paper: DatasetSettings) -> None:
    problems, tally = loaded(paper, "train")
    assert ids(problems) == ["1/1", "1/3", "1/4", "1/6", "1/7", "1/K"]
    assert {reason: len(rows) for reason, rows in tally.dropped.items()} == {
        "has several right outputs (dataset.checkers=true keeps it, with its checker)": 1,
        "interactive": 1,
        "no answer about its judging": 1,
        "no tests": 1,
        "key 'statement' is missing or empty": 1,
    }
    assert (tally.kept, tally.tests) == (6, 16)


def test_a_row_becomes_a_problem(paper: DatasetSettings) -> None:
    problem = loaded(paper, "heldout")[0][0]
    assert problem == Problem(
        id="codeforces-1/0",
        statement="Print the sum for 1/0.",
        tests=(Test("0 1\n", "1"), Test("1 1\n", "2"), Test("2 1\n", "3")),
        input_format="Two integers.",
        output_format="Their sum.",
        notes="Mind the sign.",
        examples=2,  # the last stays hidden
    )


@pytest.mark.parametrize(
    ("split", "expected"), [("test", ["1/0", "1/2"]), ("validation", ["1/5"]), ("train-2000", ["1/3"])]
)
def test_published_splits_are_read(split: str, expected: list[str], paper: DatasetSettings) -> None:
    assert ids(loaded(paper.model_copy(update={"heldout": split}), "heldout")[0]) == expected


def test_without_the_published_splits_a_test_split_is_drawn_by_the_same_rule(source: Path) -> None:
    own = config("codeforces", path=source, heldout_random=2)
    train, heldout = ids(loaded(own, "train")[0]), ids(loaded(own, "heldout")[0])
    assert {"1/0", "1/1", "1/2", "1/4", "1/6"} < set(heldout) and len(heldout) == 7
    assert sorted(train + heldout) == sorted([*(f"1/{n}" for n in range(8)), "1/K"])
    assert "1/K" in train  # one example is too few for a test split
    assert ids(loaded(own, "heldout")[0]) == heldout


def test_a_draw_of_more_than_there_is_is_named(source: Path) -> None:
    with pytest.raises(DataError, match=r"dataset.heldout_random is 100, and only 3 problems have two"):
        loaded(config("codeforces", path=source), "train")


@pytest.mark.parametrize(("dataset", "split"), [("codeforces", "validation"), ("codeforces_x", "dev")])
def test_an_unknown_split_is_named(dataset: str, split: str, source: Path) -> None:
    with pytest.raises(DataError, match=f"{dataset}.*split.*train.*test.*{split}|{dataset} has no split '{split}'"):
        loaded(config(dataset, path=source, heldout=split), "heldout")


ANSWERS: dict[str, tuple[str | None, str]] = {
    "no answer": (None, "no answer about"),
    "no block": ('<think></think>{"type": "diff"}', "holds no JSON object"),
    "a block within the thinking": ('<think>```json\n{"type": "diff"}\n```\n</think> I see.', "holds no JSON object"),
    "half a block": ('</think>```json\n{"type": "diff"}', "holds no JSON object"),
    "half JSON": ('</think>```json\n{"type": \n```', "holds no JSON object"),
    "a list": ("</think>```json\n[]\n```", "holds no JSON object"),
    "an unknown type": ('</think>```json\n{"type": "eyes"}\n```', "an unknown type"),
    "a type of no string": ('</think>```json\n{"type": ["diff"]}\n```', "an unknown type"),
    "a checker without code": ('</think>```json\n{"type": "checker"}\n```', "a checker without code"),
    "a checker of no string": ('</think>```json\n{"type": "checker", "code": 1}\n```', "a checker without code"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_does_not_say_how_to_judge_is_refused(case: str) -> None:
    answer, message = ANSWERS[case]
    with pytest.raises(BadRow, match=message):
        compare_of(answer, checkers=True)


def test_the_last_block_after_the_thinking_counts() -> None:
    text = '<think>```json\n{"type": "checker"}\n```</think>\n```\nx\n```\n~~~json\n{"type": "diff"}\n~~~ \n'
    assert compare_of(text, checkers=False) == Compare()


def test_checkers_are_kept_when_asked_for(paper: DatasetSettings) -> None:
    problems, tally = loaded(paper.model_copy(update={"checkers": True}), "train")
    assert ids(problems) == ["1/1", "1/3", "1/4", "1/6", "1/7", "1/K", "1/C"]
    assert problems[-1].compare == Compare("checker", checker=Checker("python", checker_program(CHECKER)))
    assert Problem.from_row(problems[-1].to_row(), "here") == problems[-1]
    assert not any("checker" in reason for reason in tally.dropped)


JUDGED = {
    "right": ("io.write('2 1')", CHECKER, Status.PASSED),
    "wrong": ("io.write('1 2')", CHECKER, Status.WRONG_OUTPUT),
    "an output that breaks the checker": ("", CHECKER, Status.WRONG_OUTPUT),
    "a checker that exits": ("", "import sys\nprint(1)\nsys.exit(3)", Status.PASSED),
    "a checker that says neither": ("", "print('fine')", Status.WRONG_OUTPUT),
    "a checker that says nothing": ("", "", Status.WRONG_OUTPUT),
    "a checker that is no Python": ("", "print(1", Status.WRONG_OUTPUT),
    "a checker with a main": ("", "if __name__ == '__main__':\n    print('a', 1)", Status.PASSED),
    "a checker that says 10": ("", "print(10)", Status.WRONG_OUTPUT),
}


def test_a_checker_of_the_data_set_judges_in_a_jail() -> None:
    chains = [toolchain(languages.load(name)) for name in ("lua", "python")]
    with Pool(chains, workers=1) as pool:
        futures = {}
        for case, (program, code, _) in JUDGED.items():
            compare = Compare("checker", checker=Checker("python", checker_program(code)))
            futures[case] = pool.submit(Job(case, "lua", program, (Test("1", "1 2"),), compare))
        found = {case: future.result(timeout=60).status for case, future in futures.items()}
    assert found == {case: status for case, (_, _, status) in JUDGED.items()}


def many(count: int, tests: int = 3) -> list[Problem]:
    return [
        Problem(str(n), "The statement.", (Test("1 1", "2"),) * tests, "Two.", "One.", "Notes.", examples=tests - 1)
        for n in range(count)
    ]


def test_styles_are_drawn_as_the_paper_says() -> None:
    drawn = list(styled(many(5369)))
    share = {style: count / 5369 for style, count in Counter(problem.style for problem in drawn).items()}
    assert share == pytest.approx({"headings": 0.30, "bold": 0.35, "plain": 0.35}, abs=0.02)
    plain = [problem for problem in drawn if problem.style == "plain"]
    assert sum(not problem.examples for problem in plain) / len(plain) == pytest.approx(0.5, abs=0.04)
    assert all(problem.examples == 2 for problem in drawn if problem.style != "plain")
    assert list(styled(many(5369))) == drawn
    assert [problem.id for problem in drawn] == [str(n) for n in range(5369)]


def test_a_problem_with_one_example_is_plain_and_hides_it() -> None:
    assert {(problem.style, problem.examples) for problem in styled(many(50, tests=1))} == {("plain", 0)}


@pytest.mark.parametrize(
    ("style", "has", "lacks"),
    [
        ("headings", ["# Problem\nThe", "# Input\nTwo.", "# Output\nOne.", "# Example\n", "# Notes\nNotes."], ["**"]),
        ("bold", ["**Standard input**\nTwo.", "**Standard output**\nOne.", "**Sample**\n", "**Remarks**\n"], ["\n# "]),
        ("plain", ["The statement.\n\nTwo.\n\nOne.\n\n**Sample**\n", "Notes."], ["\n# ", "**Standard"]),
    ],
)
def test_each_style_has_its_own_prompt(style: Any, has: list[str], lacks: list[str]) -> None:
    lua = languages.load("lua")
    problem = Problem(
        "p", "The statement.", (Test("3 4\n", "7"), Test("5 9\n", "14")), "Two.", "One.", "Notes.", style=style
    )
    text = render(problem, lua)
    for part in [*has, lua.prompt, "```lua code block", "3 4\n```", "7\n```"]:
        assert part in text
    for part in [*lacks, "14"]:
        assert part not in text
    assert Problem.from_row(problem.to_row(), "here") == problem


def test_an_unknown_style_is_named() -> None:
    row = {"id": "a", "statement": "s", "tests": [{"input": "", "output": ""}], "style": "italics"}
    with pytest.raises(DataError, match="here: style is 'italics'; the styles are headings, bold, plain"):
        Problem.from_row(row, "here")
