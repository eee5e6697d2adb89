"""The answers that a supervised method learns from, each verified: drawn from the model itself, asked of a teacher
behind an endpoint, or read from a file.

All three end in `teacher/samples.parquet` of the run folder, the very file that evaluate.py writes, and so a folder of
evaluate.py is itself such a file. What is read is verified anew, in this run's language on this run's problems. A run
that is stopped here goes on with what it has, as an evaluation does.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from base import jsonl, script
from base.errors import ConfigError, DataError, Interrupted, RunError
from base.seeds import derive_seed
from base.settings import Count, Settings
from chat.settings import EndpointSettings
from languages import Language
from policy.model import Policy
from policy.samplers.sampler import Sampling
from problems.problem import Problem
from problems.task import Stdio
from rollout.draw import Answer, AnswerSource, EndpointModel
from rollout.evaluation import collect as collect_answers
from rollout.evaluation import new_row
from rollout.pass_at_k import Row
from rollout.rollout import RolloutWorker
from rollout.samples import Samples, clean


class TeacherSettings(Settings):
    """The key `teacher` of a training config."""

    model: dict[str, Any] | None  # distillation: an endpoint (conf/model/endpoint.yaml) that is asked for programs
    # Or answers that are there: a folder of evaluate.py, a .parquet or .jsonl file; one for each of several languages.
    answers: str | dict[str, str] | None
    n: Count  # answers drawn per problem
    accept: Literal["passed", "answered"]  # learn from what passes every test, or from any program
    batch: Count  # answers per optimizer step
    epochs: Count

    def check(self, method: str) -> None:
        """Raises ConfigError where this says too little for `method`."""
        if self.answers == {}:
            raise ConfigError("teacher.answers is {}: it names a file for each language, {python: FOLDER, ...}")
        if self.answers is not None or method == "rejection_sampling":
            return
        if self.model is None or "base_url" not in self.model:
            raise ConfigError(
                "method=distillation needs a teacher: teacher.answers=FOLDER of evaluate.py (of any model, with "
                "split=train), or an endpoint, as experiment=distillation has it"
            )
        for key in ("base_url", "name"):
            if self.model[key] == "???":
                raise ConfigError(
                    f"teacher.model.{key} is not given; experiment=distillation needs teacher.model.base_url="
                    "http://localhost:8000/v1 and teacher.model.name=..., or teacher.answers=FOLDER"
                )


def collect(
    settings: TeacherSettings,
    method: str,
    folder: Path,
    worker: RolloutWorker,
    sampling: Sampling,
    problems: Sequence[Problem],
    language: Language,
    seed: int,
    part: str = "",
) -> list[Row]:
    """The verified answers to `problems`, in order, on every rank; `folder` is that of the run, `part` a folder within
    its answers, where there are several.

    Each rank asks and verifies its share of the problems. Raises DataError, and Interrupted.
    """
    ranks = worker.ranks
    task = worker.task([problems[number] for number in ranks.share(len(problems))], language)
    whole = folder / "teacher" / part
    own = whole if ranks.world == 1 else whole / f"rank_{ranks.rank}"
    own.mkdir(parents=True, exist_ok=True)
    samples = _samples(own, problems)
    n = settings.n
    source: AnswerSource | None = None
    answers = settings.answers[language.name] if isinstance(settings.answers, dict) else settings.answers
    if answers is not None:
        n = 0
        for row in from_file(Path(answers).expanduser(), task, problems, worker.model.policy):
            if (row["problem"], row["sample"]) not in samples.rows:
                samples.add(row)
    elif method == "rejection_sampling":
        source = worker.model
    else:
        model = EndpointSettings.read(settings.model, "teacher.model")
        source = EndpointModel(model, own)
        sampling = Sampling(model.temperature, model.max_new_tokens)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: with everything kept
    try:
        collect_answers(task, source, worker.pool, samples, n, sampling, derive_seed(seed, "teacher", ranks.rank))
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"interrupted: {len(samples.rows)} answers are kept in {own}; the same command with "
            f"{script.word('run_dir', str(folder))} resume=auto goes on"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, before)
    if source is not None and source.trouble:
        print(f"{len(task.problems) * n - len(samples.rows)} answers of the teacher are missing: {source.trouble}")
    rows = ranks.all_gather(in_order(samples, task.problems))
    if ranks.world > 1 and ranks.first:
        gathered = Samples(whole)
        for row in rows:
            gathered.add(row)
        gathered.finish()
    return rows


def kept(folder: Path, problems: Sequence[Problem], part: str = "") -> list[Row]:
    """The answers of a run whose training has begun, as they are."""
    return in_order(_samples(folder / "teacher" / part, problems), problems)


def _samples(folder: Path, problems: Sequence[Problem]) -> Samples:
    samples = Samples(folder)
    if strange := sorted({key[0] for key in samples.rows} - {problem.id for problem in problems}):
        raise RunError(
            f"{folder} has answers to {strange[0]!r}, which is no longer in dataset.train; name another run_dir"
        )
    return samples


def in_order(samples: Samples, problems: Sequence[Problem]) -> list[Row]:
    """Rows by problem, in the problems' order, then by sample."""
    place = {problem.id: number for number, problem in enumerate(problems)}
    return [samples.rows[key] for key in sorted(samples.rows, key=lambda key: (place[key[0]], key[1]))]


def from_file(path: Path, task: Stdio, problems: Sequence[Problem], policy: Policy) -> Iterable[Row]:
    """Rows without verdicts, of the task's problems, from a folder of evaluate.py, a parquet or a JSONL file.

    A file's rows have the keys `problem` (an id) and `completion`, and may have `completion_tokens` and `finished`.
    Answers to problems that are not in `problems` are left out, unless that leaves nothing. Raises DataError.
    """
    known, own = {problem.id for problem in problems}, {problem.id: problem for problem in task.problems}
    numbers: dict[str, int] = {}
    strange = ""
    for number, row in enumerate(_read(path), start=1):
        problem, text = row.get("problem"), row.get("completion")
        if not isinstance(problem, str) or not isinstance(text, str):
            raise DataError(f"teacher.answers={path}, row {number}: the keys problem and completion must be strings")
        text = clean(text)
        if problem not in known:
            strange = problem
            continue
        sample = numbers[problem] = numbers.get(problem, -1) + 1
        if problem in own:
            tokens = row.get("completion_tokens")
            tokens = tokens if isinstance(tokens, int) and tokens else len(policy.encode(text))
            answer = Answer(text, tokens, row.get("finished") is not False)
            prompt = task.prompt(own[problem])
            yield new_row(own[problem], sample, prompt, answer, task.program(own[problem], text))
    if not numbers:
        why = f"only to others, such as {strange!r}; was it made with split=train?" if strange else "it is empty"
        raise DataError(f"teacher.answers={path} has no answer to a problem of dataset.train: {why}")


def _read(path: Path) -> list[dict[str, Any]]:
    if path.is_dir():
        samples = Samples(path)
        return [samples.rows[key] for key in sorted(samples.rows)]
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path).to_pylist()
        rows = [row for _, row in jsonl.read(path)]
    except DataError as error:
        raise DataError(f"teacher.answers: {error}; it is a folder, .parquet or .jsonl") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"teacher.answers: cannot read {path} ({reason}); it is a folder, .parquet or .jsonl"
        ) from error
    return [row if isinstance(row, dict) else {} for row in rows]
