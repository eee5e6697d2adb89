"""The pages of study/live of one run or evaluation, in one file to send around: no scripts, nothing from the network.

    python -m study.html_report runs/NAME            writes runs/NAME/report.html
    python -m study.html_report scores/NAME          the same for an evaluation
    python -m study.html_report runs/NAME page.html  elsewhere

Of a run it has the curves, the held-out evaluations before and after, and the newest step; of each, some problems with
their programs side by side. Bugs are shown where `python -m study.bugs` has been there before.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from base import script
from base.errors import DataError
from base.files import write_text
from study import report
from study.compare import read
from study.live import folders
from study.live.folders import Folder
from study.live.pages import PER_PAGE, Pages, curves, lexers, points, steps_of, with_program
from study.live.tables import Filter, Group, Table, tables
from study.run_data import Run

PROBLEMS = 8  # of each table, with their programs
PROGRAMS = 8  # of each of them


def page(path: Path) -> str:
    """The page of a run's or an evaluation's folder. Raises DataError."""
    folder = folders.one(path)
    if folder.kind == "run":
        Run.read(path)  # says what is wrong with it
        lines = []
    else:
        lines = report.lines(read(str(path)))
    rows = folder.metrics.rows()
    found = []
    places: dict[tuple[str, str, str], str] = {}
    for table in _shown(folder):
        groups = Filter().groups(table.rows())
        ids = {f"{table.name}-problem-{place}": group for place, group in enumerate(groups[:PROBLEMS])}
        places |= {(table.name, group.problem, group.language): f"#{place}" for place, group in ids.items()}
        found.append((table, groups, [_open(folder, place, group) for place, group in ids.items()]))

    def link(view: str, /, **query: object) -> str | None:
        if view != "group":
            return None  # such a page is not in the file
        return places.get((str(query["table"]), str(query["problem"]), str(query["language"])))

    return Pages(link=link).render(
        "report",
        folder=folder,
        state=folder.state(),
        last=rows[-1]["step"] if rows else None,
        of=steps_of(folder.config()),
        heldout=points(rows, "heldout/pass@1"),
        charts=curves(rows),
        lines=lines,
        bugs=_bugs(folder),
        found=found,
        steps=[{**row, "table": None, "held": None} for row in reversed(rows[-PER_PAGE:])],
        config=yaml.safe_dump(folder.config(), sort_keys=False, allow_unicode=True),
        versions=folder.text("versions.json"),
    )


def _shown(folder: Folder) -> list[Table]:
    """The first and the last held-out evaluation and the newest batch, or an evaluation's samples."""
    there = list(tables(folder).values())
    heldout = [table for table in there if table.name.startswith("heldout")]
    others = [table for table in there if not table.name.startswith("heldout")]
    return list(dict.fromkeys([*heldout[:1], *heldout[-1:], *others[-1:]]))


def _open(folder: Folder, place: str, group: Group) -> tuple[str, Group, list[folders.Row], int]:
    names = lexers(folder.config(), group.language)
    return place, group, [with_program(row, names) for row in group.rows[:PROGRAMS]], len(group.rows[PROGRAMS:])


def _bugs(folder: Folder) -> list[dict[str, object]]:
    for part in (found := folder.bugs()):
        if not part["by"]:
            raise DataError(f"{folder.path / part['where']} is not a bugs.json of `python -m study.bugs`")
    return found


def main(arguments: list[str]) -> None:
    if not 1 <= len(arguments) <= 2:
        sys.exit("error: name a run or an evaluation: python -m study.html_report runs/NAME [page.html]")
    folder = Path(arguments[0]).expanduser()
    out = Path(arguments[1]).expanduser() if len(arguments) > 1 else folder / "report.html"
    try:
        write_text(out, page(folder))
    except OSError as error:
        raise DataError(str(error)) from error
    print(out)


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])
