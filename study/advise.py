"""A better prompt for a language that a model hardly knows (paper section 3.2), kept only if it helps.

    python -m study.advise language=fortran model=qwen3_4b advisor.base_url=http://localhost:8000/v1 advisor.name=big

The model writes programs for one half of the problems. Those that do not compile, or fail while they run, go with their
errors to a stronger model, which answers with 10 to 20 sentences of advice. pass@1 on the other half, with and without
the advice in the prompt, says whether it helps; only then is a language file written, to use with AGNOSTICS_LANGUAGES.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

import languages
from base import script
from base.errors import RunError
from base.files import write_text
from base.lock import locked
from base.settings import Count, ScriptSettings, Share
from base.text import visible
from chat import open_chat
from chat.reply import Chat, UnansweredError
from chat.settings import AnyModel
from languages import Language
from policy.settings import RolloutSettings
from problems import load
from problems.problem import Problem
from problems.prompt import messages
from rollout.pass_at_k import resampled_means
from sandbox import answer, open_pool
from sandbox.answer.markdown import after_thinking, fenced
from sandbox.executor import Executor
from sandbox.job import Job, Status, Verdict
from sandbox.settings import SandboxSettings

MISTAKES = (Status.COMPILE_ERROR, Status.RUNTIME_ERROR)  # in the language; a wrong output may be one of thought
LONGEST_PROGRAM, LONGEST_ERROR = 3000, 800  # characters, as the advisor sees them
FEWEST, MOST = 10, 20  # sentences

REQUEST = """\
Here are {count} {title} programs that another model wrote, each with what {title} said about it. All are faulty.

{programs}

Find the misconceptions about {title} behind these errors: syntax, types, input and output, the standard library. \
Leave aside what is wrong with an algorithm. Then write advice to a programmer who makes such mistakes: how to write \
{title} that compiles and runs. Answer with {fewest} to {most} plain sentences and nothing else: no heading, no list \
marks, no code block, no mention of these programs."""

RETRY = "That has {count} sentences{fence}. Answer again with {fewest} to {most} plain sentences and no code block."


class AdviseSettings(ScriptSettings):
    """conf/advise.yaml has the defaults and says what each key means."""

    model: AnyModel
    advisor: AnyModel
    language: dict[str, Any]
    dataset: load.Dataset
    rollout: RolloutSettings
    sandbox: SandboxSettings
    problems: Count
    samples: Count
    faulty: Count
    attempts: Count
    advisor_prompt_tokens: Count
    advice_tokens: Count
    confidence: Share
    seed: int
    run_dir: str | None


@dataclass(frozen=True)
class Attempt:
    """One program of the model, judged."""

    problem: Problem
    program: str | None
    verdict: Verdict


async def attempts(
    chat: Chat, pool: Executor, problems: Sequence[Problem], language: Language, settings: AdviseSettings
) -> list[list[Attempt]]:
    """`settings.samples` programs of each problem, those of one problem together. Raises RunError, EndpointError."""

    async def one(problem: Problem) -> list[Attempt]:
        try:
            reply = await chat.ask(
                messages(problem, language, settings.model.system),
                temperature=settings.rollout.temperature,
                max_tokens=settings.rollout.max_new_tokens,
                top_p=settings.rollout.top_p,
                n=settings.samples,
                seed=settings.seed,
            )
        except UnansweredError as error:
            raise RunError(f"problem {problem.id!r} got no answer ({error}); the same command asks again") from error
        programs = [answer.extract(sample.text, language) for sample in reply.answers]
        jobs = [Job(problem.id, language.name, program, problem.tests, problem.compare) for program in programs]
        verdicts = await asyncio.gather(*(asyncio.wrap_future(pool.submit(job)) for job in jobs))
        return [Attempt(problem, program, verdict) for program, verdict in zip(programs, verdicts, strict=True)]

    return await asyncio.gather(*map(one, problems))


def faulty(found: Sequence[Attempt], most: int) -> list[tuple[str, str]]:
    """At most `most` (program, error) pairs, of as many different errors as there are, short programs first."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for attempt in found:
        if attempt.program is None or attempt.verdict.status not in MISTAKES:
            continue
        result = (
            attempt.verdict.compile if attempt.verdict.status is Status.COMPILE_ERROR else attempt.verdict.tests[-1]
        )
        error = (result.stderr or result.stdout).strip() if result else ""
        error = re.sub(r"\b0x[0-9a-fA-F]+", "0x...", error)  # addresses differ from run to run
        kind = re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "#", error)[:200]  # the same mistake, wherever and with whatever name
        pair = attempt.program.strip()[:LONGEST_PROGRAM], error[:LONGEST_ERROR]
        if pair not in kinds.setdefault(kind, []):
            kinds[kind].append(pair)
    for pairs in kinds.values():
        pairs.sort(key=lambda pair: (len(pair[0]), pair))
    longest = max(map(len, kinds.values()), default=0)
    turns = [pairs[turn] for turn in range(longest) for pairs in kinds.values() if turn < len(pairs)]
    return turns[:most]


