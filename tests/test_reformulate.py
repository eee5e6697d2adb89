"""reformulate.py as a user runs it, against a chat server on a real socket, with the real jail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reformulate
from base.errors import UserError
from benchmarks.scripted_endpoint import Raw, ScriptedEndpoint, completion, serve
from problems.problem import read_jsonl
from tests.conftest import ROOT, command, composed
from tests.problems.reformulation import rows
from tests.problems.reformulation.rows import GOOD, fenced, function_of

KEPT = ["mbpp/1", "mbpp/2", "mbpp/3", "mbpp/4", "mbpp/5"]


def arguments(server: ScriptedEndpoint, folder: Path, *more: str) -> list[str]:
    data = folder.parent / "mbpp.jsonl"
    if not data.exists():
        rows.write(data)
    return [
        f"dataset.path={data}",
        f"model.base_url={server.url}",
        "model.name=scripted",
        "model.timeout_s=3",
        "sandbox.workers=1",
        f"run_dir={folder}",
        *more,
    ]


def run_here(*words: str) -> str | None:
    """Runs it in this process, which has paid for the imports already. Returns its error's sentence, or None."""
    try:
        reformulate.run(composed(*words, script="reformulate"))
    except UserError as error:
        return str(error)
    return None


def attempt(request: dict[str, Any]) -> int:
    """Which answer to its task a request asks for, from 0."""
    return len(request["messages"]) // 2


def changed(name: str, **changes: Any) -> str:
    return fenced({**GOOD[name], **changes})


# Of each task, the answers until a good one, each with the reason it must be refused for.
REFUSED: dict[str, list[tuple[str | Raw, str]]] = {
    "sum_squares": [
        ("I am sorry, I cannot do that.", "no_json"),
        (changed("sum_squares", tests=GOOD["sum_squares"]["tests"][:2]), "test_count"),
    ],
    "is_palindrome": [
        (changed("is_palindrome", description="Given a str, is it a palindrome?"), "python_terms"),
        (
            changed("is_palindrome", tests=[{"input": "level", "output": "no"}, {"input": "lever", "output": "yes"}]),
            "outputs",
        ),
    ],
    "shared": [
        (completion(fenced(GOOD["shared"])[:300], "length"), "cut_off"),
        (changed("shared", reader="def reader(text):\n    return ([1], [2])"), "arguments"),
    ],
    "row_means": [
        (changed("row_means", reader="def reader(text):\n    return (int(text),)"), "program"),
        (changed("row_means", printer="def printer(value):\n    while True: pass"), "program"),
    ],
    "balanced": [
        (changed("balanced", reader="import os, sys\nsys.stderr = None\nos._exit(0)"), "outputs"),
        (changed("balanced", printer="def printer(value):\n    return value"), "program"),
    ],
}


def corrected(request: dict[str, Any]) -> str | Raw:
    """A model that errs twice on every task, and then does well."""
    name = function_of(request)
    return [*(answer for answer, _ in REFUSED[name]), fenced(GOOD[name])][attempt(request)]


def with_troubles(script: Callable[[dict[str, Any]], str | Raw]) -> Callable[[dict[str, Any]], str | Raw]:
    """A server that answers each request only after all that servers do: silence, 429, half a JSON, garbage."""
    seen: dict[str, int] = {}
    lock = threading.Lock()

    def troubled(request: dict[str, Any]) -> str | Raw:
        key = json.dumps(request)
        with lock:
            number = seen[key] = seen.get(key, -1) + 1
        if attempt(request) or number > 1:
            return script(request)
        first = {
            "sum_squares": Raw(body=completion("late").body, delay_s=4),
            "is_palindrome": Raw(429, b"busy", {"Retry-After": "1"}),
            "shared": Raw(body=completion("half").body[:50], cut=True),
            "row_means": Raw(body=b"\x00\xff garbage"),
            "balanced": Raw(500),
        }
        return first[function_of(request)] if number == 0 else script(request)

    return troubled


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A whole run: its folder, what it printed, the server's requests, and a second run from the kept answers."""
    folder = tmp_path_factory.mktemp("reformulate") / "run"
    with serve(with_troubles(corrected)) as server:
        done = run_here(*arguments(server, folder))
        requests = list(server.requests)
        again = folder.parent / "again"
        again.mkdir()
        (again / "chat.jsonl").write_bytes((folder / "chat.jsonl").read_bytes())
        rerun = run_here(*arguments(server, again))
        return folder, done, requests, rerun, again, len(server.requests)


