"""A run's folder, read back: its config, its metrics, its rollouts, its held-out scores. Torch is not needed here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import languages
from base.errors import DataError
from languages import Language
from problems import load
from problems.settings import DatasetSettings
from rollout.pass_at_k import Row, scores


@dataclass(frozen=True)
class Run:
    folder: Path
    config: dict[str, Any]  # as it was resolved
    metrics: list[dict[str, Any]]  # one object per step, see docs/reference/metrics.md

    @classmethod
    def read(cls, folder: str | Path) -> Run:
        """Raises DataError for a folder that holds no run, or one without a finished step."""
        folder = Path(folder).expanduser()
        metrics = []
        try:
            config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
            lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{folder} is no folder of a run: config.yaml and metrics.jsonl ({reason})") from error
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                row["step"] + 0
            except (ValueError, KeyError, TypeError) as error:
                if number < len(lines):  # a kill may cut off the last one
                    raise DataError(f"{folder}/metrics.jsonl, line {number}: not the metrics of a step") from error
            else:
                metrics.append(row)
        if not metrics or not isinstance(config, dict):
            raise DataError(f"{folder} holds a run that has no finished step yet")
        return cls(folder, config, metrics)

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def languages(self) -> list[Language]:
        """The languages of its programs. Raises languages.LanguageError."""
        return languages.of_run(self.config.get("language", {}), self.config.get("language_mix"))

    @property
    def dataset(self) -> DatasetSettings:
        """Raises ConfigError."""
        return load.dataset(self.config["dataset"])

    @property
    def language(self) -> str:
        """Its name; those of a mixture, joined."""
        return "+".join(self.config.get("language_mix") or [self.config["language"]["name"]])

    @property
    def last_step(self) -> int:
        return int(self.metrics[-1]["step"])

    def series(self, key: str) -> tuple[list[int], list[float]]:
        """Steps and values of a metric, where it was logged; with `resample`, of all programs drawn: those that a step
        keeps flatter the policy."""
        every = ((row["step"], row.get(f"drawn/{key}", row.get(key))) for row in self.metrics)
        found = [(step, value) for step, value in every if value is not None]
        return [step for step, _ in found], [value for _, value in found]

    def rollout_files(self, kind: str = "train") -> dict[int, Path]:
        """Its rollouts' files by step; `kind` is train or heldout."""
        prefix = "step" if kind == "train" else "heldout_step"
        return {int(path.stem[-6:]): path for path in sorted((self.folder / "rollouts").glob(f"{prefix}_*.parquet"))}

    def heldout(self, step: int) -> dict[str, Any] | None:
        """The scores (rollout/pass_at_k.py) of the held-out evaluation after `step`; None where its rollouts are not
        there."""
        path = self.rollout_files("heldout").get(step)
        return None if path is None else scores(read_rows(path), [1])

    def seconds(self) -> float:
        """Of all steps and held-out evaluations."""
        return float(sum(row.get("seconds/step", 0.0) + row.get("heldout/seconds", 0.0) for row in self.metrics))


def read_rows(path: Path) -> list[Row]:
    """The rows of a parquet file. Raises DataError."""
    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} ({' '.join(str(error).split())[:200]})") from error
    return rows
