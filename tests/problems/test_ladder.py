"""The ladder: the checked-in files are what the references say, and every problem is one that can be trusted."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from problems.ladder import FOLDER, HELDOUT, TASKS, write
from problems.ladder.task import LOWER, TESTS, Reader, Rng, block, fixed, tier
from problems.problem import read_jsonl

FILES = {split: list(read_jsonl(FOLDER / f"{split}.jsonl")) for split in ("train", "heldout")}
LUA = Path(__file__).parent / "ladder_lua"
PROBLEMS = [problem for problems in FILES.values() for problem in problems]
every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)


def prose(problem):
    return f"{problem.statement}\n{problem.input_format}\n{problem.output_format}"


def test_files_are_regenerated_identically(tmp_path):
    write(tmp_path)
    for split in FILES:
        name = f"{split}.jsonl"
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3_000_000


def test_tiers():
    assert Counter(p.tier for p in PROBLEMS) == {1: 20, 2: 24, 3: 24, 4: 20, 5: 18, 6: 14}


def test_a_part_of_every_tier_is_held_out():
    assert len(PROBLEMS) == len({p.id for p in PROBLEMS}) == len(TASKS)
    assert {p.id for p in FILES["heldout"]} == {f"ladder-{name}" for name in HELDOUT}
    for number in range(1, 7):
        heldout, train = (sum(p.tier == number for p in FILES[split]) for split in ("heldout", "train"))
        assert 1 / 6 <= heldout / (heldout + train) <= 1 / 3


def words(text):
    return Counter(re.findall(r"[a-z]+", text.lower()))


SPREAD = Counter(word for problem in PROBLEMS for word in words(problem.statement))


def similarity(one, other):
    """Shared words of two statements, weighted by how rare a word is among all the statements; from 0 to 1."""

    def weight(counts):
        return sum(count / SPREAD[word] for word, count in counts.items())

    first, second = words(one.statement), words(other.statement)
    return weight(first & second) / weight(first | second)


def test_no_heldout_problem_is_a_variant_of_a_training_problem():
    train_tests = {test for p in FILES["train"] for test in p.tests}
    for heldout in FILES["heldout"]:
        nearest = max(FILES["train"], key=lambda p: similarity(p, heldout))
        assert similarity(nearest, heldout) < 0.25, (nearest.id, heldout.id)
        assert len(train_tests & set(heldout.tests)) <= 3  # small ones may agree by chance: 0 -> 1


@every_problem
def test_tests(problem):
    assert len(problem.tests) == TESTS >= 8
    inputs, outputs = zip(*problem.tests, strict=True)
    assert len(set(inputs)) == TESTS
    most_common = Counter(outputs).most_common(1)[0][1]
    assert most_common <= 0.7 * TESTS, "a program that prints a constant passes too many tests"
    assert 1 <= problem.examples <= 2
    assert problem.examples == 1 or outputs[0] != outputs[1]
    assert len(inputs[0]) <= 150, "the example is long"
    assert len(set(map(len, inputs))) > 1 or problem.tier == 1


@every_problem
def test_texts_are_plain(problem):
    for text in (prose(problem), *(text for test in problem.tests for text in test)):
        assert text.isascii() and "\r" not in text and "\t" not in text
        assert len(text) <= 20_000
    for test in problem.tests:
        for text in test:
            assert text.endswith("\n")
            assert all(line and line == line.strip() for line in text.split("\n")[:-1])


@every_problem
def test_numbers_fit_every_language(problem):
    """32-bit integers suffice in the first four tiers, numbers that are all doubles everywhere."""
    limit = 2**31 if problem.tier <= 4 else 2**53
    for test in problem.tests:
        for word in " ".join(test).split():
            if re.fullmatch(r"-?[0-9]+", word) and problem.id not in WRITTEN_DIGITS:
                assert abs(int(word)) < limit


WRITTEN_DIGITS = {"ladder-binary", "ladder-number_systems", "ladder-check_digit", "ladder-repeat_word"}  # text


@every_problem
def test_prose_names_no_language(problem):
    assert not re.search(
        r"\b([Pp]ython|Lua|dict|dictionary|tuple|lambda|len|int|str|float|bool|elif|None|True|False|stdin|stdout"
        r"|function|list|array|null|nil)\b",
        prose(problem),
    )
    assert re.match(r"(One|Two|Three|Four) lines?\b|The first line has ", problem.input_format)
    assert re.search(r"\blines?\b", problem.output_format)
    for text in (problem.statement, problem.input_format, problem.output_format):
        assert re.search(r"[.?)]$", text)
        assert "  " not in text


@every_problem
def test_outputs_have_the_lines_that_the_format_promises(problem):
    """`One line with` and the like begin an output format; where each test has a number of lines, it is that one."""
    for start, number in (("One line with", 1), ("One line: ", 1), ("Two lines", 2)):
        if problem.output_format.startswith(start):
            assert {test.output.count("\n") for test in problem.tests} == {number}
    for start, number in (("One line with", 1), ("Two lines", 2), ("Three lines", 3), ("Four lines", 4)):
        if problem.input_format.startswith(start):
            assert {test.input.count("\n") for test in problem.tests} == {number}
    if "4 digits after the decimal point" in problem.output_format:
        assert all(re.fullmatch(r"-?[0-9]+\.[0-9]{4}\n", test.output) for test in problem.tests)
    if match := re.fullmatch(r"One line with the words? (\w+) or the word (\w+)\.", problem.output_format):
        assert {test.output for test in problem.tests} == {f"{word}\n" for word in match.groups()}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_a_random_input_follows_from_its_seed(task):
    assert task.random_input("seed", 0.5) == task.random_input("seed", 0.5)
    assert len({task.random_input(f"seed {n}", 0.5) for n in range(20)}) > 1


def test_block():
    assert block(7) == "7\n"
    assert block("a b") == "a b\n"
    assert block([2, [1, 2], (3, "x"), ""]) == "2\n1 2\n3 x\n\n"


def test_fixed():
    assert fixed(2 / 3) == "0.6667"
    assert fixed(-1.5) == "-1.5000"
    assert fixed(0) == "0.0000"
    for unclear in (0.00005, 1.23455, -2.00005, -0.00001):
        with pytest.raises(ValueError, match="no clear value"):
            fixed(unclear)


def test_reader_and_rng():
    read = Reader("3\n1 2\n\nx y\n")
    assert (read.number(), read.numbers(), read.numbers(), read.words()) == (3, [1, 2], [], ["x", "y"])
    rng = Rng("seed")
    assert rng.size(3, 9) == 9
    rng.growth = 0.5
    assert rng.size(3, 9) == 6
    assert set(rng.word(50, 50)) <= set(LOWER)
    assert sorted(rng.edges(3, 9)) == [[1, 2], [1, 3], [2, 3]]


def test_a_docstring_without_its_parts_is_refused():
    def lazy(read):
        """Print something."""

    with pytest.raises(ValueError, match=r"lazy: a docstring is the statement"):
        tier(1)(cases=[1], random=lambda rng: 1)(lazy)


def test_input_left_over_is_refused():
    with pytest.raises(ValueError, match="sum_of_two: 1 lines of the input are left over"):
        TASKS["sum_of_two"].solve("1 2\n3 4\n")


@pytest.mark.skipif(shutil.which("luajit") is None, reason="no luajit outside the jail")
@pytest.mark.parametrize("path", sorted(LUA.glob("*.lua")), ids=lambda path: path.stem)
def test_a_lua_program_written_from_the_statement_passes(path):
    problem = next(p for p in PROBLEMS if p.id == f"ladder-{path.stem}")
    for test in problem.tests:
        run = subprocess.run(["luajit", path], input=test.input, capture_output=True, text=True, timeout=10)
        assert (run.stdout, run.stderr) == (test.output, "")
