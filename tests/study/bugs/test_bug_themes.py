"""The rules that name a bug's theme, on what real compilers and interpreters said in the real jail."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import languages
from problems.problem import Problem
from sandbox import open_pool
from sandbox.job import Job, Status, Test
from study.bugs import seen
from study.bugs.labels import kappa, parse, summary
from study.bugs.themes import Failure, Theme, themes

S, I, U, T, F, L, O = Theme  # noqa: E741 (their initials)
SUM = Problem("sum", "Read two integers and print their sum.", (Test("2 3\n", "5\n"), Test("10 -4\n", "6\n")))
# Each program has the bugs that the themes name; the names only say which is which.
PROGRAMS = [
    ("lua", "local a = io.read('*n'\nprint(a)", {S}),
    ("lua", "local a, b = io.read('*n', '*n')\nprint(a + c)", {U}),
    ("lua", "local a, b = io.read('*n', '*n')\nprint(add(a, b))", {F}),
    ("lua", "local s = io.read('*l')\nprint(s + {})", {T}),
    ("lua", "local a, b = io.read('*n', '*n')\nprint(a * b)", {L}),
    ("lua", "local a, b = io.read('*n', '*n')\nprint('Sum: ' .. (a + b))", {O}),
    ("lua", "while true do end", {L}),
    ("python", "a, b = map(int, input().split()\nprint(a + b)", {S}),
    ("python", "a, b = int(input()), int(input())\nprint(a + b)", {I}),
    ("python", "a, b, c = map(int, input().split())\nprint(a + b)", {I}),
    ("python", "a, b = map(int, input().split())\nprint(a + total)", {U}),
    ("python", "a, b = map(int, input().split())\nprint(add(a, b))", {F}),
    ("python", "import numpyy\nprint(numpyy.add(1, 2))", {F}),
    ("python", "a, b = input().split()\nprint(a - b)", {T}),
    ("python", "a, b = input().split()\nprint(a + b)", {L}),
    ("python", "a, b = map(int, input().split())\nprint(float(a + b))", {O}),
    ("python", "a = list(map(int, input().split()))\nprint(a[0] + a[2])", {L}),
    ("c", "#include <stdio.h>\nint main() { int a, b; scanf(\"%d %d\", &a, &b) printf(\"%d\", a + b); }", {S}),
    ("c", "#include <stdio.h>\nint main() { int a; scanf(\"%d\", &a); printf(\"%d\", a + b); }", {U}),
    ("c", "#include <stdio.h>\nint add(int, int);\nint main() { printf(\"%d\", add(2, 3)); }", {F}),
    ("c", "#include <stdio.h>\nint main() { struct { int x; } s; int y = s; printf(\"%d\", y); }", {T}),
]  # fmt: skip


@pytest.fixture(scope="module")
def failures() -> list[Failure]:
    found = [languages.load(name) for name in ("lua", "python", "c")]
    found = [replace(language, limits=replace(language.limits, test_s=1.0)) for language in found]
    with open_pool(found, executor="local", workers=2) as pool:
        jobs = [Job(str(n), name, program, SUM.tests) for n, (name, program, _) in enumerate(PROGRAMS)]
        verdicts = [future.result() for future in [pool.submit(job) for job in jobs]]
    return [
        seen({"sample": 0, "program": program, "prompt": SUM.statement}, SUM, verdict, name)
        for verdict, (name, program, _) in zip(verdicts, PROGRAMS, strict=True)
    ]


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_real_failure_gets_its_theme(number: int, failures: list[Failure]) -> None:
    assert themes(failures[number]) == PROGRAMS[number][2], failures[number]


def test_long_outputs_that_differ_late_are_no_matter_of_form() -> None:
    cut = "1 2 3 " * 400 + "..."
    failure = Failure("p", 0, "x", "", "program", "wrong_output", "", "", cut, cut)
    assert themes(failure) == {L}
    assert themes(replace(failure, stdout=cut.replace(" ", "\n"))) == {O}


def test_a_failure_shows_the_first_test_that_failed(failures: list[Failure]) -> None:
    wrong = failures[4]
    assert (wrong.verdict, wrong.input, wrong.expected) == ("wrong_output", "2 3\n", "5\n")
    assert wrong.stdout.strip() == "6" and wrong.statement == SUM.statement


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ('File "a.ml", line 2, characters 10-14:\nError: Unbound value summ\nHint: Did you mean sum?', {U}),
        ("Error: Unbound module Core", {F}),
        ("Error: This expression has type string but an expression was expected of type\n         int", {T}),
        ("Error: Symbol 'total' at (1) has no IMPLICIT type", {U}),
        ("At line 3 of file a.f90 (unit = 5, file = 'stdin')\nFortran runtime error: End of file", {I}),
        ("Fortran runtime error: Bad integer for item 1 in list input", {I}),
        ("Error: Unclassifiable statement at (1)", {S}),
        ("ERROR: LoadError: UndefVarError: `readnum` not defined in `Main`", {U}),
        ("ERROR: LoadError: MethodError: no method matching +(::String, ::Int64)", {T, F}),
        ("Error in scan(con, n = 1, quiet = TRUE) : \n  scan() expected 'a real', got 'python'", {I}),
        ('ERROR: LoadError: ArgumentError: extra characters after whitespace in "1 2"', {I}),
        ("ERROR: LoadError: ArgumentError: input string is empty or only contains whitespace", {I}),
        ("ERROR: LoadError: syntax: missing comma or ) in argument list", {S}),
        ("ERROR: LoadError: type Dict has no field get", {F}),
        ("Error in library(purr) : there is no package called ‘purr’", {F}),
        ("Error: object 'n' not found\nExecution halted", {U}),
        ("Error in strsplt(x, ' ') : could not find function \"strsplt\"", {F}),
        ("Exception: End_of_file.", {I}),
    ],
)
def test_what_other_languages_say(errors: str, expected: set[Theme]) -> None:
    failure = Failure("p", 0, "x", "", "program", Status.RUNTIME_ERROR, errors)
    assert themes(failure) == expected


def test_a_name_that_is_called_is_a_function() -> None:
    failure = Failure(
        "p", 0, "ocaml", "", "let () = print_int (summ 1 2)", "compile_error", "Error: Unbound value summ"
    )
    assert themes(failure) == {U}, "OCaml calls without brackets: the rule cannot know"
    called = replace(failure, program="print(summ(1, 2))", errors="NameError: name 'summ' is not defined")
    assert themes(called) == {F}


@given(st.text(), st.sampled_from([s.value for s in Status]), st.text(), st.text())
def test_the_rules_take_any_text(errors: str, verdict: str, expected: str, stdout: str) -> None:
    failure = Failure("p", 0, "x", "", "program", verdict, errors, "", expected, stdout)
    found = themes(failure)
    assert found <= set(Theme)
    if verdict == Status.WRONG_OUTPUT:
        assert found in ({L}, {O})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"themes": [1, 6], "why": "no end"}', {S, L}),
        ('Thinking: {"themes": [2]} hm.\n```json\n{"themes": [7]}\n```', {O}),
        ('{"themes": [3, 3]} and then {"other": 1}', {U}),
        ('{"themes": []}', None),
        ('{"themes": [0, 1]}', None),
        ('{"themes": [8]}', None),
        ('{"themes": [true]}', None),
        ('{"themes": "syntax"}', None),
        ("1, 6", None),
        ("", None),
    ],
)
def test_an_answer_is_read(answer: str, expected: set[Theme] | None) -> None:
    assert parse(answer) == expected


@given(
    st.text() | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)).map(str)
)
def test_any_answer_can_be_read(answer: str) -> None:
    found = parse(answer)
    assert found is None or (found and found <= set(Theme))


def test_agreement() -> None:
    rules = [frozenset({S}), frozenset({S, T}), frozenset({L}), frozenset(), frozenset({L})]
    model = [frozenset({S}), frozenset({T}), frozenset({O}), frozenset({L}), None]
    found = summary(rules, model)
    assert found["themes"]["syntax"] == {"rules": 2, "model": 1, "both": 1, "kappa": pytest.approx(0.4)}
    assert found["themes"]["input"]["kappa"] is None
    assert found["unlabelled"] == {"rules": 1, "model": 1}
    assert (found["compared"], found["jaccard"]) == (3, pytest.approx((1 + 0.5 + 0) / 3))
    assert kappa([True, False] * 5, [True, False] * 5) == 1
    assert kappa([True, True, False, False], [True, False, True, False]) == 0
