"""Gathers scores into one table a benchmark, models by languages, in Markdown:

    python evaluate.py -m language=lua,julia,r model=qwen3_4b dataset=ladder
    python -m study.matrix             # of scores/; or name other folders

A cell is pass@1 in percent with its 95 % interval. Only evaluations with the same protocol share a table.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from base import script
from base.errors import DataError
from base.text import visible
from study import report
from study.compare import read
from study.report import Scores


def matrix(found: Iterable[Scores]) -> str:
    """The tables of many scores.json, as Markdown. Raises DataError for two in one cell."""
    groups: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for scores in found:
        protocol = ", ".join(f"{key} {value}" for key, value in scores["protocol"].items())
        cells = groups[scores["dataset"], protocol][scores["model"]]
        if scores["language"] in cells:
            where = f"{scores['model']} in {scores['language']} on {scores['dataset']}"
            raise DataError(f"there are two evaluations of {where} with one protocol: name folders that hold one")
        cells[scores["language"]] = report.percent(scores["pass@1"])
    pages = []
    for (dataset, protocol), models in sorted(groups.items()):
        languages = sorted({language for cells in models.values() for language in cells})
        rows = [
            [model, *(cells.get(language, "") for language in languages)] for model, cells in sorted(models.items())
        ]
        pages.append(f"## {dataset} ({protocol})\n\n" + report.table(["model", *languages], rows))
    return visible("\n".join(pages))


def main(folders: list[str]) -> None:
    paths = sorted(path for folder in folders for path in Path(folder).expanduser().rglob("scores.json"))
    if not paths:
        sys.exit(f"error: there is no scores.json under {', '.join(folders)}")
    print(matrix(read(str(path)) for path in paths), end="")


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:] or ["scores"])
