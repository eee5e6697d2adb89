"""What a run writes as it goes: metrics.jsonl, rollouts as parquet, and wandb and TensorBoard on top."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from base import checks
from base.files import replacing, write_text
from rollout.rollout import Rollout
from rollout.samples import first_failure
from run.run_folder import WANDB_ID
from sandbox.job import Status


class Journal:
    """The run folder. `metrics.jsonl` has one object per step; a held-out evaluation's keys begin with `heldout/`."""

    def __init__(self, folder: Path, config: DictConfig, writes: bool = True) -> None:
        """`writes`: False on all ranks but the first."""
        self.folder = folder
        self.writes = writes
        self.metrics = folder / "metrics.jsonl"
        (folder / "rollouts").mkdir(exist_ok=True)
        self.wandb = _wandb(config, folder) if writes else None
        self.tensorboard = config.tensorboard and writes
        self.events: Any = None
        self._last: float | None = None  # the step of the last row

    def rewind(self, step: int) -> None:
        """Forgets what was written after `step`: a resumed run writes it again."""
        if not self.writes:
            return
        if self.metrics.exists():
            rows = [line for line in self.metrics.read_text().splitlines() if _step(line) <= step]
            write_text(self.metrics, "".join(line + "\n" for line in rows))
            self._last = _step(rows[-1]) if rows else None
        for path in (self.folder / "rollouts").glob("*step_*.parquet"):
            if int(path.stem.rpartition("_")[2]) > step:
                path.unlink()

    def log(self, row: dict[str, Any]) -> None:
        """Appends one object to metrics.jsonl (and to wandb, TensorBoard). `row` has the key `step`; what is said of
        the last step again is added to its object."""
        if not self.writes:
            return
        line = json.dumps(finite(row), allow_nan=False) + "\n"
        if row["step"] == self._last:
            *before, last = self.metrics.read_text().splitlines(keepends=True)
            write_text(self.metrics, "".join(before) + json.dumps(json.loads(last) | json.loads(line)) + "\n")
        else:
            with open(self.metrics, "a", encoding="utf-8") as out:
                out.write(line)
        self._last = row["step"]
        if self.wandb is not None:
            self.wandb.log(row)  # without wandb's own step, which refuses steps that a resumed run does again
        if self.tensorboard:
            self._add_events(row)

    def _add_events(self, row: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only some runs want it

        if self.events is None:  # what an earlier session logged from this step on is done again
            self.events = SummaryWriter(str(self.folder / "tensorboard"), purge_step=row["step"])
        for key, value in row.items():
            if isinstance(value, int | float):
                self.events.add_scalar(key, value, row["step"])
        self.events.flush()

    def rows(self) -> list[dict[str, Any]]:
        """Every object of metrics.jsonl, in order."""
        return [json.loads(line) for line in self.metrics.read_text().splitlines()] if self.metrics.exists() else []

    def last(self, key: str) -> Any:
        """The newest value of a metric, or None when it was never logged."""
        return next((row[key] for row in reversed(self.rows()) if row.get(key) is not None), None)

    def rollouts(self, name: str, rollouts: Sequence[Rollout]) -> None:
        """Writes `rollouts/<name>.parquet`, one row a rollout."""
        if self.writes:
            write_rollouts(self.folder / "rollouts" / f"{name}.parquet", rollouts)

    def close(self) -> None:
        if self.wandb is not None:
            import wandb

            self.wandb.finish()
            wandb.teardown()  # ends its service process, and so waits until all is in the file
        if self.events is not None:
            self.events.close()


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN and no infinity: such values are null."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


# Types are stated: a column in which a step has no value would have none, and a folder could not be read as one table.
# A key of the rows below that is not here is not written.
ROLLOUTS = pa.schema(
    {
        "problem": pa.string(),
        "language": pa.string(),
        "prompt": pa.string(),
        "prompt_sha256": pa.string(),
        "completion": pa.string(),
        "program": pa.string(),
        "verdict": pa.string(),
        "message": pa.string(),
        "tests_passed": pa.int64(),
        "tests": pa.int64(),
        "examples_passed": pa.int64(),
        "examples": pa.int64(),
        "reward": pa.float64(),
        "advantage": pa.float64(),
        "sampler_gap": pa.float64(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "finished": pa.bool_(),
        "failed_test": pa.int64(),
        "failed_input": pa.string(),
        "expected": pa.string(),
        "got": pa.string(),
        "error": pa.string(),
    }
)


def write_rollouts(path: Path, rollouts: Sequence[Rollout]) -> None:
    """Rollouts as a parquet file at `path`, one row each."""
    rows = [
        {
            "problem": r.problem.id,
            "language": r.language,
            "prompt": r.prompt,
            "prompt_sha256": r.prompt_sha256,
            "completion": r.completion.text,
            "program": r.program,
            "verdict": r.verdict.status.value,
            "message": r.verdict.message,
            "tests_passed": r.verdict.tests_passed,
            "tests": len(r.problem.tests),
            "examples_passed": sum(test.status is Status.PASSED for test in r.verdict.tests[: r.problem.examples]),
            "examples": min(r.problem.examples, len(r.problem.tests)),
            "reward": r.reward,
            "advantage": r.advantage,
            "sampler_gap": r.sampler_gap,
            "prompt_tokens": len(r.prompt_tokens),
            "completion_tokens": len(r.completion.tokens),
            "finished": r.completion.finished,
            **first_failure(r.problem.tests, r.verdict),
        }
        for r in rollouts
    ]
    with replacing(path) as part:
        pq.write_table(pa.Table.from_pylist(rows, schema=ROLLOUTS), part)


def _step(line: str) -> float:
    """The step of a row of metrics.jsonl; a row that a kill cut off belongs to no step worth keeping."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")


def _wandb(config: DictConfig, folder: Path) -> Any:
    checks.one_of("wandb", config.wandb, ("disabled", "offline", "online"))
    if config.wandb == "disabled":
        return None
    import wandb  # slow to import, and only some runs want it

    resolved: Any = OmegaConf.to_container(config, resolve=True)
    taught = resolved.get("language_mix") or [resolved["language"]["name"]]
    names = [resolved["model"]["name"], resolved["dataset"]["name"]]
    identity = folder / WANDB_ID
    if not identity.exists():
        write_text(identity, secrets.token_hex(4))
    run = wandb.init(
        id=identity.read_text(encoding="utf-8").strip(),  # a run that goes on is the same run there
        project="agnostics",
        group="-".join([*names, "+".join(taught)]),  # runs that differ in seed or hyperparameters stand together
        job_type="train",
        tags=[*names, *taught],
        name=folder.name,
        dir=folder,
        mode=config.wandb,
        config=resolved,
        resume="allow",
    )
    run.define_metric("*", step_metric="step")
    for key in ("heldout/pass@1", "pass@1", "reward"):
        run.define_metric(key, summary="last,max", step_metric="step")
    return run
