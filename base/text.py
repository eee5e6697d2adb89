"""Text that others bring: one rule of line ends and marks for every loader, the verifier and every comparison; and how
it is shown.

| in a text | what is done |
|---|---|
| CR LF, also CR CR LF | one line feed |
| a lone CR | data: it stays |
| a byte-order mark (U+FEFF) at the beginning | an encoding's mark, not data: it goes; anywhere else it stays |
| U+2028, U+2029, U+0085, VT, FF | data: they stay, and end no line |
| an input that does not end with a line feed | gets one, as every line of a text file has; an empty one stays empty |

`plain` is for every text, on both sides of a comparison; `program_input` for what a program reads.
`visible` is for every text that a terminal or a page shows and that a model, a server or a file has written.
"""

from __future__ import annotations

import re

MARK = "\ufeff"
LINE_END = re.compile(r"\r+\n")

# Terminal escapes, and what turns the direction of a line round or hides in it ("Trojan Source", smuggled tags).
CONTROL = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: "\u2421"}
HIDDEN = [*range(0x80, 0xA0), 0xAD, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF]
HIDDEN += [0x61C, 0x180E, *range(0xFFF9, 0xFFFC), 0x115F, 0x1160, 0x3164, 0xFFA0]  # a mark of direction; blank letters
TAGS = range(0xE0000, 0xE0080)
HALVES = range(0xD800, 0xE000)  # half characters, which no encoding takes
VISIBLE = CONTROL | {code: f"\\u{code:04x}" for code in [*HIDDEN, *HALVES]}
VISIBLE |= {code: f"\\U{code:08x}" for code in TAGS}


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


def visible(text: str) -> str:
    """`text` with its control characters to be seen, and so without effect; tabs and line feeds stay. Idempotent."""
    return text.translate(VISIBLE)
