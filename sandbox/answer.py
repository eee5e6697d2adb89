"""A completion -> the program in it, or None.

The default rule prefers the last code block tagged with the language that is no quotation from one above it; then the
last closed block that is not plainly sample input or output. An answer cut off inside its program holds no program. The
paper's rule, `extract_paper`, takes the last closed block whatever its tag, so that an output block after the program
replaces it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from languages import Language

OPENING = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[^\s`{]*)[^`]*$")
OUTPUT_TAGS = {"text", "txt", "plain", "plaintext", "output", "stdout", "console", "input", "stdin", "example", "log"}
OUTPUT_INTRODUCTION = re.compile(r"\b(output|outputs|input|inputs|prints?|printed|result|results)\b\W*$", re.I)
THINKING_END = "</think>"
THINKING_START = "<think>"


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


def extract(completion: str, language: Language) -> str | None:
    """The program of a completion, or None when it holds none."""
    answer = completion.rpartition(THINKING_END)[2]
    if THINKING_START in answer:  # still thinking when the tokens ran out
        return None
    found = blocks(answer)
    if found and not found[-1].closed:
        last = found.pop()
        if not found or (last.tag in language.fence and not _quoted(last, found)):
            return None  # cut off inside the program
    found = [block for block in found if block.text.strip()]
    tagged = [block for block in found if block.tag in language.fence]
    if tagged:
        return [block for number, block in enumerate(tagged) if not _quoted(block, tagged[:number])][-1].text
    programs = [block for block in found if not _plainly_output(block)]
    return programs[-1].text if programs else None


def _plainly_output(block: Block) -> bool:
    return block.tag in OUTPUT_TAGS or (not block.tag and bool(OUTPUT_INTRODUCTION.search(block.introduction)))


def _quoted(block: Block, above: list[Block]) -> bool:
    """Whether a block repeats a part of one above it, and is indented deeper, as in a list that explains a program."""
    words = " ".join(block.text.split())
    return any(block.indent > program.indent and words in " ".join(program.text.split()) for program in above)


def extract_paper(completion: str, language: Language) -> str | None:
    """The program by the rule of the paper's own framework, for comparison with its figures.

    The last closed block wins whatever its tag; white space after the closing fence leaves a block open; without any
    fence, a short answer or one of several lines counts as a program.
    """
    found = re.findall(r"```[^\n]*\n(.*?)```(?=\n|\Z)", completion, re.DOTALL)
    if found:
        return found[-1]
    if "```" not in completion and (len(completion) < 100 or "\n" in completion):
        return completion
    return None


RULES = {"default": extract, "paper": extract_paper}


def fenced(text: str) -> str:
    """`text` in a code block that it cannot close."""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}\n{text}\n{fence}"
