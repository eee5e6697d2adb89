"""What a model wrote, as text that does nothing: control characters are seen, markup is escaped, length is bounded."""

from __future__ import annotations

import difflib
import json
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound

from base.text import visible

LONGEST = 8_000  # characters of a text on a page
HIGHLIGHTED = 4_000  # characters that are highlighted: a lexer is a heap of regular expressions
LINES, WIDEST = 400, 400  # of a text that is compared: a difference takes the square of its lines


def finalized(value: Any) -> Any:
    """For Jinja's `finalize`: a text with its control characters to be seen; markup, and what is no text, as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def cut(text: str | None, most: int = LONGEST) -> str:
    """The beginning of a text, with what is left out said."""
    text = text or ""
    return text if len(text) <= most else f"{text[:most]}\n[... {len(text) - most:,} more characters]"


def prompt(text: str | None) -> str:
    """A prompt for people: a chat that was kept as JSON, its messages one after the other."""
    try:
        chat = json.loads(text or "")
        return "\n\n".join(f"{message['role']}:\n{message['content']}" for message in chat)
    except (ValueError, KeyError, TypeError, RecursionError):
        return text or ""


@lru_cache(maxsize=512)
def highlighted(program: str, names: tuple[str, ...]) -> Markup:
    """A program as HTML, highlighted by the first of `names` known: a language, a tag of a fence, a file name."""
    program = visible(cut(program))
    lexer = next(filter(None, map(_lexer, names)), None) if len(program) <= HIGHLIGHTED else None
    if lexer is None:
        return escape(program)
    return Markup(highlight(program, lexer, HtmlFormatter(nowrap=True)))


def _lexer(name: str) -> Any:
    try:
        return get_lexer_for_filename(name, stripnl=False) if "." in name else get_lexer_by_name(name, stripnl=False)
    except ClassNotFound:
        return None


def difference(a: str, b: str) -> list[tuple[str, str]]:
    """The lines of two programs: (" ", in both), ("-", only in a), ("+", only in b)."""
    ours, theirs = _lines(a), _lines(b)
    found = []
    for kind, a_from, a_to, b_from, b_to in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [(" ", line) for line in ours[a_from:a_to]]
        else:
            found += [("-", line) for line in ours[a_from:a_to]] + [("+", line) for line in theirs[b_from:b_to]]
    return found


def _lines(text: str) -> list[str]:
    lines = cut(text, LINES * WIDEST).split("\n")
    shown = [cut(line, WIDEST).replace("\n", " ") for line in lines[:LINES]]
    return shown + ([f"[... {len(lines) - LINES:,} more lines]"] if len(lines) > LINES else [])
