"""One HTML page of a run or an evaluation, to send around: figures inside, no scripts, nothing from the network.

    python -m study.html_report runs/NAME            writes runs/NAME/report.html
    python -m study.html_report scores/NAME          the same for an evaluation
    python -m study.html_report runs/NAME page.html  elsewhere

Bugs are shown where `python -m study.bugs` has been there before.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

from base.errors import DataError
from base.files import write_text
from rollout.pass_at_k import Row
from study import figures, report
from study.compare import read
from study.run_data import Run, read_rows

SHOWN = 4  # programs of each kind
LONGEST = 4000  # characters of a text

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; margin-bottom: 0; }} h2 {{ font-size: 1.2rem; margin-top: 2.2rem; }}
.subtitle {{ color: #555; margin-top: .2rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .25rem .8rem .25rem 0; text-align: right; border-bottom: 1px solid #ddd; }}
th:first-child, td:first-child {{ text-align: left; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 1rem; }} figure {{ margin: 0; flex: 1 1 26rem; max-width: 36rem; }}
img {{ width: 100%; height: auto; }}
pre {{ background: #f5f5f5; padding: .7rem; overflow-x: auto; font-size: .85rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }}
details {{ margin: .4rem 0; }} summary {{ cursor: pointer; }}
.passed {{ color: #00664d; }} .failed {{ color: #a34700; }}
@media print {{ body {{ margin: 0; max-width: none; }} figure, tr {{ break-inside: avoid; }} }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="subtitle">{subtitle}</p>
{body}
</body>
</html>
"""


def page(folder: Path) -> str:
    """The page of a run's or an evaluation's folder. Raises DataError."""
    if (folder / "scores.json").exists():
        return _evaluation(folder)
    if (folder / "metrics.jsonl").exists():
        return _run(Run.read(folder))
    raise DataError(f"{folder} is neither a run (metrics.jsonl) nor a finished evaluation (scores.json)")


