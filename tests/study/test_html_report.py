"""The HTML page of a run and of an evaluation: whole, self-contained, harmless, and shown by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.errors import DataError
from study import html_report
from tests.conftest import ROOT

DATA = ROOT / "notebooks/data"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
VOID = {"meta", "img", "br", "input"}


class Balanced(HTMLParser):
    """Collects the tags of a page, and checks that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> list[str]:
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    return parser.tags


@pytest.fixture(scope="module")
def run_page() -> str:
    return html_report.page(DATA / "runs/lua_seed0")


def test_a_run_on_one_page(run_page: str) -> None:
    tags = parsed(run_page)
    assert tags.count("figure") == 11 and "script" not in tags and "link" not in tags and "img" not in tags
    assert "tiny learns lua on starter" in run_page
    assert "Held-out after step 0" in run_page and "Held-out after step 24" in run_page and "Step 24" in run_page
    assert run_page.count('class="card"') > 60 and "wrong output" in run_page


def test_an_evaluation_on_one_page() -> None:
    page = html_report.page(DATA / "scores/after")
    assert parsed(page).count("article") == 8 * 4  # programs of some problems
    assert "pass@1, % [95 % interval]" in page and "Bugs in failed programs" in page


def test_nothing_comes_from_elsewhere(run_page: str) -> None:
    assert "default-src 'none'" in run_page
    links = re.findall(r"(?:src|href|action)=\"([^\"]*)\"", run_page)
    assert links and all(link.startswith("#") and f'id="{link[1:]}"' in run_page for link in links)
    assert "url(" not in run_page and "@import" not in run_page


def test_what_a_model_wrote_is_text(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(DATA / "runs/lua_seed0", folder)
    path = max(folder.glob("rollouts/heldout_step_*.parquet"))
    rows = pq.read_table(path).to_pylist()
    hostile = "</pre></details><script>alert(1)</script><img src=https://example.com/x onerror=alert(1)>"
    rows = [{**row, "program": hostile, "problem": "<b>" + row["problem"]} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), path)
    page = html_report.page(folder)
    tags = parsed(page)
    assert "script" not in tags and "b" not in tags and "img" not in tags
    assert "&lt;script&gt;" in re.sub("<[^>]*>", "", page)  # a highlighter marks its parts


def test_from_the_command_line(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "study.html_report", str(DATA / "scores/before"), str(tmp_path / "page.html")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    done = subprocess.run([*words[:3], str(tmp_path)], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 1 and "is neither a run" in done.stderr and "Traceback" not in done.stderr


def test_a_bugs_file_that_is_none_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    shutil.copytree(DATA / "scores/after", folder)
    (folder / "bugs/bugs.json").write_text('{"model": null}')
    with pytest.raises(DataError, match=r"bugs\.json is not a bugs\.json"):
        html_report.page(folder)


def test_no_failed_program_is_no_fault(tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    shutil.copytree(DATA / "scores/after", folder)
    found = json.loads((folder / "bugs/bugs.json").read_text())
    none = {theme: dict.fromkeys(row, 0) for theme, row in found["themes"].items()}
    (folder / "bugs/bugs.json").write_text(json.dumps({**found, "programs": 0, "themes": none}))
    assert "0 programs, by rules" in html_report.page(folder)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here; Debian has it: apt-get install chromium")
def test_a_browser_shows_it(run_page: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(run_page)
    assert BROWSER is not None
    headless = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    url = (tmp_path / "page.html").as_uri()
    shot = tmp_path / "page.png"
    done = subprocess.run(
        [*headless, "--window-size=1000,1600", f"--screenshot={shot}", url], capture_output=True, text=True, timeout=120
    )
    assert shot.read_bytes().startswith(b"\x89PNG") and len(shot.read_bytes()) > 50_000, done.stderr
    done = subprocess.run([*headless, "--dump-dom", url], capture_output=True, text=True, timeout=120)
    assert "Held-out pass@1" in done.stdout and done.stdout.count("<figure") == 11 and "CONSOLE" not in done.stderr
