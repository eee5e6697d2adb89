"""Turns tasks with unit tests into problems for programs that read stdin and write stdout, in any language.

    python reformulate.py dataset=mbpp model=endpoint model.base_url=http://localhost:8000/v1 model.name=Qwen/Qwen3-32B

Per task: ask the model for the problem as one JSON object; check what can be read off it; run the task's own solution
in the jail on the new tests; if anything is wrong, say so to the model and let it try again; keep or drop. The run's
folder holds problems.jsonl, report.json and report.md, rows.jsonl (what became of each task) and chat.jsonl (every
request and every answer). The same command goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import languages
from base import script
from base.errors import Interrupted, RunError
from base.files import write_text
from chat import open_chat
from chat.endpoint import model_name
from chat.reply import Chat, UnansweredError
from problems.problem import write_jsonl
from problems.reformulation import Refused, derived, prompt, proposal, report, source
from problems.reformulation.report import Row, RowFile
from problems.reformulation.source import Task
from run import run_folder
from sandbox import open_pool
from sandbox.executor import Executor
from sandbox.job import Job, Status, Verdict


class Open(Exception):
    """A task that could not be decided, and is not recorded: the next run takes it up again."""


async def reformulate(task: Task, name: str, chat: Chat, pool: Executor, config: DictConfig) -> Row:
    """What becomes of one task. `name` is the id its problem gets. Raises Open, EndpointError."""
    row = Row(task.id, kept=False)
    try:
        calls = source.calls(task)
        if task.solution:
            derived.check_assertions(await verify(derived.assertions_job(task), pool))
    except Refused as refused:
        row.refusals.append({"reason": refused.reason, "detail": str(refused)})
        return row

    messages = [{"role": "system", "content": config.model.system}] if config.model.system else []
    messages.append({"role": "user", "content": prompt.request(task, calls.function)})
    for _ in range(config.attempts):
        try:
            reply = await chat.ask(
                messages,
                temperature=config.rollout.temperature,
                max_tokens=config.rollout.max_new_tokens,
                seed=config.seed,
            )
        except UnansweredError as error:
            raise Open(str(error)) from error
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
        raise Open(verdict.message)
    return verdict


async def reformulate_all(tasks: Sequence[Task], folder: Path, pool: Executor, config: DictConfig) -> dict[str, str]:
    """Every task that is not in rows.jsonl yet. Returns why those that are still open are. Raises EndpointError."""
    rows = RowFile(folder / "rows.jsonl")
    left = iter([task for task in tasks if task.id not in rows.rows])
    undecided: dict[str, str] = {}
    try:
        async with open_chat(config.model, folder / "chat.jsonl", config.rollout, config.seed) as chat:
            with Shown(len(tasks), rows, chat) as shown:

                async def work(left: Iterator[Task]) -> None:
                    for task in left:
                        name = f"{config.dataset.name}/{task.id}"
                        try:
                            rows.add(await reformulate(task, name, chat, pool, config))
                        except Open as error:
                            undecided[task.id] = str(error)
                        shown.update()

                # Twice as many tasks as questions: some are in the jail while others wait for the model.
                at_once = 2 * (config.model.concurrency if "concurrency" in config.model else config.rollout.batch_size)
                async with asyncio.TaskGroup() as group:
                    for _ in range(at_once):
                        group.create_task(work(left))
    except ExceptionGroup as group:  # one task's error has ended the others
        raise group.exceptions[0] from group
    finally:
        done = [rows.rows[task.id] for task in tasks if task.id in rows.rows]
        undecided |= {task.id: "not reached" for task in tasks if task.id not in {*rows.rows, *undecided}}
        write(folder, done, undecided, config)
    return undecided


def write(folder: Path, rows: Sequence[Row], undecided: dict[str, str], config: DictConfig) -> None:
    """problems.jsonl, report.json and report.md, in the order of the tasks."""
    about = {"dataset": config.dataset.name, "model": config.model.name, "attempts": config.attempts}
    summary = report.summary(rows, undecided, about)
    write_jsonl(folder / "problems.jsonl", report.problems(rows))
    write_text(folder / "report.json", json.dumps(summary, indent=2))
    write_text(folder / "report.md", report.markdown(summary))
    Console().print(report.table(summary))


class Shown:
    """Progress: a live line on a terminal, now and then a plain one elsewhere."""

    def __init__(self, total: int, rows: RowFile, chat: Chat) -> None:
        self.rows, self.chat, self.total = rows, chat, total
        self.started = self.said = time.perf_counter()
        self.console = Console()
        columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(24), TextColumn("{task.description}"))
        self.bar = Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console, disable=not sys.stdout.isatty()
        )

    def __enter__(self) -> Shown:
        self.bar.start()
        self.task = self.bar.add_task("", total=self.total)
        self.update()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def update(self) -> None:
        rows = self.rows.rows.values()
        kept = sum(row.kept for row in rows)
        text = f"{kept} kept, {len(rows) - kept} dropped, {self.chat.counts}"
        self.bar.update(self.task, completed=len(rows), description=escape(text))
        now = time.perf_counter()
        if self.bar.disable and (now - self.said > 10 or len(rows) == self.total):
            self.said = now
            self.console.print(
                f"{now - self.started:7.1f} s  {len(rows)}/{self.total}  {text}", markup=False, soft_wrap=True
            )


def open_folder(config: DictConfig) -> Path:
    """The run's folder with its config.yaml. Raises RunError where it holds a run with other settings."""
    name = config.model.name.replace("/", "-")
    config.run_dir = config.run_dir or f"runs/reformulate-{config.dataset.name}-{name}"
    folder = run_folder.find(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / run_folder.CONFIG, OmegaConf.to_yaml(config, resolve=True))
        write_text(folder / "versions.json", json.dumps(run_folder.versions(), indent=2))
    except OSError as error:
        raise RunError(f"cannot write into run_dir {folder} ({error.strerror})") from error
    return folder


async def interruptible(work: asyncio.Task[dict[str, str]]) -> dict[str, str] | None:
    """The task's result, or None when SIGINT or SIGTERM has stopped it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    await asyncio.wait([work])
    return None if work.cancelled() else work.result()


def run(config: DictConfig) -> None:
    model_name(config.model)
    tasks = source.load(config.dataset)[: config.limit]
    folder = open_folder(config)

    async def main() -> dict[str, str] | None:
        with open_pool([languages.load(derived.LANGUAGE)], **config.sandbox) as pool:
            return await interruptible(asyncio.create_task(reformulate_all(tasks, folder, pool, config)))

    undecided = asyncio.run(main())
    if undecided is None:
        raise Interrupted(f"interrupted; what is done is in {folder}, and the same command goes on")
    if undecided:
        raise RunError(f"{len(undecided)} tasks are open, see {folder}/report.md; the same command asks again")
    Console().print(f"{folder}/problems.jsonl is a data set: dataset=jsonl dataset.train=...", markup=False)


if __name__ == "__main__":
    script.main(run, "reformulate", before=languages.register, interrupted="interrupted before the first task")
