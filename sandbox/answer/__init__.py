"""A completion -> the program in it, or None.

The default rule takes the last code block that is a whole program, one tagged with the language before one that is
not: it reads input and prints, as far as any block of the answer does. What only shows or explains is passed over
(sessions, command lines, sample output, unit tests, demonstrations, excerpts), and a function or a main part that
stands in a block of its own is joined to it. An answer cut off inside its program holds no program. The paper's rule,
`extract_paper`, takes the last closed block whatever its tag, so that an output block after the program replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from languages import Language
from sandbox.answer.markdown import Block, after_thinking, blocks
from sandbox.answer.part import Part
from sandbox.jail import starts

OUTPUT_TAGS = {"text", "txt", "plain", "plaintext", "output", "stdout", "console", "input", "stdin", "example", "log"}
OUTPUT_INTRODUCTION = re.compile(r"\b(output|outputs|input|inputs|prints?|printed|result|results)\b\W*$", re.I)
TESTS = re.compile(
    r"""\bunittest\b | \bpytest\b | \bdoctest\b | \bluaunit\b | \bOUnit | \bHspec\b | \bJUnit\b | \brackunit\b
    | \bminitest\b | \brspec\b | Test:: | ^\s*(?:@|\[|\#\[)(?:Test|Fact|test|cfg\(test\))\b(?!\s*=)
    | testing\.T\b | \bTest\s+do\b | @testset | \bt\.Run\(
    | ^\s*(?:describe|it|test)(?:\s*\(\s*["']|\s+["'].*\bdo\b) | \bpatch\s*\( | \bstdin\s*=\s*\S*StringIO | \bsetIn\s*\(
    | ^\s*(?:from|import|require|use|open|load)\b.*\b(?:solution|your_\w+|my_(?:program|solution|module))\b
    | \brequire\s*\(?\s*["'](?:\./)?(?:solution|program|main)\b""",
    re.VERBOSE | re.MULTILINE,
)
SESSION = re.compile(
    r"""\s*(?:>>>|\$|>|\?-|\d+>|In\s\[\d+\]:|[A-Za-z][\w.]*(?:\([^)\n]*\))?(?::\d+)*>)[ ]+\S | \#\ .*;;\s*$ | \*\ \(""",
    re.VERBOSE,
)
SHELL = ("echo", "printf", "cat", "chmod", "cd", "mkdir", "time", "make", "touch")
MOST_BLOCKS = 100  # of an answer, the last ones: they are compared with each other
HEAD = re.compile(
    r"\s*(?:import|from|use|using|open|require|#\s*include|load|library|package)\b|\s*module\s+\w+.*\bwhere\s*$"
)


def extract(completion: str, language: Language) -> str | None:
    """The program of a completion, or None when it holds none."""
    answer = after_thinking(completion)
    if answer is None:
        return None
    found = blocks(answer)
    cut = found.pop() if found and not found[-1].closed else None
    found = [block for block in found if block.text.strip()][-MOST_BLOCKS:]
    tagged = [block for block in found if _is(block, language)]
    if cut and (not found or (_is(cut, language) and not _only_explains(cut, tagged, language))):
        return None  # cut off inside the program
    others = [block for block in found if block not in tagged and not _plainly_output(block)]
    if tagged:
        both = [block for block in found if block in tagged or (block in others and not block.tag)]
        wholes = _wholes(_programs(both, language))
        only_beside = all(part.block not in tagged and part.reads and part.prints for part in wholes)
        return choose(both if only_beside else tagged, language)
    others = others or [block for block in found if Part(block).reads or Part(block).prints]
    return choose(others, language) if others else None


def _is(block: Block, language: Language) -> bool:
    """Whether a block's tag is the language's, also with a version: cpp17, python3.11."""
    return block.tag in language.fence or block.tag.rstrip("0123456789.") in language.fence


def choose(candidates: Sequence[Block], language: Language) -> str:
    """The program in an answer's blocks, at least one: the last that reads and prints, with what it needs of others.

    Sessions, command lines, sample output, unit tests and excerpts of another block are no programs. Where no block is
    whole, those that build on each other are joined.
    """
    if len(candidates) == 1:
        return candidates[0].text
    parts = _programs(candidates, language)
    wholes = _wholes(parts)
    pieces = [part for part in parts if part not in wholes]
    # one that calls what a whole program above it defines demonstrates that program, or is its main part
    shown = [
        part
        for number, part in enumerate(wholes)
        if any(part.calls(above.functions) if part.reads else part.uses(above.functions) for above in wholes[:number])
    ]
    wholes = [part for part in wholes if part not in shown]
    if not wholes:
        return _joined([part.block.text for part in _linked(parts)])
    main = wholes[-1]
    needed = _needed(main, pieces)
    callers = [part for part in (*pieces, *shown) if part not in needed and _starts(part, main)]
    return _joined([part.block.text for part in (*(part for part in pieces if part in needed), main, *callers)])


def _programs(candidates: Sequence[Block], language: Language) -> list[Part]:
    """The blocks without those that only explain or show; all of them where that would leave none."""
    parts = [Part(block) for block in {block.text: block for block in reversed(candidates)}.values()][::-1]
    parts = [part for part in parts if not _aside(part, language)] or parts
    kept = [part for part in parts if not TESTS.search(part.code)]
    if not any(part.reads and part.prints for part in kept):  # a program may hold its own tests
        kept = [part for part in parts if part in kept or (part.reads and part.prints)] or parts
    return [part for part in kept if not _excerpt(part, kept)] or kept


def _wholes(parts: Sequence[Part]) -> list[Part]:
    """The parts that read and print, as far as any part does: some problems have no input, some languages no word."""
    reads, prints = any(part.reads for part in parts), any(part.prints for part in parts)
    return [part for part in parts if part.reads >= reads and part.prints >= prints]


def _aside(part: Part, language: Language) -> bool:
    """Whether a block is a session, command lines, or sample input or output."""
    block = part.block
    lines = [line.strip() for line in block.text.split("\n") if line.strip()]
    if SESSION.match(block.text.lstrip()) or any(line.startswith(">>> ") for line in block.text.split("\n")):
        return True
    if _commands(lines, language):
        return True
    if all(re.fullmatch(r"[+-]?\d[\d.,eE+-]*", word) for word in block.text.split()):
        return True
    return bool(OUTPUT_INTRODUCTION.search(block.introduction)) and not part.reads and not part.prints


def _commands(lines: Sequence[str], language: Language) -> bool:
    """Whether the lines are typed into a shell to run a program, or to compile it."""
    tools = {*SHELL, *(Path(starts(line)).name for line in (language.execute, language.compile or ""))}
    path = Path(language.filename)
    stem, suffix = re.escape(path.stem), re.escape(path.suffix or "." + language.name)
    file = re.compile(rf"(?:^|\s|\|)\./\w|\S{suffix}(?:\s|$)|\b{stem}\b")
    lines = [line for line in lines if not line.startswith("#")]
    typed = all(line.split()[0] in tools or line.startswith(("./", "$ ")) or file.search(line) for line in lines)
    return bool(lines) and typed and any(file.search(line) for line in lines)


def _excerpt(part: Part, parts: Sequence[Part]) -> bool:
    """Whether a block repeats lines of a longer one, and is not whole without the others: those that are left out.

    A corrected program may leave lines out as well, but it reads and prints what the longer one does, and lacks none
    of its names.
    """
    if not part.lines:
        return True
    for whole in parts:
        rest = list(whole.lines)
        if len(rest) <= len(part.lines) or not _remove(part.lines, rest):
            continue
        left = Part(Block("", "\n".join(rest), True, ""))
        if part.block.indent > whole.block.indent or part.reads < whole.reads or part.prints < whole.prints:
            return True
        if 3 * len(part.lines) < len(whole.lines) or part.uses(left.names):
            return True
    return any(_quoted(part.block, [whole.block]) for whole in parts if whole is not part)


def _remove(some: Sequence[str], lines: list[str]) -> bool:
    """Takes `some` out of `lines`, in order; False where they are not all there."""
    at = 0
    for line in some:
        if line not in lines[at:]:
            return False
        at = lines.index(line, at)
        del lines[at]
    return True


def _needed(main: Part, pieces: Sequence[Part]) -> list[Part]:
    """The pieces that define functions which `main` uses, and what these use; of two that define a name, the later."""
    found: list[Part] = []
    known: set[str] = set()
    waiting = [main]
    while waiting:
        part = waiting.pop()
        for piece in reversed(pieces):
            if piece not in found and part.uses(piece.functions - known):
                found.append(piece)
                known |= piece.functions
                waiting.append(piece)
    return found


def _linked(parts: Sequence[Part]) -> list[Part]:
    """The last part with those that it builds on, or that build on it; functions before the part that calls them."""
    chosen = [parts[-1]]
    for part in reversed(parts[:-1]):
        if any(part.uses(one.names) or one.uses(part.names) for one in chosen):
            chosen.insert(0, part)
    ordered: list[Part] = []
    for part in chosen:
        above = [one for one in chosen if one not in ordered and one is not part and part.uses(one.functions)]
        ordered += [one for one in (*above, part) if one not in ordered]
    return ordered


def _starts(part: Part, main: Part) -> bool:
    """Whether a block only calls a function of `main` that is defined there and never called."""
    return not part.functions and any(main.count(name) == 1 for name in part.uses(main.functions))


def _joined(texts: Sequence[str]) -> str:
    """The blocks as one program: imports go to the top, as most languages want them, each once."""
    if len(texts) == 1:
        return texts[0]
    heads: list[str] = []
    bodies: list[str] = []
    for text in texts:
        lines = text.rstrip("\n").split("\n")
        at = 0
        while at < len(lines) and (not lines[at].strip() or HEAD.match(lines[at])):
            end = at
            if lines[at].rstrip().endswith("("):  # to its closing line
                end = next((n for n in range(at, len(lines)) if lines[n].strip() == ")"), at)
            head = "\n".join(lines[at : end + 1])
            if head.strip() and head not in heads:
                heads.append(head)
            at = end + 1
        bodies.append("\n".join(lines[at:]))
    heads.sort(key=lambda head: not re.match(r"\s*(?:package|module)\b", head))
    return "\n".join([*heads, *bodies]) + "\n"


def _only_explains(block: Block, above: Sequence[Block], language: Language) -> bool:
    """Whether a block that was cut off is no second version of the program above it."""
    part = Part(block)
    if _quoted(block, above) or (above and (_aside(part, language) or TESTS.search(part.code))):
        return True
    return not part.reads and any(part.uses(Part(program).functions) for program in above)


def _plainly_output(block: Block) -> bool:
    return block.tag in OUTPUT_TAGS or (not block.tag and bool(OUTPUT_INTRODUCTION.search(block.introduction)))


def _quoted(block: Block, above: Sequence[Block]) -> bool:
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
