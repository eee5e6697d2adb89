from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.compare import matches
from sandbox.job import Checker, Compare

NAN_WORDS = ["nan", "NaN", "-nan", "sNaN", "inf", "Infinity"]


@pytest.mark.parametrize(
    ("rule", "output", "expected", "right"),
    [
        ("exact", "1 2\n", "1 2", True),
        ("exact", "1 2  \n\n", "1 2\n", True),
        ("exact", " 1 2", "1 2", False),  # leading white space counts: Fortran needs `lines`
        ("exact", "1  2", "1 2", False),
        ("exact", "a \nb", "a\nb", False),  # only the end of the whole output is stripped
        ("tokens", " 1\n2 ", "1 2", True),
        ("tokens", "12", "1 2", False),
        ("tokens", "1.0", "1", False),
        ("lines", "   1\n   2\n", "1\n2", True),
        ("lines", "1 2", "1\n2", False),
        ("lines", "1\n\n2", "1\n2", False),
        ("decimal", "1.0\n2", "1\n2.00", True),
        ("decimal", "1e2 x", "100 x", False),  # one word is no number, so the line must be equal as text
        ("decimal", "1 2", "1\n2", False),
        ("decimal", "0.30000000000000004", "0.3", False),  # no tolerance
        ("decimal", "1 2 3", "1 2", False),
        ("decimal", "same text", "same text", True),
        ("float", "0.3000001", "0.3", True),
        ("float", "0.30001", "0.3", False),
        ("float", "1000000.5", "1000000", True),  # relative above 1
        ("float", "yes 1.0", "yes 1", True),
        ("float", "no 1.0", "yes 1", False),
        ("float", "1", "1 1", False),
        ("float", "1.5D+00", "1.5", True),
        ("float", "0x10", "16", False),
        ("float", "1_0", "10", False),
        ("float", "1" + "0" * 400, "1" + "0" * 400, True),
        ("float", "1" + "0" * 400, "2" + "0" * 400, False),
        ("float", "1e999", "1e998", False),
    ],
)
def test_rules(rule: str, output: str, expected: str, right: bool) -> None:
    assert matches(Compare(rule), output, expected) is right


@pytest.mark.parametrize("word", NAN_WORDS)
def test_a_nan_is_no_number(word: str) -> None:
    assert not matches(Compare("float"), word, "1.0")
    assert not matches(Compare("float"), "1.0", word)
    assert not matches(Compare("decimal"), word, "1.0")


def test_nan_equals_nothing_under_float_and_itself_as_text_under_decimal() -> None:
    assert not matches(Compare("float"), "nan", "nan")
    assert matches(Compare("decimal"), "nan", "nan")


def test_the_tolerance_is_the_jobs() -> None:
    assert matches(Compare("float", tolerance=0.5), "1.4", "1")
    assert not matches(Compare("float", tolerance=0.0), "1.0000001", "1")


def test_unknown_rules_and_checkers_are_refused() -> None:
    with pytest.raises(ValueError, match="no comparison rule 'fuzzy'"):
        matches(Compare("fuzzy"), "", "")
    with pytest.raises(ValueError, match="checker"):
        matches(Compare("checker", checker=Checker("lua", "")), "", "")


@given(st.text(max_size=40), st.sampled_from(["exact", "tokens", "decimal", "lines"]))
def test_every_text_equals_itself(text: str, rule: str) -> None:
    assert matches(Compare(rule), text, text)


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["exact", "tokens", "decimal", "lines", "float"]))
def test_no_text_makes_a_rule_fail(output: str, expected: str, rule: str) -> None:
    assert matches(Compare(rule), output, expected) in (True, False)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_decimals_are_equal_however_written(number: Decimal) -> None:
    assert matches(Compare("decimal"), f"{number}0", str(number))
    assert matches(Compare("decimal"), f"{number:E}", str(number))
    assert not matches(Compare("decimal"), str(number + Decimal("0.001")), str(number))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=5))
def test_floats_within_their_tolerance(numbers: list[float]) -> None:
    expected = " ".join(repr(number) for number in numbers)
    assert matches(Compare("float"), " ".join(repr(n * (1 + 1e-9)) for n in numbers), expected)
    off = " ".join(repr(n + 3e-6 * max(1.0, abs(n))) for n in numbers)
    assert not matches(Compare("float"), off, expected)


@given(st.text("ab1 \n", max_size=20), st.sampled_from(["exact", "tokens", "decimal", "lines", "float"]))
def test_line_ends_of_windows_change_no_verdict(text: str, rule: str) -> None:
    windows = "\ufeff" + text.replace("\n", "\r\n")
    assert matches(Compare(rule), windows, text) is matches(Compare(rule), text, windows) is True


@pytest.mark.parametrize("rule", ["exact", "lines", "decimal"])
@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_other_separators_end_no_line(rule: str, separator: str) -> None:
    assert matches(Compare(rule), f"a{separator}b", f"a{separator}b")
    assert not matches(Compare(rule), f"a{separator}b", "a\nb")
