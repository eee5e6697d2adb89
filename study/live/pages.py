"""The pages, each a function of what lies on the disk and of the words in its address."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from base.errors import DataError
from rollout.pass_at_k import running_mean, smoothing
from sandbox.job import Status
from study import report
from study.live import charts, text
from study.live.charts import Curve
from study.live.folders import Folder, Folders, number
from study.live.tables import SAMPLES, Filter, Group, Row, Table, languages, tables

TEMPLATES = Path(__file__).parent / "templates"
PER_PAGE = 50  # runs, steps, problems
SIDE_BY_SIDE = 16  # completions
FILES = 100  # of rollouts that one page goes through
PHASES = ("sample", "wait", "update", "sync")
CURVES = (  # title, keys of metrics.jsonl, share
    ("Loss", ("loss",), False),
    ("Norm of the gradient", ("grad_norm",), False),
    ("Entropy, nats", ("entropy",), False),
    ("Tokens of a completion", ("completion_tokens",), False),
    ("Shares", ("zero_variance_groups", "unfinished"), True),
    ("Gap between sampler and trainer, nats", ("sampler_gap",), False),
    ("Seconds of a step", tuple(f"seconds/{phase}" for phase in PHASES), False),
    ("Learning rate", ("learning_rate",), False),
)

Query = Mapping[str, str]
Link = Callable[..., str | None]


class NotFound(Exception):
    """There is no such page. The message says what is not there."""


def address(page: str, /, **query: object) -> str:
    """Where a page is on the server."""
    return f"/{page}?{urlencode({key: str(value) for key, value in query.items()}, errors='replace')}"


class Pages:
    """The pages of some folders. `link(page, **query)` says where another page is, or None: it is not to be had."""

    def __init__(self, folders: Folders | None = None, link: Link = address) -> None:
        self.folders = folders
        self.jinja = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            finalize=text.finalized,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.jinja.globals |= {"link": link, "style": Markup((TEMPLATES / "style.css").read_text()), "cut": text.cut}
        self.jinja.filters |= {"ago": _ago, "figure": _figure, "prompt": text.prompt}

    def render(self, template: str, **values: Any) -> str:
        page = self.jinja.get_template(f"{template}.html").render(**values)
        return page.encode("utf-8", "replace").decode()

    def index(self, query: Query) -> str:
        """All runs and scores of the folders."""
        assert self.folders is not None
        wanted = query.get("find", "")
        found = [folder for folder in self.folders.all() if wanted.lower() in folder.name.lower()]
        page, shown = _part(found, query)
        rows = [self._line(folder) for folder in shown]
        return self.render("index", rows=rows, page=page, find=wanted, refresh=True)

    def _line(self, folder: Folder) -> dict[str, Any]:
        """What the list of all says of one."""
        rows = folder.metrics.rows() if folder.kind == "run" else []
        scores = folder.json("scores.json") if folder.kind == "scores" else {}
        batch, heldout = points(rows, "pass@1"), points(rows, "heldout/pass@1")
        first = scores.get("pass@1")
        score = number(first.get("value")) if isinstance(first, dict) else heldout[-1][1] if heldout else None
        return {
            "folder": folder,
            "state": folder.state(),
            "step": rows[-1]["step"] if rows else None,
            "score": score,
            "spark": charts.spark(_smooth(batch) or heldout),
            "changed": folder.changed(),
        }

    def folder(self, query: Query) -> str:
        folder = self._folder(query)
        return self.run(folder, query) if folder.kind == "run" else self.scores(folder, query)

    def run(self, folder: Folder, query: Query) -> str:
        """A run: its curves, and its steps."""
        rows, found = folder.metrics.rows(), tables(folder)
        heldout = points(rows, "heldout/pass@1")
        page, shown = _part(list(reversed(rows)), query)
        return self.render(
            "run",
            folder=folder,
            state=folder.state(),
            refresh=folder.state() != "finished",
            charts=curves(rows),
            heldout=heldout,
            steps=[{**row, "table": _named(found, row, ""), "held": _named(found, row, "heldout_")} for row in shown],
            page=page,
            last=rows[-1]["step"] if rows else None,
            of=steps_of(folder.config()),
            bugs=folder.bugs(),
            config=yaml.safe_dump(folder.config(), sort_keys=False, allow_unicode=True),
            versions=folder.text("versions.json"),
        )

    def scores(self, folder: Folder, query: Query) -> str:
        """An evaluation: its scores, and its problems."""
        try:
            lines = report.lines(folder.json("scores.json"))
        except (KeyError, TypeError, ValueError, AttributeError):  # not finished, or half of a file
            lines = []
        found = tables(folder).get(SAMPLES)
        return self.render(
            "scores",
            folder=folder,
            state=folder.state(),
            refresh=folder.state() != "finished",
            lines=lines,
            bugs=folder.bugs(),
            versions=folder.text("versions.json"),
            config=yaml.safe_dump(folder.config(), sort_keys=False, allow_unicode=True),
            **self._groups(found, query),
        )

    def table(self, query: Query) -> str:
        """The problems of a step, of a held-out evaluation or of an evaluation."""
        folder = self._folder(query)
        found = tables(folder)
        table = _named_table(folder, found, query)
        kind = [other for other in found.values() if other.name.startswith("held") == table.name.startswith("held")]
        place = kind.index(table)
        return self.render(
            "table",
            folder=folder,
            table=table,
            before=kind[place - 1] if place else None,
            after=kind[place + 1] if place + 1 < len(kind) else None,
            refresh=folder.state() != "finished",
            **self._groups(table, query),
        )

    def _groups(self, table: Table | None, query: Query) -> dict[str, Any]:
        wanted = Filter(query.get("verdict", ""), query.get("language", ""), query.get("find", ""))
        try:
            rows = table.summary() if table else []
        except DataError as error:
            return {"groups": [], "page": Page(0, 0, query), "trouble": str(error), "filter": wanted, "choices": {}}
        groups = wanted.groups(rows)
        page, shown = _part(groups, query)
        choices = {"verdict": [status.value for status in Status], "language": languages(rows)}
        return {"groups": shown, "page": page, "trouble": "", "filter": wanted, "choices": choices}

    def group(self, query: Query) -> str:
        """The completions of one problem, side by side."""
        folder = self._folder(query)
        table = _named_table(folder, tables(folder), query)
        group = self.group_of(table, query.get("problem", ""), query.get("language", ""))
        wanted = query.get("verdict", "")
        rows = [row for row in group.rows if wanted in ("", row["verdict"])]
        page, shown = _part(rows, query, SIDE_BY_SIDE)
        names = lexers(folder.config(), group.language)
        return self.render(
            "group",
            folder=folder,
            table=table,
            group=group,
            wanted=wanted,
            rows=[with_program(row, names) for row in shown],
            page=page,
            refresh=False,
        )

    def group_of(self, table: Table, problem: str, language: str) -> Group:
        """Raises NotFound, DataError."""
        same = [g for g in Filter(language=language).groups(table.rows()) if g.problem == problem]
        if not same:
            raise NotFound(f"{table.title} has no rollouts of {problem!r}")
        return same[0]

    def problem(self, query: Query) -> str:
        """One problem through the steps of a run."""
        folder = self._folder(query)
        problem, language = query.get("problem", ""), query.get("language", "")
        page, shown = _part(list(reversed(tables(folder).values())), query, FILES)
        found = []
        for table in shown:
            try:
                groups = Filter(language=language).groups(table.summary())
            except DataError:  # gone, or not whole yet
                continue
            found += [(table, group) for group in groups if group.problem == problem]
        return self.render(
            "problem", folder=folder, problem=problem, language=language, found=found, page=page, refresh=False
        )

    def difference(self, query: Query, picked: Sequence[str]) -> str:
        """Two programs, line by line. `picked`: table:number, twice."""
        folder = self._folder(query)
        if len(picked) != 2:
            raise NotFound("pick two programs to see their difference")
        found = [(pick, self.row(folder, pick)) for pick in picked]
        names = [str(row["program"] if row.get("program") is not None else row.get("completion")) for _, row in found]
        return self.render(
            "difference",
            folder=folder,
            found=[(tables(folder)[pick.rpartition(":")[0]], row) for pick, row in found],
            lines=text.difference(*names),
            refresh=False,
        )

    def row(self, folder: Folder, pick: str) -> Row:
        """A row by table:number. Raises NotFound."""
        name, _, place = pick.rpartition(":")
        table = tables(folder).get(name)
        rows = table.rows() if table else []
        if not place.isdecimal() or int(place) >= len(rows):
            raise NotFound(f"{folder.name} has no rollout {pick!r}")
        return rows[int(place)]

    def whole(self, query: Query) -> str:
        """One completion as it is, all of it."""
        return str(self.row(self._folder(query), query.get("pick", "")).get("completion") or "")

    def _folder(self, query: Query) -> Folder:
        assert self.folders is not None
        folder = self.folders.get(query.get("name", ""))
        if folder is None:
            raise NotFound(f"there is no run and no evaluation {query.get('name', '')!r}")
        return folder

    def trouble(self, title: str, sentence: str) -> str:
        return self.render("trouble", title=title, sentence=sentence, refresh=False)


class Page:
    """Which part of a long list is shown."""

    def __init__(self, now: int, last: int, query: Query, of: int = 0) -> None:
        self.now, self.last, self.of = now, last, of
        self.query = {key: query[key] for key in ("name", "table", "problem") if query.get(key)}
        self.filters = {key: query[key] for key in ("verdict", "find", "language") if query.get(key)}

    def at(self, number: int) -> dict[str, object]:
        """The words of the address of another part."""
        return {**self.query, **self.filters, "page": number}


def _part(rows: Sequence[Any], query: Query, size: int = PER_PAGE) -> tuple[Page, Sequence[Any]]:
    last = max(0, (len(rows) - 1) // size)
    asked = query.get("page", "0")
    now = min(last, int(asked)) if asked.isdecimal() and len(asked) < 10 else 0
    return Page(now, last, query, len(rows)), rows[now * size : (now + 1) * size]


def with_program(row: Row, names: tuple[str, ...]) -> Row:
    """The row with its program highlighted under `shown`; None where it has none."""
    return {**row, "shown": None if row.get("program") is None else text.highlighted(row["program"], names)}


def lexers(config: Mapping[str, Any], language: str) -> tuple[str, ...]:
    """Names by which a highlighter may know the language of a program."""
    part = config.get("language")
    known = part if isinstance(part, dict) else {}
    if language and known.get("name") != language:
        return (language,)
    fence = known.get("fence")
    tags = [fence] if isinstance(fence, str) else fence if isinstance(fence, list) else []
    return tuple(str(name) for name in (known.get("name"), *tags, known.get("filename")) if name)


def curves(rows: Sequence[Row]) -> list[Markup]:
    """The charts of a run's metrics."""
    batch = points(rows, "pass@1")
    verdicts = [key for key in (f"verdict/{status.value}" for status in Status) if any(key in row for row in rows)]
    shares = [row for row in rows if any(key in row for key in verdicts)]
    layers = [
        Curve(key[8:].replace("_", " "), f"v-{key[8:]}", [(row["step"], number(row.get(key)) or 0.0) for row in shares])
        for key in verdicts
    ]
    found = [
        charts.chart(
            "pass@1",
            [
                Curve("held-out", "c1", points(rows, "heldout/pass@1"), dots=True),
                Curve("batch, running mean", "c0", _smooth(batch)),
                Curve("batch", "faint", batch),
            ],
            percent=True,
        ),
        charts.areas("Verdicts of each batch", layers),
        charts.chart("Reward", [Curve("running mean", "c0", _smooth(points(rows, "reward"))),
                                Curve("batch", "faint", points(rows, "reward"))]),
    ]  # fmt: skip
    for title, keys, percent in CURVES:
        lines = [Curve(_label(key), f"c{place}", points(rows, key)) for place, key in enumerate(keys)]
        found.append(charts.chart(title, lines, percent))
    return [chart for chart in found if chart]


