"""Sweeps: many runs from one command, and their results in one table (the paper's table 6).

    python train.py -m runs=runs/size resume=auto group=16,32,64 seed=0,1,2                        one after the other
    python train.py -m runs=runs/size resume=auto group=16,32,64 seed=0,1,2 hydra/launcher=gpus    one a free GPU
    python train.py -m runs=runs/size resume=auto group=16,32,64 seed=0,1,2 hydra/launcher=slurm
    python -m study.sweep runs/size              # a line per run, then means over seeds: sweep.md and sweep.json in it
    python -m study.sweep runs/size scores       # with what evaluate.py gave these runs' checkpoints

The same command again goes on: finished runs are skipped, stopped ones continue. An error ends its own run only.
docs/how-to/sweep.md has more.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from base import script
from base.checks import flat
from base.errors import DataError
from base.files import write_text
from base.text import visible
from run import run_folder
from run.cost import before_and_after
from study import report
from study.compare import read
from study.run_data import Run

Found = dict[str, Any]  # one run of a sweep


def gather(folders: Sequence[Path], evaluations: Sequence[dict[str, Any]] = ()) -> tuple[list[str], list[Found]]:
    """(the keys in which these runs differ, one mapping per run). Runs that cannot be read are named on standard error
    and left out.

    `evaluations` are scores.json of checkpoints; those of a run's newest checkpoint among them join it. Raises
    DataError where no run can be read, and for two evaluations in one cell.
    """
    runs: list[tuple[Run, dict[str, Any] | None]] = []
    for folder in folders:
        try:
            run = Run.read(folder)
            runs.append((run, run.heldout(run.last_step) if run.last_step else None))
        except DataError as error:  # one that has just begun is no reason to show none
            print(f"left out: {visible(str(error))}", file=sys.stderr)
    if not runs:
        raise DataError("there is no run that can be read")
    keys = varying([run.config for run, _ in runs])
    protocols = varying([{"protocol": scores.get("protocol", {})} for scores in evaluations])

    def name_of(scores: dict[str, Any]) -> str:
        """Benchmark and language, and what of its protocol others do not share: figures of two are not one column."""
        protocol = flat({"protocol": scores.get("protocol", {})})
        told = [f"{key.partition('.')[2]} {protocol.get(key)}" for key in protocols]
        return " ".join([scores["dataset"], scores["language"], *told])

    found = []
    for run, last in runs:
        config = run_folder.todays(flat(run.config))
        before, after = before_and_after(run.metrics)
        found.append(
            {
                "run": run.name,
                **{key: config.get(key) for key in keys},
                "steps done": run.last_step,
                "finished": (run.folder / run_folder.FINISHED).exists(),
                "before": before,
                "after": after,
                "interval": [score["low"], score["high"]] if last and (score := last.get("pass@1")) else None,
                "best": max(run.series("heldout/pass@1")[1], default=None),
                "seconds": run.seconds(),
                "scores": {name: scores["pass@1"] for name, scores in _newest(run, evaluations, name_of).items()},
            }
        )
    return keys, sorted(found, key=lambda row: [_sortable(row[key]) for key in keys])


def _newest(
    run: Run, evaluations: Sequence[dict[str, Any]], name_of: Callable[[dict[str, Any]], str]
) -> dict[str, dict[str, Any]]:
    """A run's evaluations by the name of their column, of its newest checkpoint that has one. Raises DataError."""
    folder = run.folder.resolve()
    found: dict[str, tuple[tuple[bool, str], dict[str, Any]]] = {}
    for scores in evaluations:
        path = Path(scores["model"]).resolve()
        if path != folder and folder not in path.parents:
            continue
        age, name = (path == folder, path.name), name_of(scores)  # a run's own folder means its last checkpoint
        if name in found and found[name][0] == age:
            raise DataError(f"there are two evaluations of {path} ({name}): name folders that hold one")
        if name not in found or found[name][0] < age:
            found[name] = age, scores
    return {name: scores for name, (_, scores) in found.items()}


def varying(configs: Sequence[dict[str, Any]]) -> list[str]:
    """The keys that differ between configs. Of a group with a name (language, model, ...) only the name, where configs
    of one name are equal in the rest: what these keys do not tell apart differs in nothing that changes a result.
    """
    flats = [run_folder.todays(flat(config)) for config in configs]
    every = {key: None for config in flats for key in config}  # in order
    skipped = {*run_folder.NOT_COMPARED, "language_mix" if not any(c.get("language_mix") for c in configs) else ""}
    keys = [
        key
        for key in every
        if not {key, key.partition(".")[0]} & skipped and len({repr(config.get(key)) for config in flats}) > 1
    ]

    def told(key: str) -> bool:
        """Whether the name of a key's group tells its value."""
        name = f"{key.partition('.')[0]}.name"
        values = {(repr(config.get(name)), repr(config.get(key))) for config in flats}
        return key != name and name in keys and len(values) == len({of for of, _ in values})

    return [key for key in keys if not told(key)]


