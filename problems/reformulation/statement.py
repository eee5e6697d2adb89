"""Words of Python in a statement that is meant for every language.

Many of Python's words are English: a list of numbers, a set of cards, a dictionary of words, a function of x. Those
count only in a form that is plainly code's. A word that the tests themselves read or print is a word of the format
("print True or False"), not of Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# No English in these.
TYPES = "tuples?|dicts?|strs?|ints?|bools?|frozensets?|namedtuples?|defaultdicts?|OrderedDict|ndarrays?|NoneType"
BUILTINS = "print|input|len|range|sorted|str|int|float|list|set|bytes|complex|sum|min|max|abs|ord|chr|round"
FORMS = {
    "type": re.compile(rf"\b(?:{TYPES})\b"),
    "literal": re.compile(r"\b(?:True|False)\b|\bNone\b(?! (?:of|is|are|was|were|can|exists?)\b)"),
    "subscript": re.compile(r"\b(?:[Ll]ist|[Ss]et|[Dd]ict|[Tt]uple|Optional|Union|Iterable|Sequence|Any)\["),
    "call": re.compile(rf"\b(?:{BUILTINS})\((?!e?s\))"),  # not set(s) and the like
    "code font": re.compile(rf"`(?:{BUILTINS}|dictionary|object|string|def|return|import|lambda)(?:\(\))?`"),
    "definition": re.compile(r"\bdef \w+\(|\blambda \w+:|\bsys\.std\w+|\bimport \w+`"),
    "language": re.compile(
        r"\bPython\b|\b[Pp]ythonic\b|\bpython (?:code|function|program|script|syntax)\b|\bin python\b"
    ),
    "object type": re.compile(r"\b(?:list|set|string|float|dictionary) (?:objects?|types?|literals?)\b", re.IGNORECASE),
    "number type": re.compile(r"\b(?:a|an|one|two|as|of|positive|negative|single) floats?\b", re.IGNORECASE),
    "function": re.compile(
        r"\b(?:write|implement|create|define|complete|develop) (?:a|an|the|your) (?:[\w-]+ ){0,3}?(?:function|method)\b"
        r"|\b(?:this|the|your|given) (?:function|method) (?:should|must|will|takes|returns|accepts|receives|is given)\b"
        r"|\bfunction (?:arguments?|parameters?|call)\b|\bassert(?:ion)?s?\b",
        re.IGNORECASE,
    ),
}
DICTIONARY = re.compile(r"\bdictionar(?:y|ies)\b", re.IGNORECASE)
KEYS = re.compile(r"\bkeys?\b", re.IGNORECASE)
# `max(a, b)` and `sum(x)` are mathematics too.
MATHEMATICS = {"sum(", "min(", "max(", "abs(", "round("}


def python_terms(text: str, function: str, data: Iterable[str]) -> list[str]:
    """What is Python's in `text`, in its order of appearance, without repetition; [] is what a statement should have.

    `function` is the name of the function that the task was about; `data` the inputs and outputs of the tests, whose
    words are nobody's.
    """
    words = {word.strip(".,;:!?\"'`()[]") for piece in data for word in piece.split()}
    found: dict[str, int] = {}
    for form in FORMS.values():
        for match in form.finditer(text):
            term = match[0].strip()
            if term not in MATHEMATICS and term.strip("`‘’'\"()") not in words:
                found.setdefault(term, match.start())
    if (named := DICTIONARY.search(text)) and KEYS.search(text):  # of keys and values, then, not of words
        found.setdefault(named[0], named.start())
    for match in _named(function).finditer(text):
        if match[0] not in words:
            found.setdefault(match[0], match.start())
    return sorted(found, key=lambda term: found[term])


def _named(function: str) -> re.Pattern[str]:
    """Where a function is spoken of: anywhere if its name is no English word, else only as code."""
    name = re.escape(function)
    if re.search(r"[_\d]|[a-z][A-Z]", function):
        return re.compile(rf"(?<!\w){name}(?!\w)")
    return re.compile(rf"`{name}(?:\(.*?\))?`|\bfunction {name}\b|(?<!\w){name}\(\w*\)")
