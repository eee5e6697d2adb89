"""Turns tasks with unit tests into problems for programs that read stdin and write stdout, in any language.

    python reformulate.py dataset=mbpp model=endpoint model.base_url=http://localhost:8000/v1 model.name=Qwen/Qwen3-32B

Per task: ask the model for the problem as one JSON object; check what can be read off it; run the task's own solution
in the jail on the new tests; if anything is wrong, say so to the model and let it try again; keep or drop. The run's
folder holds problems.jsonl, report.json and report.md, rows.jsonl (what became of each task) and chat.jsonl (every
request and every answer). The same command goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

import languages
from base import script
from base.errors import Interrupted, RunError
from base.files import write_text
from base.lock import locked
from base.progress import Progress
from base.settings import Count, ScriptSettings
from chat import open_chat
from chat.reply import Chat, UnansweredError
from chat.settings import AnyModel, EndpointSettings
from policy.settings import RolloutSettings
from problems.load import Dataset
from problems.problem import write_jsonl
from problems.prompt import system_message
from problems.reformulation import Refused, derived, prompt, proposal, report, source
from problems.reformulation.report import Row, RowFile
from problems.reformulation.source import Task
from run import run_folder
from sandbox import open_pool
from sandbox.executor import Executor
from sandbox.job import Job, Status, Verdict
from sandbox.settings import SandboxSettings


class Reformulation(ScriptSettings):
    """conf/reformulate.yaml has the defaults and says what each key means."""

    model: AnyModel
    dataset: Dataset
    rollout: RolloutSettings
    sandbox: SandboxSettings
    limit: Count | None
    attempts: Count
    seed: int
    run_dir: str | None
    resume: Literal["auto"] | None


class Undecided(Exception):
    """A task that could not be decided, and is not recorded: the next run takes it up again."""


async def reformulate(task: Task, name: str, chat: Chat, pool: Executor, settings: Reformulation) -> Row:
    """What becomes of one task. `name` is the id its problem gets. Raises Undecided, EndpointError."""
    row = Row(task.id, kept=False)
    try:
        calls = source.calls(task)
        if task.solution:
            derived.check_assertions(await verify(derived.assertions_job(task), pool))
    except Refused as refused:
        row.refusals.append({"reason": refused.reason, "detail": str(refused)})
        return row

    messages = system_message(settings.model.system)
    messages.append({"role": "user", "content": prompt.request(task, calls.function)})
    for _ in range(settings.attempts):
        try:
            reply = await chat.ask(
                messages,
                temperature=settings.rollout.temperature,
                max_tokens=settings.rollout.max_new_tokens,
                top_p=settings.rollout.top_p,
                seed=settings.seed,
            )
        except UnansweredError as error:
            if error.refused and row.refusals:  # the talk has outgrown the model: it would each time
                return row
            raise Undecided(str(error)) from error
        row.prompt_tokens += reply.prompt_tokens
        row.completion_tokens += reply.completion_tokens
        answer = reply.answers[0]
        try:
            found = proposal.parse(answer.text, answer.finish_reason != "length", bool(task.solution))
            proposal.check(found, task, calls)
            if task.solution:
                derived.check_derived(await verify(derived.derived_job(task, found, calls), pool), found)
                row.ran = True
        except Refused as refused:
            row.refusals.append({"reason": refused.reason, "detail": str(refused)})
            messages.append({"role": "assistant", "content": answer.text})
            messages.append({"role": "user", "content": prompt.retry(refused)})
        else:
            row.kept, row.problem = True, found.to_problem(name).to_row()
            return row
    return row


async def verify(job: Job, pool: Executor) -> Verdict:
    verdict = await asyncio.wrap_future(pool.submit(job))
    if verdict.status is Status.INFRASTRUCTURE_ERROR:
        raise Undecided(verdict.message)
    return verdict


async def reformulate_all(
    tasks: Sequence[Task], folder: Path, pool: Executor, settings: Reformulation
) -> dict[str, str]:
    """Every task that is not in rows.jsonl yet. Returns why those that are still open are. Raises EndpointError."""
    rows = RowFile(folder / "rows.jsonl")
    left = iter([task for task in tasks if task.id not in rows.rows])
    undecided: dict[str, str] = {}
    try:
        async with open_chat(settings.model, folder / "chat.jsonl", settings.rollout, settings.seed) as chat:
            with Progress("tasks", len(tasks), file=sys.stdout) as progress:

                def shown() -> None:
                    kept = sum(row.kept for row in rows.rows.values())
                    progress.show(len(rows.rows), f"{kept} kept, {len(rows.rows) - kept} dropped, {chat.counts}")

                async def work(left: Iterator[Task]) -> None:
                    for task in left:
                        name = f"{settings.dataset.name}/{task.id}"
                        try:
                            rows.add(await reformulate(task, name, chat, pool, settings))
                        except Undecided as error:
                            undecided[task.id] = str(error)
                        shown()

                shown()
                # Twice as many tasks as questions: some are in the jail while others wait for the model.
                model = settings.model
                asked = model.concurrency if isinstance(model, EndpointSettings) else settings.rollout.batch_size
                async with asyncio.TaskGroup() as group:
                    for _ in range(2 * asked):
                        group.create_task(work(left))
    except ExceptionGroup as group:  # one task's error has ended the others
        raise group.exceptions[0] from group
    finally:
        done = [rows.rows[task.id] for task in tasks if task.id in rows.rows]
        undecided |= {task.id: "not reached" for task in tasks if task.id not in {*rows.rows, *undecided}}
        write(folder, done, undecided, settings)
    return undecided


def write(folder: Path, rows: Sequence[Row], undecided: dict[str, str], settings: Reformulation) -> None:
    """problems.jsonl, report.json and report.md, in the order of the tasks."""
    about = {"dataset": settings.dataset.name, "model": settings.model.name, "attempts": settings.attempts}
    summary = report.summary(rows, undecided, about)
    write_jsonl(folder / "problems.jsonl", report.problems(rows))
    write_text(folder / "report.json", json.dumps(summary, indent=2))
    write_text(folder / "report.md", report.markdown(summary))
    Console().print(report.table(summary))


def open_folder(config: DictConfig, settings: Reformulation) -> Path:
    """The run's folder. Raises RunError where it holds a run with other settings."""
    name = settings.model.name.replace("/", "-")
    config.run_dir = config.run_dir or f"runs/reformulate-{settings.dataset.name}-{name}"
    return run_folder.find(config)


