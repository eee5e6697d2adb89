"""The live page: real runs, half-written files, long runs, hostile models; the server, and a browser where one is."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn

from base.errors import DataError
from study.live import charts, text
from study.live.folders import Folders, Metrics, one
from study.live.pages import NotFound, Pages, address, points
from study.live.server import app
from study.live.tables import Filter, tables
from study.run_data import Run
from tests.conftest import ROOT
from tests.study.live.browser import PROGRAM, browser

DATA = ROOT / "notebooks/data"
NAME = {"name": "runs/lua_seed0"}
GROUP = {**NAME, "table": "step_000001", "problem": "starter-words-train-3", "language": "lua"}
HOSTILE = "</pre></details><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J\x1b]0;owned\x07\u202egnp.exe"
MEGABYTES = "x" * 3_000_000


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages(Folders([DATA / "runs", DATA / "scores"]))


def row(problem: str, number: int, **values: Any) -> dict[str, Any]:
    return {
        "problem": problem, "language": "lua", "prompt": "p", "completion": f"c{number}", "program": f"print({number})",
        "verdict": "passed", "message": "", "tests_passed": 5, "tests": 5, "reward": 1.0, "advantage": 0.0,
        "prompt_tokens": 1, "completion_tokens": 2, "finished": True, **values,
    }  # fmt: skip


def a_run(folder: Path, steps: int, rows: list[dict[str, Any]]) -> Path:
    """A run's folder, as a run writes it."""
    (folder / "rollouts").mkdir(parents=True)
    shutil.copy(DATA / "runs/lua_seed0/config.yaml", folder)
    lines = [json.dumps({"step": step, "pass@1": 0.5, "verdict/passed": 0.5}) + "\n" for step in range(steps + 1)]
    (folder / "metrics.jsonl").write_text("".join(lines))
    pq.write_table(pa.Table.from_pylist(rows), folder / f"rollouts/step_{steps:06d}.parquet")
    return folder


def test_every_page_of_a_run_and_of_scores(pages: Pages) -> None:
    index = pages.index({})
    for name in ("runs/lua_seed0", "runs/lua_seed1", "runs/python_seed0", "scores/before", "scores/after"):
        assert f'href="/folder?name={name.replace("/", "%2F")}"' in index
    assert "76.2 %" in index and index.count('class="spark"') == 3
    run = pages.folder(NAME)
    assert "after step 24 of 24" in run and run.count("<figure>") == 11 and "heldout_step_000024" in run
    scores = pages.folder({"name": "scores/after"})
    assert "76.2 [63.1, 87.5]" in scores and "38 programs, by rules" in scores
    assert "starter-words-train-3" in pages.table({**NAME, "table": "step_000001"})


def test_a_group_side_by_side(pages: Pages) -> None:
    page = pages.group(GROUP)
    assert page.count('class="card"') == 16 and "compute how many words are in it" in page
    assert '<span class="kd">local</span>' in page and "1.677" in page  # highlighted; the advantage
    only = pages.group({**GROUP, "verdict": "passed"})
    assert only.count('class="card"') == 4
    through = pages.problem({key: GROUP[key] for key in ("name", "problem", "language")})
    assert through.count("<th scope") == 1 and through.count('type="checkbox"') == 16
    compared = pages.difference(NAME, ["step_000001:0", "step_000001:5"])
    assert compared.count('class="less"') == 2 and compared.count('class="more"') == 3
    assert "They are the same" in pages.difference(NAME, ["step_000001:0", "step_000001:0"])
    with pytest.raises(NotFound, match="pick two"):
        pages.difference(NAME, ["step_000001:0"])


def test_filters(pages: Pages) -> None:
    rows = tables(one(DATA / "runs/lua_seed0"))["step_000001"].summary()
    everything = Filter().groups(rows)
    assert sum(len(group.rows) for group in everything) == len(rows)
    passed = Filter(verdict="passed").groups(rows)
    assert 0 < len(passed) < len(everything) and all("passed" in group.verdicts for group in passed)
    assert Filter(language="ocaml").groups(rows) == []
    assert [group.problem for group in Filter(problem="WORDS").groups(rows)] == ["starter-words-train-3"]


def test_which_test_failed_and_how(tmp_path: Path) -> None:
    failed = {"verdict": "wrong_output", "failed_test": 2, "failed_input": "3 4", "expected": "7", "got": "<b>12</b>"}
    a_run(tmp_path / "runs/r", 1, [row("p", 0, **failed), row("p", 1)])
    page = Pages(Folders([tmp_path / "runs"])).group(
        {"name": "runs/r", "table": "step_000001", "problem": "p", "language": "lua"}
    )
    assert "Test 3 failed" in page and "3 4" in page and "&lt;b&gt;12&lt;/b&gt;" in page
    assert page.count("failed</h4>") == 1