def test_good_rows_are_kept_in_order(finished: Any) -> None:
    folder, done, *_ = finished
    assert done is None
    found = list(read_jsonl(folder / "problems.jsonl"))
    assert [problem.id for problem in found] == KEPT
    assert found[0].statement == GOOD["sum_squares"]["description"]
    assert found[0].output_format == GOOD["sum_squares"]["output_format"]
    ended = [test | {"input": test["input"] + "\n"} for test in GOOD["row_means"]["tests"]]  # as every program reads it
    assert [test._asdict() for test in found[3].tests] == ended


def test_refusals_are_right_and_told_to_the_model(finished: Any) -> None:
    folder, _, requests, *_ = finished
    report = json.loads((folder / "report.json").read_text())
    assert (report["tasks"], report["kept"], report["kept_and_run"], report["dropped"]) == (7, 5, 5, 2)
    assert report["kept_after_refusals"] == 5
    assert report["dropped_by_reason"] == {"source": 2}
    done = {row["id"]: row for row in map(json.loads, (folder / "rows.jsonl").read_text().splitlines())}
    for number, (name, answers) in enumerate(REFUSED.items(), start=1):
        refusals = done[str(number)]["refusals"]
        assert [refusal["reason"] for refusal in refusals] == [reason for _, reason in answers], name
        told = [r["messages"] for r in requests if function_of(r) == name and attempt(r) == 2][-1]
        assert [message["role"] for message in told] == ["user", "assistant", "user", "assistant", "user"]
        assert refusals[0]["detail"] in told[2]["content"] and refusals[1]["detail"] in told[4]["content"]
    assert (
        "reader gives ([1], [2]) where the assertion has ((3, 4, 5), (5, 4, 9))" in done["3"]["refusals"][1]["detail"]
    )
    assert "is 'yes', but the test's output is 'no'" in done["2"]["refusals"][1]["detail"]
    assert "root, which is no plain value" in done["6"]["refusals"][0]["detail"]
    assert "fails its own assertions" in done["7"]["refusals"][0]["detail"]
    markdown = (folder / "report.md").read_text()
    assert "| 7 | 5 | 5 | 5 | 2 | 0 |" in markdown and "| 6 | source |" in markdown


def test_every_request_and_answer_is_kept(finished: Any) -> None:
    folder, _, requests, *_ = finished
    kept = [json.loads(line) for line in (folder / "chat.jsonl").read_text().splitlines()]
    assert len(kept) == len(requests)
    assert sum("answer" in row for row in kept) == 15
    errors = " ".join(row["error"] for row in kept if "error" in row)
    for trouble in ("no answer in 3 s", "HTTP 429", "the connection broke", "no chat completion", "HTTP 500"):
        assert trouble in errors
    report = json.loads((folder / "report.json").read_text())
    assert report["completion_tokens"] == 15 * 3