def begin(folder: Path, config: DictConfig) -> None:
    """Notes what the run is done with."""
    try:
        write_text(folder / run_folder.CONFIG, OmegaConf.to_yaml(config, resolve=True))
        write_text(folder / "versions.json", json.dumps(run_folder.versions(), indent=2))
    except OSError as error:
        raise RunError(f"cannot write into run_dir {folder} ({error.strerror})") from error


async def interruptible(work: asyncio.Task[dict[str, str]]) -> dict[str, str] | None:
    """The task's result, or None when SIGINT or SIGTERM has stopped it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    await asyncio.wait([work])
    return None if work.cancelled() else work.result()


def run(config: DictConfig) -> None:
    settings = Reformulation.read(config)
    tasks = source.load(settings.dataset)
    digest = hashlib.sha256(repr(tasks).encode()).hexdigest()[:16]
    tasks = tasks[: settings.limit]
    folder = open_folder(config, settings)

    async def main() -> dict[str, str] | None:
        with open_pool([languages.load(derived.LANGUAGE)], **settings.sandbox.options()) as pool:
            return await interruptible(asyncio.create_task(reformulate_all(tasks, folder, pool, settings)))

    with locked(folder):
        run_folder.same_data(folder, {"split": digest})
        begin(folder, config)
        undecided = asyncio.run(main())
    if undecided is None:
        raise Interrupted(f"interrupted; what is done is in {folder}, and the same command goes on")
    if undecided:
        raise RunError(f"{len(undecided)} tasks are open, see {folder}/report.md; the same command asks again")
    Console().print(f"{folder}/problems.jsonl is a data set: dataset=jsonl dataset.train=...", markup=False)


if __name__ == "__main__":
    script.main(run, "reformulate", before=languages.register, interrupted="interrupted before the first task")