def test_what_a_model_wrote_is_text(tmp_path: Path) -> None:
    """Markup, terminal escapes, a line turned round, megabytes; as program, completion, message and problem."""
    rows = [
        row(HOSTILE, 0, **dict.fromkeys(("program", "completion", "message", "prompt", "got"), HOSTILE), failed_test=0),
        row(HOSTILE, 1, program=MEGABYTES, completion=MEGABYTES, got=None, failed_test=None),
        row(HOSTILE, 2, program=None, completion=MEGABYTES, got=None, failed_test=None, verdict="no_program"),
    ]  # fmt: skip
    a_run(tmp_path / "runs/r", 1, rows)
    (tmp_path / "runs/<img src=x>").mkdir()
    (tmp_path / "runs/<img src=x>/metrics.jsonl").write_text('{"step": 1, "pass@1": "<script>", "reward": 1e999}\n')
    pages = Pages(Folders([tmp_path / "runs"]))
    query = {"name": "runs/r", "table": "step_000001", "problem": HOSTILE, "language": "lua"}
    for page in (
        pages.index({"find": "<script>"}), pages.index({}), pages.folder({"name": "runs/<img src=x>"}),
        pages.folder(query), pages.table(query), pages.table({**query, "find": HOSTILE}), pages.group(query),
        pages.problem(query), pages.difference(query, ["step_000001:0", "step_000001:1"]),
    ):  # fmt: skip
        assert page.count("<script") == 1 and "<img" not in page  # the page's own script
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)
        assert len(page) < 200_000
    assert "\u241b[2J" in pages.group(query) and "\\u202egnp.exe" in pages.group(query)
    assert "2,992,000 more characters" in pages.group(query)
    assert pages.whole({"name": "runs/r", "pick": "step_000001:2"}) == MEGABYTES


def test_a_program_is_highlighted_as_it_is() -> None:
    program = "\n\n-- é\nlocal s = '<b>' & \"\\27[0m\"\r\n"
    shown = re.sub("<[^>]*>", "", text.highlighted(program, ("lua",)))
    plain = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"').replace("&quot;", '"')
    assert plain.replace("&#39;", "'").replace("&amp;", "&") == program.replace("\r", "\u240d")
    assert text.highlighted("x < y", ("no such language",)) == "x &lt; y"


def test_differences_are_bounded() -> None:
    found = text.difference("a\n" * 100_000, "b\na\n" * 100_000 + MEGABYTES)
    assert len(found) < 2 * text.LINES + 10 and max(len(line) for _, line in found) < text.WIDEST + 40
    assert text.difference("a\nb", "a\nc") == [(" ", "a"), ("-", "b"), ("+", "c")]


def test_metrics_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = Metrics(path)
    assert metrics.rows() == []
    path.write_text('{"step": 0}\n{"step": 1, "loss"')
    assert [r["step"] for r in metrics.rows()] == [0]  # half a line is not there yet
    with open(path, "a") as out:
        out.write(': 2.5}\nnonsense\n[1]\n{"step": null}\n')
    assert metrics.rows() == [{"step": 0}, {"step": 1, "loss": 2.5}]
    (tmp_path / "new").write_text('{"step": 0, "again": true}\n')
    (tmp_path / "new").rename(path)  # a resumed run forgets what it does again
    assert metrics.rows() == [{"step": 0, "again": True}]


def test_half_written_files(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "runs/r", 1, [row("p", 0)])
    path = folder / "rollouts/step_000001.parquet"
    path.write_bytes(path.read_bytes()[:100])
    (folder / "config.yaml").write_text("model: {name: [")
    (folder / "bugs").mkdir()
    (folder / "bugs/bugs.json").write_text('{"model"')
    scores = tmp_path / "runs/s"
    scores.mkdir()
    (scores / "scores.json").write_text('{"pass@1": {"value')
    (tmp_path / "runs/empty/rollouts").mkdir(parents=True)
    pages = Pages(Folders([tmp_path / "runs"]))
    assert "runs/r" in pages.index({})
    assert "after step 1" in pages.folder({"name": "runs/r"}) and "No problems" in pages.folder({"name": "runs/s"})
    assert "cannot read" in pages.table({"name": "runs/r", "table": "step_000001"})
    with pytest.raises(DataError, match="cannot read"):
        pages.group({"name": "runs/r", "table": "step_000001", "problem": "p"})