def _sortable(value: Any) -> tuple[str, float, str]:
    return ("", float(value), "") if isinstance(value, int | float) else ("z", 0.0, str(value))


def means(keys: Sequence[str], found: Sequence[Found]) -> list[Found]:
    """Runs that differ in nothing but the seed, as one: mean and standard deviation of what they ended with.

    Of runs that do not even differ in that the last counts: a repetition is no other draw.
    """
    settings = [key for key in keys if key != "seed"]
    groups: dict[tuple[str, ...], dict[str, Found]] = defaultdict(dict)
    for row in found:
        if row["after"] is not None and row["finished"]:
            groups[tuple(repr(row[key]) for key in settings)][repr(row.get("seed"))] = row
    table = []
    for rows in [list(group.values()) for group in groups.values()]:
        after = [row["after"] for row in rows]
        names = sorted(set.intersection(*({name for name, score in row["scores"].items() if score} for row in rows)))
        table.append(
            {
                **{key: rows[0][key] for key in settings},
                "runs": len(rows),
                "mean": statistics.fmean(after),
                "deviation": statistics.stdev(after) if len(after) > 1 else None,
                "seconds": statistics.fmean(row["seconds"] for row in rows),
                "scores": {name: statistics.fmean(row["scores"][name]["value"] for row in rows) for name in names},
            }
        )
    return table


def page(keys: Sequence[str], found: Sequence[Found]) -> str:
    """Both tables as Markdown, in percent."""
    names = sorted({name for row in found for name in row["scores"]})
    settings = [key for key in keys if key != "seed"]
    runs = [
        [
            row["run"],
            *(_written(row[key]) for key in keys),
            str(row["steps done"]) + ("" if row["finished"] else " (unfinished)"),
            _percent(row["before"]),
            _percent(row["after"]) + (f" [{', '.join(map(_percent, row['interval']))}]" if row["interval"] else ""),
            _percent(row["best"]),
            *(report.percent(row["scores"][name]) if name in row["scores"] else "" for name in names),
            f"{row['seconds'] / 60:.1f}",
        ]
        for row in found
    ]
    seeds = [
        [
            ", ".join(f"{key}={_written(row[key])}" for key in settings) or "all",
            str(row["runs"]),
            _percent(row["mean"]) + (f" ± {_percent(row['deviation'])}" if row["deviation"] is not None else ""),
            *(_percent(row["scores"].get(name)) for name in names),
            f"{row['seconds'] / 60:.1f}",
        ]
        for row in means(keys, found)
    ]
    return visible(
        "## Runs\n\nHeld-out pass@1 in %, with its 95 % interval over problems: a bootstrap's, or Wilson's where each "
        "problem is solved always or never.\n\n"
        + report.table(["run", *keys, "steps done", "before", "after", "best", *names, "minutes"], runs)
        + "\n## Over seeds\n\nMean and standard deviation of the finished runs' last held-out pass@1.\n\n"
        + report.table(["settings", "runs", "after", *names, "minutes"], seeds)
    )


def _written(value: Any) -> str:
    """As the command line takes it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def main(arguments: list[str]) -> None:
    if not 1 <= len(arguments) <= 2:
        sys.exit("error: name the folder of the runs, then that of scores: python -m study.sweep runs/NAME [scores]")
    runs = Path(arguments[0]).expanduser()
    folders = sorted(path.parent for path in runs.glob("*/config.yaml") if (path.parent / "metrics.jsonl").exists())
    try:
        if not folders:
            raise DataError(f"{runs} holds no folder of a run")
        results = [Path(name).expanduser() for name in arguments[1:]]
        evaluations = [read(str(path)) for folder in results for path in sorted(folder.rglob("scores.json"))]
        keys, found = gather(folders, evaluations)
        text = page(keys, found)
        write_text(runs / "sweep.md", text)
        record = {"keys": keys, "runs": found, "means": means(keys, found)}
        write_text(runs / "sweep.json", json.dumps(record, indent=2))
    except OSError as error:
        raise DataError(str(error)) from error
    print(text, end="")


if __name__ == "__main__":
    with script.one_sentence("interrupted"):
        main(sys.argv[1:])
