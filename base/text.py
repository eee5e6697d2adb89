"""Line ends and marks of text that people bring: one rule for every loader, the verifier and every comparison.

| in a text | what is done |
|---|---|
| CR LF, also CR CR LF | one line feed |
| a lone CR | data: it stays |
| a byte-order mark (U+FEFF) at the beginning | an encoding's mark, not data: it goes; anywhere else it stays |
| U+2028, U+2029, U+0085, VT, FF | data: they stay, and end no line |
| an input that does not end with a line feed | gets one, as every line of a text file has; an empty one stays empty |

`plain` is for every text, on both sides of a comparison; `program_input` for what a program reads.
"""

from __future__ import annotations

import re

MARK = "\ufeff"
LINE_END = re.compile(r"\r+\n")


def plain(text: str) -> str:
    """`text` with line feeds for line ends and without a mark in front. Idempotent."""
    if text.startswith(MARK):
        text = text.lstrip(MARK)
    return LINE_END.sub("\n", text) if "\r\n" in text else text


def plain_bytes(output: bytes) -> bytes:
    """`plain` for what a program printed, which need not be text."""
    return re.sub(rb"\r+\n", b"\n", output.removeprefix(MARK.encode()))


def program_input(text: str) -> str:
    """A test's input as a program reads it: plain, its last line ended. Idempotent."""
    return plain(text if not text or text.endswith("\n") else text + "\n")