def test_an_evaluation_that_goes_on(tmp_path: Path) -> None:
    rows = pq.read_table(DATA / "scores/after/samples.parquet").to_pylist()[:8]
    parts = tmp_path / "scores/s/samples"
    parts.mkdir(parents=True)
    shutil.copy(DATA / "scores/after/config.yaml", parts.parent)
    pq.write_table(pa.Table.from_pylist([{**r, "verdict": None} for r in rows]), parts / "part_000001.parquet")
    pages = Pages(Folders([tmp_path / "scores"]))
    assert "4 None" in pages.folder({"name": "scores/s"})
    pq.write_table(pa.Table.from_pylist(rows), parts / "part_000002.parquet")  # the later row counts
    page = pages.folder({"name": "scores/s"})
    assert "4 passed" in page and "None" not in page and "running" in page
    failed = rows[0] | {
        "verdict": "wrong_output",
        "failed_test": 1,
        "failed_input": "3 4",
        "expected": "7",
        "got": "<i>12</i>",
    }
    pq.write_table(pa.Table.from_pylist([failed]), parts / "part_000003.parquet")
    group = pages.group({"name": "scores/s", "table": "samples", "problem": failed["problem"]})
    assert "Test 2 failed" in group and "3 4" in group and "&lt;i&gt;12&lt;/i&gt;" in group


def test_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = a_run(tmp_path / "runs/r", 1, [row("p", 0)])
    assert one(folder).state() == "running"  # it wrote just now
    monkeypatch.setattr("study.live.folders.FRESH_S", 0.0)
    assert one(folder).state() == "stopped"
    import os
    import socket

    (folder / ".lock").write_text(f"{socket.gethostname()} {os.getpid()}")
    assert one(folder).state() == "running"
    (folder / ".lock").write_text(f"{socket.gethostname()} {2**22 - 1}")  # nobody's
    assert one(folder).state() == "stopped"
    (folder / ".lock").write_text(f"{socket.gethostname()} {os.getpid()}")
    os.utime(folder / ".lock", (1e9, 1e9))  # of a process that had this number long ago
    assert one(folder).state() == "stopped"
    (folder / ".lock").write_text("elsewhere 1")
    assert one(folder).state() == "running"
    monkeypatch.setattr("study.live.folders.ELSEWHERE_S", 0.0)
    assert one(folder).state() == "stopped"
    (folder / "finished.json").write_text("{}")
    assert one(folder).state() == "finished"


def test_a_run_may_have_any_name(tmp_path: Path) -> None:
    for name in ("teacher", "data", "bugs", "samples"):
        a_run(tmp_path / "runs" / name, 1, [row("p", 0)])
    begun = tmp_path / "runs/begun/teacher"
    begun.mkdir(parents=True)
    (begun.parent / "config.yaml").write_text("seed: 0\n")
    (begun / "samples.parquet").write_bytes(b"")  # of a run that still asks its teacher, and no evaluation
    found = {folder.name: folder.kind for folder in Folders([tmp_path / "runs"]).all()}
    assert found == {f"runs/{name}": "run" for name in ("teacher", "data", "bugs", "samples")}


def test_a_run_that_resamples_is_shown_by_all_that_it_drew(tmp_path: Path) -> None:
    rows = [{"step": 1, "pass@1": 0.5, "drawn/pass@1": 0.1, "reward": 0.5}, {"step": 2, "pass@1": 0.3}]
    assert points(rows, "pass@1") == [(1, 0.1), (2, 0.3)] and points(rows, "reward") == [(1, 0.5)]
    assert Run(tmp_path, {}, rows).series("pass@1") == ([1, 2], [0.1, 0.3])


def test_a_run_of_ten_thousand_steps(tmp_path: Path) -> None:
    """Its page reads no rollouts: those of most steps cannot be read here; a problem's page goes through a hundred."""
    folder = tmp_path / "runs/long"
    a_run(folder, 10_000, [row(f"p{n % 300}", n) for n in range(1200)])
    source = folder / "rollouts/step_010000.parquet"
    (broken := tmp_path / "broken").write_bytes(b"PAR1")
    for step in range(1, 10_000):
        (folder / f"rollouts/step_{step:06d}.parquet").hardlink_to(source if step > 9900 else broken)
    pages = Pages(Folders([tmp_path / "runs"]))
    page = pages.folder({"name": "runs/long"})
    assert len(page) < 150_000 and "cannot read" not in page
    assert page.count("<th scope") == 50 and "page 1 of 201" in page
    assert "page 6 of 6" in pages.table({"name": "runs/long", "table": "step_010000", "page": "999"})
    problem = pages.problem({"name": "runs/long", "problem": "p7", "language": "lua"})
    assert problem.count("<th scope") == 100 and "page 1 of 100" in problem