async def advice(advisor: Chat, pairs: Sequence[tuple[str, str]], language: Language, settings: AdviseSettings) -> str:
    """10 to 20 sentences. Raises RunError where the advisor gives no such thing, EndpointError."""
    shown = "\n\n".join(
        f"Program {number}:\n{fenced(program)}\nWhat {language.title} said:\n{fenced(error)}"
        for number, (program, error) in enumerate(pairs, start=1)
    )
    text = REQUEST.format(count=len(pairs), title=language.title, programs=shown, fewest=FEWEST, most=MOST)
    chat = [{"role": "user", "content": text}]
    for _ in range(settings.attempts):
        try:
            reply = await advisor.ask(
                chat, temperature=settings.advisor.temperature, max_tokens=settings.advice_tokens, seed=settings.seed
            )
        except UnansweredError as error:
            raise RunError(f"advisor: no advice ({error}); the same command asks again") from error
        given = (after_thinking(reply.answers[0].text) or "").strip()
        count, fence = sentences(given), ", and a code block" if "```" in given else ""
        if reply.answers[0].finished and FEWEST <= count <= MOST and not fence:
            return given
        chat.append({"role": "assistant", "content": reply.answers[0].text})
        chat.append({"role": "user", "content": RETRY.format(count=count, fence=fence, fewest=FEWEST, most=MOST)})
    raise RunError(f"advisor: {settings.attempts} answers, none of {FEWEST} to {MOST} sentences; a larger model may do")


def sentences(text: str) -> int:
    """How many sentences a text has: ends that white space or the text's end follows."""
    return len(re.findall(r"[.!?][)\"'’”`]*(?=\s|$)", text))


def shares(found: Sequence[Sequence[Attempt]]) -> list[float | None]:
    """The share of each problem's programs that passed; infrastructure errors are left out, and None where there is no
    other verdict."""
    known = [
        [a.verdict.passed for a in group if a.verdict.status is not Status.INFRASTRUCTURE_ERROR] for group in found
    ]
    return [sum(group) / len(group) if group else None for group in known]


def confidence(before: Sequence[float], after: Sequence[float], seed: int) -> float:
    """How often the mean rises when the problems are drawn anew (paired bootstrap)."""
    gains = np.array(after) - np.array(before)  # [problems]
    return float((resampled_means(gains, seed) > 0).mean())


def with_advice(language: Language, text: str) -> Language:
    return replace(language, name=f"{language.name}_advised", prompt=f"{language.prompt}\n\n{text}")


def write_language(language: Language, advised: Language, folder: Path) -> Path:
    """The file of `language` with the prompt of `advised`; all else stays as it is."""
    row: dict[str, Any] = yaml.safe_load(Path(language.where).read_text(encoding="utf-8"))
    row |= {"title": language.title, "fence": list(language.fence), "prompt": advised.prompt + "\n"}
    path = folder / f"{advised.name}.yaml"
    languages.parse(advised.name, row, str(path))
    write_text(path, yaml.safe_dump(row, sort_keys=False, allow_unicode=True, width=120))
    return path


