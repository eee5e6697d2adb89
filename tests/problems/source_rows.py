"""Small copies of the data sets, in their schemas, and the config that reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from omegaconf import DictConfig, OmegaConf

from problems import load
from problems.problem import Problem
from problems.settings import DatasetSettings
from problems.sources.rows import Tally
from tests.conftest import ROOT

Row = dict[str, Any]


def config(dataset: str, **keys: Any) -> DatasetSettings:
    """The settings of conf/dataset/`dataset`.yaml with `keys` changed."""
    merged = OmegaConf.load(ROOT / f"conf/dataset/{dataset}.yaml")
    assert isinstance(merged, DictConfig)
    for parent in merged.pop("defaults", [])[:-1]:
        merged = DictConfig(OmegaConf.merge(OmegaConf.load(ROOT / f"conf/dataset/{parent}.yaml"), merged))
    changes = {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
    return load.dataset(OmegaConf.merge(merged, changes))


def loaded(source: DatasetSettings, split: str) -> tuple[list[Problem], Tally]:
    tally = Tally()
    return list(load.read(source, split, tally)), tally


def write_lines(path: Path, rows: Iterable[Row | bytes]) -> Path:
    """JSONL; a row given as bytes is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def write_parquet(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def mbpp(number: int, **changed: Any) -> Row:
    row = {
        "original_task_id": number,
        "description": f"Add {number} to a number.",
        "input_format": "One integer.",
        "output_format": "One integer.",
        "tests": [{"input": f"{n}\n", "output": f"{n + number}\n"} for n in range(3)],
    }
    return row | changed


def solution(name: str, examples: int = 3, **changed: Any) -> Row:
    """A row of open-r1/codeforces-cots, solutions_py_decontaminated."""
    row = {
        "id": name,
        "title": f"T{name}",
        "contest_name": "Round",
        "contest_start_year": 2020,
        "time_limit": 2.0,
        "memory_limit": 256.0,
        "description": f"Print the sum for {name}.",
        "input_format": "Two integers.",
        "output_format": "Their sum.",
        "examples": [{"input": f"{n} 1", "output": f"{n + 1}"} for n in range(examples)],
        "note": "Mind the sign.",
        "prompt": "",
        "generation": "",
    }
    return row | changed


def judge(name: str, kind: str = "diff", code: str | None = None, thinking: str = "Hm.\n```json\n{}\n```\n") -> Row:
    """A row of the subset checker_interactor."""
    answer = json.dumps({"type": kind} | ({"code": code} if code is not None else {}))
    return {"id": name, "generation": f"<think>{thinking}</think>\nSo:\n```json\n{answer}\n```\n"}


def published(name: str, idx: int = 0) -> Row:
    """A row of nuprl/agnostics-codeforces-cots."""
    return {
        "idx": idx,
        "source_id": name,
        "prompt": "",
        "response": "",
        "problem_statement": f"Print the sum for {name}.",
        "time_limit": 2.0,
        "memory_limit": 256.0,
        "input_format": "Two integers.",
        "output_format": "Their sum.",
        "examples": [{"input": f"{n} 1", "output": f"{n + 1}"} for n in range(3)],
        "problem_notes": "Mind the sign.",
        "title": name,
        "contest_name": "Round",
        "contest_start_year": 2020,
    }