def test_curves() -> None:
    assert charts.chart("none", []) == ""
    points = [(float(n), 1.0) for n in range(10_000)]
    found = charts.chart("<b>", [charts.Curve("&", "c0", points)])
    assert found.count(",") < 2 * charts.MOST and "<b>" not in found
    assert charts.thinned([(0, 1.0), (1, 3.0)], 1) == [(0.5, 2.0)]
    for low, high in ((0.0, 1.0), (-3e-8, 4e-8), (0.0, 1e12), (5.0, 5.1)):
        ticks = charts.ticks_between(low, high)
        assert 2 <= len(ticks) <= 6 and all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_nothing_outside_is_found(tmp_path: Path) -> None:
    a_run(tmp_path / "runs/r", 1, [row("p", 0)])
    a_run(tmp_path / "secret", 1, [row("p", 0)])
    (tmp_path / "runs/link").symlink_to(tmp_path / "secret")
    folders = Folders([tmp_path / "runs"])
    for name in ("../secret", "runs/../../secret", str(tmp_path / "secret"), "runs/link", ""):
        assert folders.get(name) is None
    with pytest.raises(NotFound):
        Pages(folders).table({"name": "runs/r", "table": "../../secret/rollouts/step_000001"})
    with pytest.raises(DataError, match="is no folder"):
        Folders([tmp_path / "nowhere"])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server over a copy of a run, which may grow."""
    runs = tmp_path / "runs"
    shutil.copytree(DATA / "runs/lua_seed0", runs / "lua_seed0")
    (runs / "lua_seed0/finished.json").unlink()
    server = uvicorn.Server(uvicorn.Config(app(Folders([runs]), ["127.0.0.1"]), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", runs
    server.should_exit = True
    thread.join()


def test_the_server(served: tuple[str, Path]) -> None:
    url, _ = served
    with httpx.Client(base_url=url, trust_env=False) as client:
        page = client.get(address("folder", **NAME))
        assert page.status_code == 200 and "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        same = client.get(address("folder", **NAME), headers={"If-None-Match": page.headers["etag"]})
        assert same.status_code == 304 and not same.content
        whole = client.get(address("whole", **NAME, pick="step_000001:0"))
        assert whole.headers["content-type"].startswith("text/plain") and "nosniff" in str(whole.headers)
        for path in ("/nope", "/folder?name=nope", "/group?name=runs/lua_seed0&table=step_000001&problem=nope"):
            assert client.get(path).status_code == 404
        assert client.post("/").status_code == 405
        rebound = client.get("/", headers={"Host": "evil.example"})  # another site's name for this address
        assert rebound.status_code == 400


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here; Debian has it: apt-get install chromium")
def test_in_a_browser(served: tuple[str, Path], tmp_path: Path) -> None:
    """Each page, wide and narrow, light and dark, fits and complains of nothing; a step comes; keys lead somewhere."""
    url, runs = served
    rows = pq.read_table(runs / "lua_seed0/rollouts/step_000001.parquet").to_pylist()
    rows = [{**r, "program": HOSTILE + "y" * 900, "completion": HOSTILE} for r in rows]
    pq.write_table(pa.Table.from_pylist(rows), runs / "lua_seed0/rollouts/step_000002.parquet")
    group = {**GROUP, "table": "step_000002"}
    every = [
        "/", address("folder", **NAME), address("table", **NAME, table="step_000001"), address("group", **group),
        address("problem", **NAME, problem=GROUP["problem"], language="lua"),
        address("difference", **NAME, pick="step_000001:0") + "&pick=step_000002%3A1",
    ]  # fmt: skip
    with browser(tmp_path / "profile") as tab:
        for number, path in enumerate(every):
            for width, dark in ((1400, number % 2 == 0), (400, number % 2 == 1)):
                tab.open(url + path, width, dark)
                assert tab.value("document.documentElement.scrollWidth") <= width, (path, width)
                light = tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
                assert light is not dark
        tab.open(url + address("folder", **NAME))
        with open(runs / "lua_seed0/metrics.jsonl", "a") as out:
            out.write('{"step": 25, "pass@1": 0.75}\n')
        tab.wait("document.getElementById('state').textContent.includes('after step 25')")
        assert tab.value("document.getElementById('steps').textContent.includes('25')")
        tab.open(url + address("table", **NAME, table="step_000001"))
        tab.press("ArrowRight")
        tab.wait("location.href.includes('step_000002') && document.readyState == 'complete'")
        tab.press("/")
        tab.wait("document.activeElement.type == 'search'")
        tab.open(url + address("group", **group))
        tab.press("j")
        tab.press("j")
        tab.wait("document.activeElement.classList.contains('card')")
        tab.press("u")
        tab.wait("location.pathname == '/table'")
        assert tab.value("window.owned") is None
        assert not tab.said