async def advise(settings: AdviseSettings, folder: Path) -> dict[str, Any]:
    """The whole story; returns what report.json holds. Raises RunError, EndpointError."""
    language = languages.from_config(settings.language)
    chosen = list(load.load(settings.dataset, "train"))
    random.Random(settings.seed).shuffle(chosen)
    chosen = chosen[: settings.problems]
    half = len(chosen) // 2
    if half < 1:
        raise RunError("problems: two at least are needed, one to learn from and one to measure with")
    report: dict[str, Any] = {"language": language.name, "model": settings.model.name, "advisor": settings.advisor.name}
    with open_pool(load.pool_languages(chosen, language), **settings.sandbox.options()) as pool:
        # One after the other: each may be an engine that takes most of a GPU.
        async with open_chat(settings.model, folder / "model.jsonl", settings.rollout, settings.seed) as model:
            tried = await attempts(model, pool, chosen[:half], language, settings)
            pairs = faulty([attempt for group in tried for attempt in group], settings.faulty)
            report |= {"programs": half * settings.samples, "faulty": len(pairs)}
            if not pairs:
                return report | {"file": None, "why": "no program failed to compile or to run: there is nothing to say"}
            before = shares(await attempts(model, pool, chosen[half:], language, settings))
        lengths = {"max_prompt_tokens": settings.advisor_prompt_tokens, "max_new_tokens": settings.advice_tokens}
        rollout = settings.rollout.model_copy(update=lengths)
        async with open_chat(settings.advisor, folder / "advisor.jsonl", rollout, settings.seed, "advisor") as advisor:
            text = await advice(advisor, pairs, language, settings)
        advised = with_advice(language, text)
        async with open_chat(settings.model, folder / "model.jsonl", settings.rollout, settings.seed) as model:
            # The jail knows the language by its own name; only the prompt differs.
            after = shares(
                await attempts(model, pool, chosen[half:], replace(language, prompt=advised.prompt), settings)
            )
    judged = [(one, other) for one, other in zip(before, after, strict=True) if one is not None and other is not None]
    if not judged:
        raise RunError("no problem has a verdict both without and with the advice: the sandbox failed, see sandbox.*")
    without, given = ([pair[side] for pair in judged] for side in (0, 1))
    sure = confidence(without, given, settings.seed)
    helps = sure >= settings.confidence
    return report | {
        "advice": text,
        "measured_on": len(judged),
        "pass@1_without": sum(without) / len(judged),
        "pass@1_with": sum(given) / len(judged),
        "confidence": sure,
        "file": str(write_language(language, advised, folder)) if helps else None,
        "why": "it helps" if helps else f"pass@1 rises in {sure:.0%} of the draws, not in {settings.confidence:.0%}",
    }


def run(config: DictConfig) -> dict[str, Any]:
    settings = AdviseSettings.read(config)
    model = settings.model.name.replace("/", "-")
    folder = Path(settings.run_dir or f"runs/advise-{settings.language['name']}-{model}").expanduser()
    with locked(folder):
        report = asyncio.run(advise(settings, folder))
        write_text(folder / "report.json", json.dumps(report, indent=2))
    table = Table("", "", title=Text(f"advice on {report['language']} for {report['model']}"), show_header=False)
    for key, value in report.items():
        table.add_row(key, Text(f"{value:.4f}" if isinstance(value, float) else visible(str(value))))
    console = Console()
    console.print(table)
    if report["file"]:
        console.print(Text(f"AGNOSTICS_LANGUAGES={folder} python train.py language={report['language']}_advised"))
    return report


def register() -> None:
    """`advisor=` takes what `model=` takes; and the languages."""
    for path in (script.CONF / "model").glob("*.yaml"):
        ConfigStore.instance().store(group="advisor", name=path.stem, node=OmegaConf.load(path))
    languages.register()


if __name__ == "__main__":
    script.main(
        run,
        "advise",
        before=register,
        interrupted="interrupted; every answer is kept, and the same command goes on",
    )
