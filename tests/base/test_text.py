"""Line ends and marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.text import plain, plain_bytes, program_input, visible

texts = st.text(st.sampled_from("a\r\n \ufeff\u2028\u2029\x85\x0c")) | st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1\r\n2\r\n", "1\n2\n"),
        ("1\r\r\n", "1\n"),
        ("1\r2", "1\r2"),
        ("\ufeff1", "1"),
        ("1\ufeff", "1\ufeff"),
        ("a\u2028b\u2029c\x85d", "a\u2028b\u2029c\x85d"),
    ],
)
def test_line_ends_and_marks(text: str, wanted: str) -> None:
    assert plain(text) == wanted


@given(texts)
def test_nothing_of_windows_is_left(text: str) -> None:
    for found in (plain(text), program_input(text)):
        assert "\r\n" not in found and not found.startswith("\ufeff")
    assert plain(plain(text)) == plain(text) and program_input(program_input(text)) == program_input(text)
    assert plain(text.replace("\n", "\r\n")) == plain(text)
    assert plain_bytes(text.encode()).count(b"\r\n") == 0


@given(texts.filter(bool))
def test_a_programs_input_ends_its_last_line(text: str) -> None:
    assert program_input(text).endswith("\n")
    assert program_input("") == ""


def test_what_steers_a_terminal_is_seen_instead() -> None:
    text = "\x1b[2Ja\tb\nc\x9b\u202e\x7f"
    assert visible(text) == "\u241b[2Ja\tb\nc\\u009b\\u202e\u2421" == visible(visible(text))
