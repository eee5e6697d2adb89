"""What a code block does, told by its words: whether it reads and prints, what it defines and what it uses.

The words are the same in most languages. One that is missing here costs nothing where an answer has one block, or where
its last block is the program.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sandbox.answer.markdown import Block

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
LONGEST, LONGEST_LINE = 50_000, 400  # characters of a block that are looked at
COMMENT = re.compile(r"\s*(?:--|//|#(?![A-Za-z\[])|;+ ?(?=[\w;]|$)|%|\(\*|/\*|\*[ /]|\{-|\\ |!)")
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')
IMPORT = re.compile(r"\s*(?:import|from|use|using|open|require|#\s*include|load|library|module|package)\b")
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
     "default", "public", "private", "in", "let", "rec", "mut", "not", "and", "or", "of", "to", "my", "var", "val",
     "const", "local", "case")
)  # fmt: skip


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

    def calls(self, names: Iterable[str]) -> set[str]:
        """Those of the names that it uses and, as most languages write it, calls: `f(`."""
        return {name for name in self.uses(names) if re.search(rf"(?<![\w.:>-]){re.escape(name)}\(", self.code)}

    def count(self, name: str) -> int:
        """How often it stands there, not as a part of `x.name` or `other-name`."""
        if NAME.fullmatch(name):
            return self.words[name]
        return len(re.findall(rf"(?<![\w.:>-]){re.escape(name)}(?![\w-])", self.code))

    @cached_property
    def words(self) -> Counter[str]:
        return Counter(WORD.findall(self.code))
