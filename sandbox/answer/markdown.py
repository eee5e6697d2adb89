"""The Markdown of a completion: thoughts, and fenced code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

# A fence begins its line, or follows the mark of a list or, with a tag, a colon or what stands in angle brackets; with
# nothing but a tag, any words.
OPENING = re.compile(
    r"""^(?P<before>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+
        |(?P<words>[^`~]{1,400}(?:[:：>][*_]*[ \t]*(?=[`~]+[a-zA-Z])|[ *_](?=[`~]+[a-zA-Z][\w+#.-]*[ \t]*$))))?)
    (?P<fence>`{3,}|~{3,})[ \t]*(?:\{[ \t]*\.?)?(?P<tag>[^\s`{}:,]*)[^`]*$""",
    re.VERBOSE,
)
# What may follow a closing fence: <|im_end|>, </answer>, a full stop, the end of bold type.
BEHIND = re.compile(r"(?:\s*(?:</?[^<>`]{1,40}>|[.*_]))*\s*$")
QUOTE = re.compile(r"^[ \t]{0,3}>[ \t]?")
MARKDOWN = ("markdown", "md")
TAG = re.compile(r"</?think>")
NEAR = 1000  # characters of a tag's line that are looked at on either side, so that a hostile text costs no more


@dataclass(frozen=True)
class Block:
    tag: str  # lower case; "" when there is none
    text: str
    closed: bool
    introduction: str  # the last line before the block that is not empty
    indent: int = 0  # blanks before its fence


def blocks(text: str) -> list[Block]:
    """The fenced code blocks of a Markdown text, in order (CommonMark's rule: a fence is closed by its own kind).

    A fence inside a longer fence, or inside one of the other kind, is text. Of a block of Markdown, what it encloses is
    found. Line ends are normalised to a newline.
    """
    found: list[Block] = []
    opening: re.Match[str] | None = None
    quoted = False
    inside: list[str] = []
    introduction = before = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if opening is None or (opening["words"] and not inside):  # words may but name a fence that begins below them
            quote = QUOTE.match(line)
            begins = OPENING.match(line[quote.end() :] if quote else line)
            if begins and (begins["tag"] or opening is None):
                opening, inside, quoted = begins, [], quote is not None
                introduction = begins["before"].strip() or before
                continue
            if opening is None:
                before = line if line.strip() else before
                continue
        line = QUOTE.sub("", line) if quoted else line
        last = _before_fence(line, opening["fence"])
        if last is not None:
            inside += [last] * bool(last)
            block = _block(opening, inside, introduction, closed=True)
            enclosed = blocks(block.text.removesuffix("\n")) if block.tag in MARKDOWN else []
            found += [replace(one, closed=True) for one in enclosed] or [block]
            opening, before = None, ""
        else:
            inside.append(line)
    if opening is not None:
        found.append(_block(opening, inside, introduction, closed=False))
    return found


def _before_fence(line: str, fence: str) -> str | None:
    """What stands before the fence that closes a block: "", or the program's last line; None where there is none."""
    before, found, behind = line.partition(fence)
    if not found or not BEHIND.match(behind.lstrip(fence[0])):
        return None
    if not before.strip() or fence[0] == "~":
        return None if before.strip() else ""
    end = before[-1]  # in a comment or a string, a fence follows a blank, a colon or an open quotation mark
    ends = before.count(end) % 2 == 0 if end in "\"'" else end.isalnum() or end in ")]}>;._"
    return before if ends and "`" not in before else None


def _block(opening: re.Match[str], inside: list[str], introduction: str, closed: bool) -> Block:
    before = opening["before"]
    indent = len(before) - len(before.lstrip()) if opening["words"] else len(before)
    if all(line[:indent].isspace() for line in inside if line.strip()):  # else the program stands beside its fence
        inside = [line[indent:] for line in inside]
    return Block(opening["tag"].lower(), "\n".join(inside) + "\n" if inside else "", closed, introduction, indent)


def after_thinking(completion: str) -> str | None:
    """The answer below the model's thoughts, or None where it was still thinking when the tokens ran out.

    A thought begins at a line that begins with <think>, and ends at a line that begins or ends with </think>, or at any
    </think> below a <think>; the words inside a program, a string or a sentence are text. A thought may leave a code
    block open.
    """
    tags: list[re.Match[str]] = []
    for found in TAG.finditer(completion):
        if _marks(completion, found, thinking=bool(tags) and tags[-1][0] == "<think>"):
            tags.append(found)
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
        opens = said = False  # below, in this block
        for line in reversed(block.text.split("\n") if block.closed else []):
            if mark := re.fullmatch("\0(\\d+)\0", line):
                if not opens and (said or not uneven):  # else the thought's fence was left open
                    inside.add(int(mark[1]))
                said = True
            else:
                opens = opens or bool((fence := OPENING.match(line)) and fence["tag"])
                said = said or bool(line.strip())
    real = [tag for number, tag in enumerate(tags) if number not in inside]
    ends = [tag.end() for tag in real if tag[0] == "</think>"]
    end = ends[-1] if ends else 0
    if any(tag.start() >= end for tag in real if tag[0] == "<think>"):
        return None
    return completion[end:]


def _marks(text: str, tag: re.Match[str], thinking: bool) -> bool:
    """Whether a tag stands where a model marks its thoughts: not in a string, and at an edge of its line, or, where it
    ends a thought, anywhere."""
    before = text[max(0, tag.start() - NEAR) : tag.start()].rpartition("\n")[2].strip()
    after = text[tag.end() : tag.end() + NEAR].partition("\n")[0].strip()
    if tag[0] == "<think>":
        return not before
    quoted = bool(re.search(r"[\"'`]$", before)) and before.count(before[-1]) % 2 and before.strip("`")
    return (thinking or not before or not after) and not quoted


def fenced(text: str) -> str:
    """`text` in a code block that it cannot close."""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}\n{text}\n{fence}"