def _label(key: str) -> str:
    return key.removeprefix("seconds/").replace("_", " ")


def points(rows: Iterable[Row], key: str) -> list[tuple[float, float]]:
    """(step, value) of a metric, where it was logged; with `resample`, of all programs drawn."""
    found = ((row["step"], number(row.get(f"drawn/{key}", row.get(key)))) for row in rows)
    return [(step, value) for step, value in found if value is not None]


def _smooth(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    values = running_mean([value for _, value in curve], smoothing(len(curve)))
    return [(step, value) for (step, _), value in zip(curve, values, strict=True)]


def _named_table(folder: Folder, found: Mapping[str, Table], query: Query) -> Table:
    """Raises NotFound."""
    table = found.get(query.get("table", ""))
    if table is None:
        raise NotFound(f"{folder.name} has no rollouts {query.get('table', '')!r}")
    return table


def _named(found: Mapping[str, Table], row: Row, prefix: str) -> str | None:
    """The table of a step, if it is there."""
    name = f"{prefix}step_{int(row['step']):06d}"
    return name if name in found else None


def steps_of(config: Mapping[str, Any]) -> int | None:
    steps = config.get("steps")
    return steps if isinstance(steps, int) else None


def _ago(seconds: float) -> str:
    """A time for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def _figure(value: Any, percent: bool = False) -> str:
    """A number for people; nothing for none."""
    known = number(value)
    if known is None:
        return ""
    return f"{100 * known:.1f} %" if percent else f"{known:.4g}"
