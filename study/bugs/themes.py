"""The seven themes of bugs in a model's programs (paper 4.4, appendix D.2), and rules that find them without a model.

The rules read what a jail saw: the verdict, the compiler's or interpreter's words, the output beside the expected one.
A program may have several themes, or none where nothing speaks for one. They cannot know what an author meant: a
misread input often shows up as some later error, and rules call it that. `python -m study.bugs` shows how far a model
agrees with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sandbox.job import Status


class Theme(StrEnum):
    SYNTAX = "syntax"
    INPUT = "input"
    UNINITIALIZED = "uninitialized"
    TYPES = "types"
    FUNCTIONS = "functions"
    LOGIC = "logic"
    OUTPUT = "output"


TITLES = {
    Theme.SYNTAX: "Syntax and typos",
    Theme.INPUT: "Reading and parsing input",
    Theme.UNINITIALIZED: "Uninitialized variables",
    Theme.TYPES: "Data types and conversion",
    Theme.FUNCTIONS: "Function misuse, missing libraries",
    Theme.LOGIC: "Algorithmic logic",
    Theme.OUTPUT: "Output format",
}


@dataclass(frozen=True)
class Failure:
    """A failed program, and what its run in a jail showed of the first test that failed."""

    problem: str
    sample: int
    language: str
    statement: str  # the problem as the model was told it
    program: str
    verdict: str
    errors: str = ""  # of the compiler, or the failing test's stderr; its first lines
    input: str = ""
    expected: str = ""
    stdout: str = ""  # first lines


# What compilers and interpreters say, by theme; Lua, Python, C, OCaml, Fortran, Julia and R were looked at first.
PHRASES: dict[Theme, list[str]] = {
    Theme.SYNTAX: [
        r"syntax ?error|parse ?error|IndentationError|TabError|malformed number|illegal character|stray ['‘`\\]",
        r"unterminated|unclosed|LoadError: syntax:",
        r"unexpected (symbol|token|end of|EOF|numeric|string|input|assignment)|unfinished (string|long)",
        r"(expected|missing) [^\n]{0,40}(near|before|after|at end)|['‘][^'’\n]+['’] expected",
        r"(?<!scan\(\) )expected ['‘][^'’\n]+['’]",  # R's scan says it of the input
        r"Unclassifiable statement|Invalid character|Unexpected (data declaration|attribute|identifier)",
    ],
    Theme.INPUT: [
        r"EOFError|End_of_file|End of file|EndOfFile|reading a line|NoSuchElementException|NumberFormatException",
        r"invalid literal for int|could not convert string to float|(not enough|too many) values to unpack",
        r"Bad (integer|real number|logical|value|repeat count) [^\n]*(item|read|input)|int_of_string|float_of_string",
        r"cannot parse|scan(:|\(\)) expected|invalid (base 10 digit|number format)",
        r"extra characters after whitespace in|input string is empty or only contains whitespace",
    ],
    Theme.UNINITIALIZED: [
        r"UnboundLocalError|(may be|is) used uninitialized|undeclared \(first use|undeclared here|use of undeclared",
        r"has no IMPLICIT type|Object '[^']+' not found|undefined variable",
        r"attempt to (index|perform arithmetic on|concatenate|get length of|compare)[^\n]*nil",
    ],
    Theme.TYPES: [
        r"TypeError|type mismatch|mismatched types|incompatible (types?|pointer)|type error|InexactError|MethodError",
        r"This (expression|value|constant|pattern|argument)[^\n]* (has|is)[^\n]*type|non-numeric argument",
        r"makes (integer|pointer) from|can(no|')t convert|number expected, got|expects argument of type",
        r"ClassCast|NAs introduced by",
        r"attempt to (perform arithmetic on|concatenate|compare)[^\n]*(string|table|boolean|function)",
    ],
    Theme.FUNCTIONS: [
        r"attempt to call|bad argument #|could not find function|unused argument|is not a function",
        r"ModuleNotFoundError|ImportError|AttributeError|has no attribute|takes \d+ positional|missing \d+ required",
        r"module '[^']+' not found|no package called|Package \S+ not found|cannot find (module|package|symbol)",
        r"implicit declaration of|undefined reference to|not declared in this scope|undefined (method|function)",
        r"Unbound (module|constructor|record field|type)|no method matching|too (few|many) arguments",
        r"type \w+ has no field|There is no specific (function|subroutine)|No such file or directory",
    ],
    Theme.LOGIC: [
        r"IndexError|KeyError|ZeroDivisionError|Division_by_zero|BoundsError|DivideError|RecursionError|OverflowError",
        r"index out of bounds|subscript out of|out of range|stack overflow|StackOverflow|Invalid_argument",
    ],
}
PATTERNS = {theme: re.compile("|".join(phrases), re.IGNORECASE) for theme, phrases in PHRASES.items()}
# Names that nothing defines: a function that does not exist if the program calls it, else a variable.
UNKNOWN = re.compile(
    r"(?:NameError: name|UndefVarError:|Unbound value|ReferenceError:|[Uu]ndefined name)\s*[`'\"‘]?([\w.!]+)"
)
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")


def themes(failure: Failure) -> frozenset[Theme]:
    """The themes that the rules see in a failed program; empty where nothing speaks for any."""
    found = {theme for theme, pattern in PATTERNS.items() if pattern.search(failure.errors)}
    for name in UNKNOWN.findall(failure.errors):
        called = re.search(rf"(?<![\w.]){re.escape(name)}\s*[(.]", failure.program)
        found.add(Theme.FUNCTIONS if called or "." in name else Theme.UNINITIALIZED)
    match failure.verdict:
        case Status.WRONG_OUTPUT:
            found = {_wrong(failure.stdout, failure.expected)}  # it ran: warnings are not the bug
        case Status.TIMEOUT | Status.OUTPUT_LIMIT | Status.MEMORY_LIMIT:
            found.add(Theme.LOGIC)
        case Status.COMPILE_ERROR if not found:
            found.add(Theme.SYNTAX)  # the word for what a compiler rejects
    if Theme.SYNTAX in found and failure.verdict in (Status.COMPILE_ERROR, Status.RUNTIME_ERROR):
        found -= {Theme.LOGIC, Theme.INPUT}  # a parser's words about tokens, not about the input
    return frozenset(found)


def _wrong(stdout: str, expected: str) -> Theme:
    """Of a wrong output: the theme is the format if it says the same in another form."""
    if stdout == expected:
        return Theme.LOGIC  # they differ beyond what is kept of both
    if _words(stdout) == _words(expected):
        return Theme.OUTPUT
    ours, theirs = _numbers(stdout), _numbers(expected)
    same = len(ours) == len(theirs) > 0 and all(
        abs(a - b) <= 1e-4 * max(1.0, abs(b)) for a, b in zip(ours, theirs, strict=True)
    )
    return Theme.OUTPUT if same else Theme.LOGIC


def _words(text: str) -> str:
    """Letters, digits, signs and points only, in lower case: what is left without the format."""
    return re.sub(r"[^\w.+-]", "", text).lower()


def _numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]
