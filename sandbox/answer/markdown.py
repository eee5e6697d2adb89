"""The Markdown of a completion: thoughts, and fenced code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPENING = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[^\s`{]*)[^`]*$")
THINKING_END = "</think>"
TAG = re.compile(r"</?think>")


@dataclass(frozen=True)
class Block:
    tag: str  # lower case; "" when there is none
    text: str
    closed: bool
    introduction: str  # the last line before the block that is not empty
    indent: int = 0  # blanks before its fence


def blocks(text: str) -> list[Block]:
    """The fenced code blocks of a Markdown text, in order (CommonMark's rule: a fence is closed by its own kind).

    A fence inside a longer fence, or inside one of the other kind, is text. Line ends are normalised to a newline.
    """
    found: list[Block] = []
    opening: re.Match[str] | None = None
    inside: list[str] = []
    introduction = before = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if opening is None:
            opening = OPENING.match(line)
            if opening:
                inside, introduction = [], before
            elif line.strip():
                before = line
            continue
        fence = opening["fence"]
        stripped = line.strip()
        if len(stripped) >= len(fence) and set(stripped) == {fence[0]}:
            found.append(_block(opening, inside, introduction, closed=True))
            opening, before = None, ""
        else:
            inside.append(line)
    if opening is not None:
        found.append(_block(opening, inside, introduction, closed=False))
    return found


def _block(opening: re.Match[str], inside: list[str], introduction: str, closed: bool) -> Block:
    indent = opening["indent"]
    lines = [line.removeprefix(indent) for line in inside]
    return Block(opening["tag"].lower(), "\n".join(lines) + "\n" if lines else "", closed, introduction, len(indent))


def after_thinking(completion: str) -> str | None:
    """The answer below the model's thoughts, or None where it was still thinking when the tokens ran out.

    A thought begins at a line that begins with <think>, and ends at a line that begins or ends with </think>; the words
    inside a program, a string or a sentence are text. A thought may leave a code block open.
    """
    tags = [found for found in TAG.finditer(completion) if _marks(completion, found)]
    if not tags:
        return completion
    # each tag on a line of its own, so that a fence beside it is seen; NUL and a number find it again
    pieces, at = [], 0
    for number, tag in enumerate(tags):
        pieces += [completion[at : tag.start()], f"\n\0{number}\0\n"]
        at = tag.end()
    inside = set()
    found_blocks = blocks("".join([*pieces, completion[at:]]))
    uneven = bool(found_blocks) and not found_blocks[-1].closed
    for block in found_blocks:
        for found in re.finditer("\0(\\d+)\0\n", block.text) if block.closed else ():
            below = block.text[found.end() :].split("\n")
            opens = any((fence := OPENING.match(line)) and fence["tag"] for line in below)
            if not opens and not (uneven and not "".join(below).strip()):  # else the thought's fence was left open
                inside.add(int(found[1]))
    real = [tag for number, tag in enumerate(tags) if number not in inside]
    ends = [tag.end() for tag in real if tag[0] == "</think>"]
    end = ends[-1] if ends else 0
    if any(tag.start() >= end for tag in real if tag[0] == "<think>"):
        return None
    return completion[end:]


def _marks(text: str, tag: re.Match[str]) -> bool:
    """Whether a tag stands where a model marks its thoughts: at an edge of its line, not in a string."""
    before = text[text.rfind("\n", 0, tag.start()) + 1 : tag.start()].strip()
    after = text[tag.end() :].partition("\n")[0].strip()
    if tag[0] == "<think>":
        return not before
    quoted = bool(re.search(r"[\"'`]$", before)) and before.count(before[-1]) % 2 and before.strip("`")
    return (not before or not after) and not quoted


def fenced(text: str) -> str:
    """`text` in a code block that it cannot close."""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}\n{text}\n{fence}"
