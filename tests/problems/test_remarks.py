"""What is said about problems at load; data that changed, and data that are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.errors import DataError
from problems import load
from problems.problem import Problem
from problems.sources.packed_tests import PackedTests
from problems.sources.rows import Tally, explains_hidden
from sandbox.job import Test
from tests.problems.packing import pack
from tests.problems.source_rows import config, mbpp, write_lines
from train import read_problems


def problem(name: str, statement: str = "Print x.", **changed: Any) -> Problem:
    return Problem(name, statement, (Test("1\n", "2"), Test("3\n", "4")), **changed)


def test_held_out_problems_that_training_sees_are_said() -> None:
    train = [problem("a"), problem("b", "Add\n 1.")]
    assert load.shared(train, [problem("c", "Other."), problem("d", "Another.")]) == []
    assert load.shared(train, [problem("x", "Add 1."), problem("a", "Other.")]) == [
        "held-out problems in training by their statement: 1 (x is b)",
        "held-out problems in training by their id only: 1 (a)",
    ]


def test_one_file_for_both_splits_is_refused() -> None:
    train = [problem("a"), problem("b", "Add 1.")]
    with pytest.raises(DataError, match=r"every held-out problem is a training problem .is dataset.path one file"):
        load.shared(train, train[:1], one_source=True)
    assert len(load.shared(train, train[:1])) == 1  # of two files it is said
    assert load.shared(train, [], one_source=True) == []


def test_data_that_changed_have_another_fingerprint() -> None:
    one = load.fingerprint([problem("a")])
    assert one == load.fingerprint([problem("a")]) and len(one) == 16
    tests = (Test("1\n", "2"), Test("3\n", "5"))
    for other in ([problem("b")], [problem("a", "Print y.")], [replace(problem("a"), tests=tests)], []):
        assert load.fingerprint(other) != one


def test_what_was_read_is_kept_exactly(tmp_path: Path) -> None:
    packed = PackedTests(pack(json.dumps([{"input": "1\n", "output": "2\u2028"}])))
    problems = [problem("a", notes="é\u2028"), replace(problem("b"), tests=packed)]
    reads = []

    def read() -> list[Problem]:
        reads.append(1)
        return problems

    path = tmp_path / "train.jsonl"
    first, second = load.kept(path, read), load.kept(path, read)
    assert first == second == problems and len(reads) == 1
    assert isinstance(second[1].tests, PackedTests)
    assert load.fingerprint(first) == load.fingerprint(problems)


def test_a_file_of_the_users_own_is_not_what_a_hub_gave(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "source.jsonl", [mbpp(number) for number in (1, 11, 601)])
    own = tmp_path / "run" / "data" / "train.jsonl"
    own.parent.mkdir(parents=True)
    own.write_text("not ours")
    for _ in range(2):
        problems, held = read_problems(config("mbpp_x", path=source), tmp_path / "run", True)
        assert [problem.id for problem in problems] == ["mbpp-1", "mbpp-601"] and held
        source.unlink(missing_ok=True)
    assert own.read_text() == "not ours"


@pytest.mark.parametrize(
    ("notes", "shown", "hidden"),
    [
        ("In the second example the answer is 7.", 1, True),
        ("In the second example the answer is 7.", 2, False),
        ("In the first sample, nothing is left.", 1, False),
        ("In the last test nothing is left.", 2, True),
        ("Example 3: all are equal.", 2, True),
        ("See the picture for the sample.", 0, True),
        ("Numbers are at most 9.", 0, False),
    ],
)
def test_notes_on_a_hidden_example_are_seen(notes: str, shown: int, hidden: bool) -> None:
    assert explains_hidden(notes, shown, 3) is hidden


def test_problems_whose_verdicts_mean_little_are_said() -> None:
    tally = Tally()
    tally.keep(problem("hidden"))
    tally.keep(problem("all", examples=2))
    tally.keep(problem("noted", notes="The second example is easy."))
    tally.keep(replace(problem("large"), tests=(Test("", "1"), Test("", "x" * (6 << 20)))))
    said = " | ".join(tally.sentences())
    assert "1 with no hidden test: the prompt shows them all (all)" in said
    assert "1 whose notes seem to explain an example that the prompt does not show (noted)" in said
    assert "above the output cap (limits.output_mb, 5 MiB) (large)" in said
