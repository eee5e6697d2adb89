"""A chat model's themes of failed programs, and how far two labellers agree; see `python -m study.bugs`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chat import open_chat
from chat.reply import Chat, UnansweredError
from problems.prompt import system_message
from sandbox.answer.markdown import fenced
from study.bugs.settings import BugsSettings
from study.bugs.themes import Failure, Theme

Labels = Sequence[frozenset[Theme] | None]  # of one labeller, by program; None: it gave none

LONGEST = {"program": 6000, "errors": 1500, "input": 600, "expected": 600, "stdout": 600}  # characters
LONGEST_STATEMENT = 4000  # characters

REQUEST = """\
A model wrote the {title} program below for a problem, and it failed: {verdict}. Which bugs does it have?

# Problem
{statement}

# Program
{program}

# What happened
Errors:
{errors}
Input of the first test that failed:
{input}
Expected output:
{expected}
Its output:
{stdout}

# Themes
1. Syntax and typographical errors: it cannot be parsed.
2. Input reading and parsing: it reads or splits the input wrongly.
3. Uninitialized variables: it uses what it never defined.
4. Data types and conversion: wrong casts, values of the wrong type.
5. Function misuse and missing libraries: functions that do not exist or want other arguments, missing imports.
6. Algorithmic logic: it runs, but computes something wrong or takes too long.
7. Output format: right results in the wrong form.

Several themes may apply. Name those that the program shows, and nothing that you only guess. Answer with one JSON \
object and nothing else: {{"themes": [numbers], "why": "one sentence"}}"""

RETRY = 'That is no JSON object like {"themes": [1, 6], "why": "..."} with numbers from 1 to 7. Answer again.'

NUMBERED = dict(enumerate(Theme, 1))


def parse(answer: str) -> frozenset[Theme] | None:
    """The themes in a model's answer: those of its last JSON object that has any; None where none has."""
    for match in reversed(list(re.finditer(r"\{[^{}]*\}", answer))):
        try:
            numbers = json.loads(match[0])["themes"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        whole = isinstance(numbers, list) and all(type(number) is int for number in numbers)
        if whole and numbers and all(number in NUMBERED for number in numbers):
            return frozenset(NUMBERED[number] for number in numbers)
    return None


async def ask(chat: Chat, failure: Failure, title: str, settings: BugsSettings) -> frozenset[Theme] | None:
    """The themes that a model sees; None where it does not say. Raises EndpointError."""
    parts = {key: fenced(getattr(failure, key)[:longest] or "(none)") for key, longest in LONGEST.items()}
    parts["statement"] = failure.statement[:LONGEST_STATEMENT]
    turns = system_message(settings.model.system if settings.model else None)
    turns.append({"role": "user", "content": REQUEST.format(title=title, verdict=failure.verdict, **parts)})
    sampling: dict[str, Any] = {
        "temperature": settings.rollout.temperature,
        "max_tokens": settings.rollout.max_new_tokens,
        "top_p": settings.rollout.top_p,
        "seed": settings.seed,
    }
    for _ in range(settings.attempts):
        try:
            reply = await chat.ask(turns, **sampling)
        except UnansweredError:
            return None
        if (found := parse(reply.answers[0].text)) is not None:
            return found
        turns += [{"role": "assistant", "content": reply.answers[0].text}, {"role": "user", "content": RETRY}]
    return None


async def label(
    failures: Sequence[Failure], titles: Mapping[str, str], folder: Path, settings: BugsSettings
) -> list[frozenset[Theme] | None]:
    """A model's themes of each failure; `titles` are the languages' names. Equal programs are asked about once."""
    assert settings.model is not None
    async with open_chat(settings.model, folder / "chat.jsonl", settings.rollout, settings.seed) as chat:
        questions = (ask(chat, failure, titles[failure.language], settings) for failure in failures)
        return list(await asyncio.gather(*questions))


def kappa(a: Iterable[bool], b: Iterable[bool]) -> float | None:
    """Cohen's kappa of two raters' yes or no; None where chance alone would have them always agree."""
    pairs = list(zip(a, b, strict=True))
    if not pairs:
        return None
    observed = sum(x == y for x, y in pairs) / len(pairs)
    yes_a, yes_b = sum(x for x, _ in pairs) / len(pairs), sum(y for _, y in pairs) / len(pairs)
    chance = yes_a * yes_b + (1 - yes_a) * (1 - yes_b)
    return None if chance == 1 else (observed - chance) / (1 - chance)


def summary(rules: Labels, model: Labels | None) -> dict[str, Any]:
    """Counts by theme of both labellers and, over the programs that both labelled, how far they agree."""
    both = [(r, m) for r, m in zip(rules, model, strict=True) if r and m] if model is not None else []
    found: dict[str, Any] = {"themes": {}}
    for theme in Theme:
        row: dict[str, Any] = {"rules": sum(theme in (labels or ()) for labels in rules)}
        if model is not None:
            row["model"] = sum(theme in (labels or ()) for labels in model)
            row["both"] = sum(theme in r and theme in m for r, m in both)
            row["kappa"] = kappa((theme in r for r, _ in both), (theme in m for _, m in both))
        found["themes"][theme.value] = row
    found["unlabelled"] = {"rules": sum(not labels for labels in rules)}
    if model is not None:
        found["unlabelled"]["model"] = sum(not labels for labels in model)
        found["compared"] = len(both)
        found["jaccard"] = sum(len(r & m) / len(r | m) for r, m in both) / len(both) if both else None
    return found