def test_a_rerun_from_the_kept_answers_is_the_same(finished: Any) -> None:
    folder, _, requests, rerun, again, asked = finished
    assert rerun is None
    assert asked == len(requests)
    for name in ("problems.jsonl", "report.json", "report.md"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_what_never_comes_right_is_dropped_with_the_reason(tmp_path: Path) -> None:
    with serve(lambda request: changed(function_of(request), description="A tuple.")) as server:
        assert run_here(*arguments(server, tmp_path / "run", "limit=2", "attempts=2")) is None
        assert len(server.requests) == 4
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["dropped_by_reason"] == {"python_terms": 2}
    assert report["dropped_tasks"][0]["detail"] == "\"description\" uses words of Python or of the function: 'tuple'"
    assert (tmp_path / "run/problems.jsonl").read_text() == ""


def test_ctrl_c_loses_nothing_and_the_same_command_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    hold = threading.Event()

    def script(request: dict[str, Any]) -> str:
        if function_of(request) in ("row_means", "balanced"):
            hold.wait(60)
        return fenced(GOOD[function_of(request)])

    with serve(script) as server:
        words = arguments(server, folder, "model.timeout_s=60")
        process = subprocess.Popen(
            command(*words, script="reformulate.py"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 120
        while len(lines(folder)) < 5 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        said = [line for line in err.splitlines() if not line.startswith("sandbox: ")]  # of a container's level
        assert len(said) == 1 and said[0].startswith("error: interrupted; what is done is in"), err
        report = json.loads((folder / "report.json").read_text())
        assert (report["kept"], report["dropped"], report["open"]) == (3, 2, {"4": "not reached", "5": "not reached"})
        asked = len(server.requests)
        with open(folder / "rows.jsonl", "a") as file:
            file.write('{"id": "4", "kept"')  # what a kill leaves
        hold.set()
        assert run_here(*words) is None
        assert len(server.requests) == asked + 2
    assert [problem.id for problem in read_jsonl(folder / "problems.jsonl")] == KEPT


def lines(folder: Path) -> list[str]:
    path = folder / "rows.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def test_a_dead_endpoint_is_one_sentence_and_nothing_is_lost(tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> str | Raw:
        return fenced(GOOD["sum_squares"]) if function_of(request) == "sum_squares" else Raw(401, b"no")

    with serve(script) as server:
        words = arguments(server, tmp_path / "run", "limit=2", "model.concurrency=1")
        said = run_here(*words)
        assert said is not None and said.startswith("model.key_env: ")
        report = json.loads((tmp_path / "run/report.json").read_text())
        assert report["kept"] + len(report["open"]) == 2 and report["open"]
        (tmp_path / "run/rows.jsonl").write_text("{}\n")
        assert "rows.jsonl, byte 0: no row of a reformulation" in str(run_here(*words))
        assert "was started with another attempts" in str(run_here(*words, "attempts=9"))


def test_questions_without_answers_stay_open(tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> str | Raw:
        return fenced(GOOD["sum_squares"]) if function_of(request) == "sum_squares" else Raw(400, b"too long")

    with serve(script) as server:
        said = run_here(*arguments(server, tmp_path / "run", "limit=2"))
    assert "1 tasks are open" in str(said)
    assert json.loads((tmp_path / "run/report.json").read_text())["open"] == {"2": "HTTP 400: too long"}
    assert [problem.id for problem in read_jsonl(tmp_path / "run/problems.jsonl")] == ["mbpp/1"]


def test_a_talk_that_outgrows_the_model_is_dropped(tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> str | Raw:
        return (
            Raw(400, b"too long")
            if len(request["messages"]) > 3
            else changed(function_of(request), description="A tuple.")
        )

    with serve(script) as server:
        assert run_here(*arguments(server, tmp_path / "run", "limit=1")) is None
    assert json.loads((tmp_path / "run/report.json").read_text())["dropped_by_reason"] == {"python_terms": 1}


def test_tasks_that_changed_under_the_same_path_are_noticed(tmp_path: Path) -> None:
    with serve(lambda request: fenced(GOOD[function_of(request)])) as server:
        words = arguments(server, tmp_path / "run")
        assert run_here(*words, "limit=1") is None
        data = tmp_path / "mbpp.jsonl"
        data.write_text(data.read_text().replace("Write", "Please write", 1))
        assert "the problems of dataset.split are not those" in str(run_here(*words, "limit=1"))
    assert [problem.id for problem in read_jsonl(tmp_path / "run/problems.jsonl")] == ["mbpp/1"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("dataset.path=nowhere.jsonl", "dataset.path: there is no file nowhere.jsonl"),
        ("model.base_url=nonsense", "model.base_url is 'nonsense'"),
        ("dataset=ladder", "dataset=ladder is no set of tasks with unit tests"),
    ],
)
def test_bad_input_is_one_sentence(more: str, sentence: str, tmp_path: Path) -> None:
    words = ["model.name=x", "model.base_url=http://localhost:1/v1", f"run_dir={tmp_path}/run"]
    if more != "dataset=ladder":
        words.append(f"dataset.path={rows.write(tmp_path / 'mbpp.jsonl')}")
    assert sentence in str(run_here(*words, more))


def test_a_mistake_is_said_without_waiting_for_torch() -> None:
    """Loading torch takes seconds, on a busy machine many; who asks a model elsewhere needs none of it."""
    script = "import sys, reformulate; print({'torch', 'transformers', 'datasets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_a_missing_key_is_one_sentence() -> None:
    assert str(run_here("dataset.path=DATA")).startswith("model.name is not given; model=endpoint needs")
