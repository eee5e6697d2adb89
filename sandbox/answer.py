"""A completion -> the program in it, or None.

The default rule takes the last code block that is a whole program, one tagged with the language before one that is
not: it reads input and prints, as far as any block of the answer does. What only shows or explains is passed over
(sessions, command lines, sample output, unit tests, demonstrations, excerpts), and a function or a main part that
stands in a block of its own is joined to it. An answer cut off inside its program holds no program. The paper's rule,
`extract_paper`, takes the last closed block whatever its tag, so that an output block after the program replaces it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from languages import Language

OPENING = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[^\s`{]*)[^`]*$")
OUTPUT_TAGS = {"text", "txt", "plain", "plaintext", "output", "stdout", "console", "input", "stdin", "example", "log"}
OUTPUT_INTRODUCTION = re.compile(r"\b(output|outputs|input|inputs|prints?|printed|result|results)\b\W*$", re.I)
THINKING_END = "</think>"
TAG = re.compile(r"</?think>")

# What blocks of code do is told by words that are the same in most languages; a word that is missing here costs
# nothing where an answer has one block, or where its last block is the program.
READS = re.compile(
    r"""(?<![a-z])f?reads? | read(?=_?(?:ln?|line|int|num)) | stdin | stdio(?!\.h) | standard_?in | php://
    | \binput\s*\( | \binput_(?:line|char|value|byte) | \binput(?:Line|All|N|1)\b | \bfrom\s+input\b | raw_input
    | current-input | user_input | (?<![a-z])f?v?scan(?:f|n|ner|ln|\s*[("]|\b) | textscan
    | (?<![.\w])get(?=\b\s*[^\s;:=,)\]]) | IO\.Get\b | (?<![a-z])f?get(?:s|c|l)\b
    | get(?:char|_?line|_?contents|-line) | \bcin\b | \baccept\b | \binteract\b
    | System\s*\.\s*in\b | open\s*\(?\s*0 | fileinput | <\s*\$?(?:STDIN)?\s*>(?=\s*[;)]) | \bARGF\b
    | \$\*IN | \*in\* | =\s*lines\b(?!\s*\[) | \b(?:for|say|put)\s+lines\b | eachline
    | in-lines | port-> | io\.lines | slurp | \bprompt\b | mapfile | \bcat\b(?!\s*\() | \brefill\b
    | \bkey\b | syscall | int\s+0x80""",
    re.VERBOSE | re.IGNORECASE,
)
PRINTS = re.compile(
    r"""print | \bf?put | writ | echo | \bsay\b | displ | cout | format | \bdisp\b | console\. | \blog\s*\(
    | \bcat\b | \bshow
    | emit | \btype\b | \.\s*(?:cr|s|r)\b | princ | message | \btrace\b | \bselect\b | interact
    | \boutput(?:_|1?\s*\() | syscall | int\s+0x80
    | \bsort\b""",
    re.VERBOSE | re.IGNORECASE,
)
TESTS = re.compile(
    r"""\bunittest\b | \bpytest\b | \bdoctest\b | \bluaunit\b | \bOUnit | \bHspec\b | \bJUnit\b | \brackunit\b
    | \bminitest\b | \brspec\b | Test::|(?:@|\[|\#\[)(?:Test|Fact|test|cfg\(test\))\b | testing\.T\b | \bTest\s+do\b
    | @testset | \bt\.Run\(
    | ^\s*(?:describe|it|test)\s*\(?\s*["'] | \bpatch\s*\( | \bstdin\s*=\s*\S*StringIO | \bsetIn\s*\(
    | ^\s*(?:from|import|require|use|open|load)\b.*\b(?:solution|your_\w+|my_(?:program|solution|module))\b
    | \brequire\s*\(?\s*["'](?:\./)?(?:solution|program|main)\b""",
    re.VERBOSE | re.MULTILINE,
)
SESSION = re.compile(
    r"""\s*(?:>>>|\$|>|\?-|\d+>|In\s\[\d+\]:|[A-Za-z][\w.]*(?:\([^)\n]*\))?(?::\d+)*>)[ ]+\S | \#\ .*;;\s*$ | \*\ \(""",
    re.VERBOSE,
)
SHELL = ("echo", "printf", "cat", "chmod", "cd", "mkdir", "time", "make", "touch")
LONGEST, LONGEST_LINE = 50_000, 400  # characters of a block that are looked at
COMMENT = re.compile(r"\s*(?:--|//|#(?![A-Za-z\[])|;+ ?(?=[\w;]|$)|%|\(\*|/\*|\*[ /]|\{-|\\ |!)")
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')
IMPORT = re.compile(r"\s*(?:import|from|use|using|open|require|#\s*include|load|library|module|package)\b")
HEAD = re.compile(
    r"\s*(?:import|from|use|using|open|require|#\s*include|load|library|package)\b|\s*module\s+\w+.*\bwhere\s*$"
)
NAME = re.compile(r"[A-Za-z_]\w*")
WORD = re.compile(r"(?<![\w.:>-])[A-Za-z_]\w*(?![\w-])")
# How most languages write that a name is a function or a type: group 1.
DEFINITIONS = [
    re.compile(pattern, re.MULTILINE | re.IGNORECASE)
    for pattern in (
        r"\b(?:function|func|fun|fn|sub|procedure|proc|subroutine|method|def|class|struct|record|trait|interface|type|data"
        r"|newtype|enum)\b[ \t]*(?:\[?[\w, ]{1,80}\]?[ \t]{0,8}=[ \t]{0,8})?([A-Za-z_]\w*)",
        r"\((?:define|defun|defn-?|def|defmacro|define-syntax)[ \t]+\(?([^\s()\[\]]+)",
        r"\b(?:let|and)(?:[ \t]+rec)?[ \t]+([A-Za-z_]\w*'?)[ \t]+[\w(~?]",
        r"^[ \t]*[A-Za-z_][\w:<>,*&\[\]. \t]{0,80}?[ \t*&]{1,8}([A-Za-z_]\w*)[ \t]*\([^;(){}]{0,400}\)[^;{}\n=]{0,80}"
        r"\n?[ \t]*(?:\{|=>)",
        r"^[ \t]*([A-Za-z_][\w-]*)[ \t]*\([ \t]*\)[ \t]*\n?[ \t]*\{",
        r"^([a-z_]\w*'?)(?:\([^\n]{0,200}?\)|(?:[ \t]{1,8}[\w\[\](),:_'@]{1,80}){1,20})[ \t]*(?:=(?!=)|:-|->)",
        r"([A-Za-z_]\w*)[ \t]*(?:<-|:?=)[ \t]*(?:async[ \t]+)?(?:function\b|lambda\b|func\b|fn\b|sub\b|proc\b|->"
        r"|\([^()\n]*\)[ \t]*(?:=>|->)|\w+[ \t]*(?:=>|->))",
        r"^[ \t]*:[ \t]+(\S+)",
        r"^([A-Za-z_]\w*):[ \t]*$",
        r"\bcreate[ \t]+(?:temp[ \t]+)?(?:table|view)[ \t]+([A-Za-z_]\w*)",
    )
]
VARIABLES = re.compile(
    r"([A-Za-z_][\w, \t]{0,80}?)[ \t]{0,8}(?::[ \t]{0,8}\w{1,40}[ \t]{0,8})?(?::=|<-|(?<![=!<>+\-*/%~|&^])=(?!=))"
    r"|\b(?:int|long|double|float|char|string|bool|auto|var|let|const|local|my|integer|real|for|foreach)\b"
    r"[ \t($@%]{0,8}([A-Za-z_][\w, \t]{0,80})",
    re.IGNORECASE,
)
NO_NAMES = frozenset(
    ("if", "else", "elif", "while", "for", "switch", "catch", "return", "do", "then", "end", "begin", "try", "finally",
     "default", "public", "private", "in", "let", "rec", "mut", "not", "and", "or", "of", "to")
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    tag: str  # lower case; "" when there is none
    text: str
    closed: bool
    introduction: str  # the last line before the block that is not empty
    indent: int = 0  # blanks before its fence


@dataclass(frozen=True)
class Part:
    """What a block does, told by its words; see READS and its neighbours."""

    block: Block

    @cached_property
    def code(self) -> str:
        """Without comments on lines of their own and strings of several words; only the beginning, if it is long."""
        lines = self.block.text[:LONGEST].split("\n")
        lines = [line[:LONGEST_LINE] for line in lines if line.strip() and not COMMENT.match(line)]
        return STRING.sub(lambda found: '""' if " " in found[0] else found[0], "\n".join(lines))

    @cached_property
    def lines(self) -> list[str]:
        """Its lines without blanks around them, comments and marks of omission."""
        lines = (line.strip() for line in self.block.text[:LONGEST].split("\n"))
        return [line for line in lines if line.strip(". ") and not COMMENT.match(line)]

    @cached_property
    def reads(self) -> bool:
        return bool(READS.search(self.code))

    @cached_property
    def prints(self) -> bool:
        return bool(PRINTS.search(self.code))

    @cached_property
    def functions(self) -> set[str]:
        """The functions and types that it defines."""
        return {found[1] for pattern in DEFINITIONS for found in pattern.finditer(self.code)} - NO_NAMES

    @cached_property
    def names(self) -> set[str]:
        """All names that it defines, assigns or imports."""
        found = {name for match in VARIABLES.finditer(self.code) for name in NAME.findall(match[1] or match[2])}
        found |= {name for line in self.code.split("\n") if IMPORT.match(line) for name in NAME.findall(line)}
        return (found | self.functions) - NO_NAMES

    def uses(self, names: Iterable[str]) -> set[str]:
        """Those of the names that it uses and does not define; `x.name` is another's."""
        return {name for name in names if name not in self.names and self.count(name)}

    def count(self, name: str) -> int:
        """How often it stands there, not as a part of `x.name` or `other-name`."""
        if NAME.fullmatch(name):
            return self.words[name]
        return len(re.findall(rf"(?<![\w.:>-]){re.escape(name)}(?![\w-])", self.code))

    @cached_property
    def words(self) -> Counter[str]:
        return Counter(WORD.findall(self.code))


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


def extract(completion: str, language: Language) -> str | None:
    """The program of a completion, or None when it holds none."""
    answer = after_thinking(completion)
    if answer is None:
        return None
    found = blocks(answer)
    cut = found.pop() if found and not found[-1].closed else None
    found = [block for block in found if block.text.strip()]
    tagged = [block for block in found if block.tag in language.fence]
    if cut and (not found or (cut.tag in language.fence and not _only_explains(cut, tagged, language))):
        return None  # cut off inside the program
    others = [block for block in found if block not in tagged and not _plainly_output(block)]
    if tagged:
        both = [block for block in found if block in tagged or (block in others and not block.tag)]
        wholes = _wholes(_programs(both, language))
        only_beside = all(part.block not in tagged and part.reads and part.prints for part in wholes)
        return choose(both if only_beside else tagged, language)
    return choose(others, language) if others else None


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
    # one that calls what a whole program above it defines, and reads nothing, demonstrates that program
    wholes = [
        part
        for number, part in enumerate(wholes)
        if part.reads or not any(part.uses(above.functions) for above in wholes[:number])
    ]
    if not wholes:
        return _joined([part.block.text for part in _linked(parts)])
    main = wholes[-1]
    needed = _needed(main, pieces)
    starts = [part for part in pieces if part not in needed and _starts(part, main)]
    return _joined([part.block.text for part in (*(part for part in pieces if part in needed), main, *starts)])


def _programs(candidates: Sequence[Block], language: Language) -> list[Part]:
    """The blocks without those that only explain or show; all of them where that would leave none."""
    parts = [Part(block) for block in {block.text: block for block in reversed(candidates)}.values()][::-1]
    kept = [part for part in parts if not _aside(part, language)] or parts
    return [part for part in kept if not _excerpt(part, kept)] or kept


def _wholes(parts: Sequence[Part]) -> list[Part]:
    """The parts that read and print, as far as any part does: some problems have no input, some languages no word."""
    reads, prints = any(part.reads for part in parts), any(part.prints for part in parts)
    return [part for part in parts if part.reads >= reads and part.prints >= prints]


def _aside(part: Part, language: Language) -> bool:
    """Whether a block is a session, command lines, sample input or output, or a unit test."""
    block = part.block
    lines = [line.strip() for line in block.text.split("\n") if line.strip()]
    if SESSION.match(block.text.lstrip()) or any(line.startswith(">>> ") for line in lines):
        return True
    if TESTS.search(part.code) or _commands(lines, language):
        return True
    if all(re.fullmatch(r"[+-]?\d[\d.,eE+-]*", word) for word in block.text.split()):
        return True
    return bool(OUTPUT_INTRODUCTION.search(block.introduction)) and not part.reads and not part.prints


def _commands(lines: Sequence[str], language: Language) -> bool:
    """Whether the lines are typed into a shell to run a program, or to compile it."""
    tools = {*SHELL, *(line.split()[0] for line in (language.execute, language.compile or "") if line.strip())}
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
    if _quoted(block, above) or (above and _aside(part, language)):
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


def fenced(text: str) -> str:
    """`text` in a code block that it cannot close."""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}\n{text}\n{fence}"
