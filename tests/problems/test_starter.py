"""The starter problems: the checked-in files are what the references say, and held-out means never seen."""

from itertools import pairwise

import pytest

from problems import starter
from problems.problem import read_jsonl
from problems.starter import FOLDER, TESTS, splits, write
from problems.starter.kinds import KINDS, Kind

FILES = {split: list(read_jsonl(FOLDER / f"{split}.jsonl")) for split in ("train", "heldout")}
BY_NAME = {kind.name: kind for kind in KINDS}


def kind_of(problem_id: str) -> Kind:
    return BY_NAME[problem_id.split("-")[1]]


def test_files_are_regenerated_identically(tmp_path):
    write(tmp_path)
    for split in FILES:
        name = f"{split}.jsonl"
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_every_kind_has_several_wordings_in_both_splits():
    assert len(BY_NAME) == len(KINDS) >= 16
    for kind in KINDS:
        train = {p.statement for p in FILES["train"] if kind_of(p.id) is kind}
        heldout = {p.statement for p in FILES["heldout"] if kind_of(p.id) is kind}
        assert len(train) >= 5 and len(heldout) == 2


def test_no_statement_asks_for_two_kinds():
    statements = [p.statement.casefold() for problems in FILES.values() for p in problems]
    assert len(set(statements)) == len(statements)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_inputs_of_a_kind_are_never_repeated(kind):
    inputs = [test.input for ps in FILES.values() for p in ps if kind_of(p.id) is kind for test in p.tests]
    assert len(inputs) == TESTS * 8
    assert len(set(inputs)) == len(inputs)


def test_answers_differ_within_a_problem_and_the_example_is_the_shortest():
    for problem in [*FILES["train"], *FILES["heldout"]]:
        assert len({test.output for test in problem.tests}) > 1
        assert all(len("".join(a)) <= len("".join(b)) for a, b in pairwise(problem.tests))


def test_no_other_kind_solves_a_problem():
    """A problem's tests tell its kind from every other one with the same input."""
    for problem in [*FILES["train"], *FILES["heldout"]]:
        own = kind_of(problem.id)
        for kind in KINDS:
            if kind is not own and kind.shape is own.shape:
                assert any(kind.solve(test.input) + "\n" != test.output for test in problem.tests), kind.name


ANSWERS = {
    "sum": ("-3 21\n", "18"),
    "difference": ("-3 21\n", "24"),
    "product": ("-3 21\n", "-63"),
    "power": ("3 4\n", "81"),
    "parity": ("7\n", "odd"),
    "triangular": ("4\n", "10"),
    "digits": ("509\n", "14"),
    "countdown": ("3\n", "3\n2\n1"),
    "maximum": ("3\n-5 -2 -9\n", "-2"),
    "minimum": ("3\n-5 -2 -9\n", "-9"),
    "total": ("3\n-5 2 9\n", "6"),
    "evens": ("4\n-4 3 0 7\n", "2"),
    "sort": ("3\n5 -2 9\n", "-2\n5\n9"),
    "vowels": ("queen tiger\n", "5"),
    "words": ("queen tiger bread\n", "3"),
    "length": ("queen tiger\n", "11"),
    "reverse": ("queen tiger\n", "regit neeuq"),
    "upper": ("queen tiger\n", "QUEEN TIGER"),
    "palindrome": ("anna\n", "yes"),
    "repeat": ("moon\n3\n", "moonmoonmoon"),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_reference_solutions_by_hand(kind):
    text, answer = ANSWERS[kind.name]
    assert kind.solve(text) == answer


def test_palindromes_that_are_none():
    assert BY_NAME["palindrome"].solve("stab\n") == "no"
    assert BY_NAME["parity"].solve("10\n") == "even"


def test_splits_do_not_depend_on_each_other(monkeypatch):
    """A kind added or taken away leaves the other kinds' problems as they are."""
    before = [p for p in splits()["train"] if kind_of(p.id).name != "sum"]
    monkeypatch.setattr(starter, "KINDS", tuple(kind for kind in KINDS if kind.name != "sum"))
    assert splits()["train"] == before