def _run(run: Run) -> str:
    config = run.config
    steps, scores = run.series("heldout/pass@1")
    rows = []
    for step, score in zip(steps, scores, strict=True):
        found = run.heldout(step)
        interval = report.percent(found["pass@1"]) if found and "pass@1" in found else f"{100 * score:.1f}"
        count = f"{found['problems']} x {found['samples'] // max(1, found['problems'])}" if found else ""
        rows.append([str(step), interval, count])
    images = [
        ("Learning curve; bars are 95 % intervals over problems", figures.run_curve(run)),
        ("Verdicts of each batch", figures.verdict_areas(run)),
        ("Where the time went", figures.step_profile(run)),
        ("Throughput", figures.throughput(run)),
    ]
    parts = [
        "<h2>Held-out pass@1, %</h2>",
        _table(["after step", "pass@1 [95 % interval]", "problems x samples"], rows),
        f"<p>{run.last_step} steps in {run.seconds() / 60:.1f} minutes.</p>",
        "<h2>Training</h2>",
        _images(images),
        *_bugs(sorted(run.folder.glob("bugs/step_*/bugs.json"))),
    ]
    files = run.rollout_files("heldout")
    for step in sorted({min(files), max(files)}) if files else []:
        parts += [f"<h2>Held-out programs after {step} steps</h2>", _programs(read_rows(files[step]))]
    parts += ["<h2>Settings</h2>", _details("config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))]
    parts.append(_versions(run.folder))
    subtitle = f"{config['model']['name']} learns {run.language} on {config['dataset']['name']}"
    return PAGE.format(title=escape(run.name), subtitle=escape(subtitle), body="\n".join(parts))


def _evaluation(folder: Path) -> str:
    found = read(str(folder))
    protocol = ", ".join(f"{key} {value}" for key, value in found["protocol"].items())
    problems = [
        [row["problem"], str(row["samples"]), str(row["passed"]), report.verdicts(row["verdicts"])]
        for row in found["per_problem"]
    ]
    parts = [
        "<h2>Scores</h2>",
        _table(["score", "value"], [list(line) for line in report.lines(found)]),
        _images([("pass@k with 95 % intervals over problems", figures.score_bars({found["language"]: found}))]),
        *_bugs([path for path in [folder / "bugs" / "bugs.json"] if path.exists()]),
        "<h2>Programs</h2>",
        _programs(read_rows(folder / "samples.parquet")) if (folder / "samples.parquet").exists() else "",
        "<h2>Problems</h2>",
        f"<details><summary>all {len(problems)}</summary>",
        _table(["problem", "samples", "passed", "verdicts"], problems),
        "</details>",
        _versions(folder),
    ]
    title = f"{found['model']} in {found['language']} on {found['dataset']}"
    subtitle = f"{found['problems']} problems, {found['samples']} samples ({protocol})"
    return PAGE.format(title=escape(title), subtitle=escape(subtitle), body="\n".join(parts))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}</table>"


def _images(images: Iterable[tuple[str, Any]]) -> str:
    """(caption, figure) side by side where the page is wide."""
    shown = []
    for caption, figure in images:
        data = base64.b64encode(figures.png(figure)).decode()
        shown.append(f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}"></figure>')
    return '<div class="figures">' + "\n".join(shown) + "</div>"


def _bugs(paths: Sequence[Path]) -> list[str]:
    """The radar charts of bugs.json files, all in one, if there are any. Of a model's labels where it gave some."""
    shares: dict[str, dict[str, float]] = {}
    for path in paths:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            who = "model" if found["model"] else "rules"
            name = f"after step {int(path.parent.name[5:])}" if path.parent.name.startswith("step_") else "bugs"
            label = f"{name}, {found['programs']} programs, by {found['model'] or 'rules'}"
            shares[label] = {theme: row[who] / found["programs"] for theme, row in found["themes"].items()}
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            raise DataError(f"{path} is not a bugs.json of `python -m study.bugs` ({error!r})") from error
    if not shares:
        return []
    return ["<h2>Bugs in failed programs</h2>", _images([("Share of failed programs by theme", figures.radar(shares))])]


def _programs(rows: Sequence[Row]) -> str:
    """A few that passed and a few that failed, of different problems, with the prompt."""
    parts = []
    for passed in (True, False):
        seen: set[str] = set()
        for row in rows:
            if (row["verdict"] == "passed") is passed and row["problem"] not in seen and len(seen) < SHOWN:
                seen.add(row["problem"])
                kind = "passed" if passed else "failed"
                program = row["program"] if row["program"] is not None else "(no program found)\n" + row["completion"]
                verdict = f'<span class="{kind}">{escape(str(row["verdict"]))}</span>'
                parts.append(
                    f"<details><summary>{escape(row['problem'])}: {verdict}"
                    f", {row['tests_passed']} of {row['tests']} tests</summary>"
                    f"<pre>{escape(row['prompt'][:LONGEST])}</pre><pre>{escape(program[:LONGEST])}</pre></details>"
                )
    return "\n".join(parts) or "<p>None.</p>"


def _versions(folder: Path) -> str:
    try:
        return _details("versions.json", (folder / "versions.json").read_text(encoding="utf-8"))
    except OSError:
        return ""


def _details(name: str, text: str) -> str:
    return f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"


def main(arguments: list[str]) -> None:
    if not 1 <= len(arguments) <= 2:
        sys.exit("error: name a run or an evaluation: python -m study.html_report runs/NAME [page.html]")
    folder = Path(arguments[0]).expanduser()
    out = Path(arguments[1]).expanduser() if len(arguments) > 1 else folder / "report.html"
    try:
        text = page(folder)
        write_text(out, text.encode("utf-8", "replace").decode())  # programs may hold half a character
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    print(out)


if __name__ == "__main__":
    main(sys.argv[1:])
