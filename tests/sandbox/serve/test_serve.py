"""The service over a real pool: what it answers, what it refuses, and that it loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import languages
from sandbox.pool import Pool
from sandbox.serve.app import NDJSON, Service, build
from sandbox.verify import Arguments

LUA = languages.load("lua")
SHELL = replace(LUA, name="sh", fence=("sh",))
COMPILED = replace(LUA, name="compiled")
SERVED = Arguments((LUA, SHELL, COMPILED))
ROOT = Path(__file__).parents[3]
TESTS = [{"input": "1", "output": "2"}]


def job(program: str = "print(io.read('n') + 1)", **more: Any) -> dict[str, Any]:
    return {"id": "a", "program": program, "tests": TESTS} | more


def serving(pool: Pool, **settings: Any) -> TestClient:
    return TestClient(build(pool, Service(SERVED, pool.workers, **settings)), base_url="http://localhost")


@pytest.fixture(scope="module")
def client(pool: Pool) -> Iterator[TestClient]:
    with serving(pool, queue=20, deadline_s=20, request_mb=0.05) as client:
        yield client


def metric(client: TestClient, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_job_gets_its_verdict(client: TestClient) -> None:
    verdict = client.post("/verify", json=job()).json()
    assert (verdict["id"], verdict["status"]) == ("a", "passed")
    assert verdict["tests"][0]["stdout"] == "2\n"


def test_a_completion_holds_the_program(client: TestClient) -> None:
    row = {"id": "a", "completion": "So:\n```lua\nprint(2)\n```\n", "tests": TESTS}
    assert client.post("/verify", json=row).json()["status"] == "passed"
    assert client.post("/verify", json=row | {"completion": "I pass."}).json()["status"] == "no_program"


def test_a_batch_comes_back_in_its_order(client: TestClient) -> None:
    rows = [job("os.execute('sleep 0.3') print(2)", id="slow"), job("print(3)", id="wrong"), job(id="right")]
    verdicts = client.post("/verify", json=rows).json()
    assert [(row["id"], row["status"]) for row in verdicts] == [
        ("slow", "passed"),
        ("wrong", "wrong_output"),
        ("right", "passed"),
    ]
    assert client.post("/verify", json=[]).json() == []


def test_lines_are_judged_one_by_one_and_a_bad_one_harms_none(client: TestClient) -> None:
    lines = "\n".join([json.dumps(job(id="x")), "nonsense", "", json.dumps(job("error()", id="x"))])
    answer = client.post("/verify", content=lines, headers={"content-type": NDJSON})
    rows = {row["line"]: row for row in map(json.loads, answer.text.splitlines())}
    assert sorted(rows) == [1, 2, 4]
    assert (rows[1]["status"], rows[4]["status"]) == ("passed", "runtime_error")
    assert rows[2]["error"].startswith("line 2: not JSON")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (job(tests=[]), "the job: key 'tests' is missing or empty"),
        (job(language="cobol"), "the job: language 'cobol' is not one of those given: lua, sh, compiled"),
        ([job(), job(limits={"speed": 1})], "job 1: unknown key 'limits.speed'"),
        (3, "the job: a job is a JSON object, not int"),
        (job(tests=TESTS * 1001), "job 'a' has 1001 tests, and the service takes 1000 at most"),
    ],
)
def test_what_is_no_job_is_refused_with_a_sentence(client: TestClient, body: Any, words: str) -> None:
    answer = client.post("/verify", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(words)


def test_a_content_type_is_the_same_in_capitals(client: TestClient) -> None:
    headers = {"content-type": "Application/JSON; charset=UTF-8"}
    assert client.post("/verify", content=json.dumps(job()), headers=headers).json()["status"] == "passed"


def test_a_form_is_refused(client: TestClient) -> None:
    """Any web page may make a browser send one here, without asking."""
    assert client.post("/verify", content=json.dumps(job()), headers={"content-type": "text/plain"}).status_code == 415


def test_a_request_for_another_host_is_refused(client: TestClient) -> None:
    assert client.post("/verify", json=job(), headers={"host": "evil.example"}).status_code == 400


def test_a_large_request_is_refused_however_it_comes(client: TestClient) -> None:
    before = metric(client, 'agnostics_verifier_refused_total{status="413"}')
    body = json.dumps(job("--" + "x" * 60_000)).encode()
    headers = {"content-type": "application/json"}
    assert client.post("/verify", content=body, headers=headers).status_code == 413
    assert client.post("/verify", content=iter([body[:9], body[9:]]), headers=headers).status_code == 413
    assert client.post("/run_code", content=iter([body[:9], body[9:]]), headers=headers).status_code == 413
    assert metric(client, 'agnostics_verifier_refused_total{status="413"}') == before + 3


def test_a_full_queue_answers_429_and_has_room_again(client: TestClient) -> None:
    rows = [job(f"os.execute('sleep 0.2') print(2) -- {n}", id=str(n)) for n in range(18)]
    large = threading.Thread(target=client.post, args=("/verify",), kwargs={"json": rows})
    large.start()
    while not metric(client, "agnostics_verifier_jobs_pending"):
        time.sleep(0.01)
    answer = client.post("/verify", json=[job()] * 19)
    assert answer.status_code == 429 and answer.headers["retry-after"]
    assert re.fullmatch(r"the queue holds \d+ of 20 jobs, and has no room for 19 more", answer.json()["detail"])
    large.join()
    assert all(row["status"] == "passed" for row in client.post("/verify", json=[job()] * 20).json())
    assert metric(client, "agnostics_verifier_jobs_pending") == 0


def test_what_the_queue_could_never_hold_is_to_be_sent_in_several(client: TestClient) -> None:
    lines = client.post("/verify", content="1\n" * 21, headers={"content-type": NDJSON})
    for answer, has in ((client.post("/verify", json=[job()] * 21), "21"), (lines, "more lines")):
        assert answer.status_code == 413
        assert answer.json()["detail"] == f"the queue holds 20 jobs, and this request has {has}: send them in several"


def test_at_the_deadline_what_has_no_verdict_is_no_failure_of_the_program(client: TestClient) -> None:
    rows = [job(f"os.execute('sleep 1') print(2) -- {n}", id=str(n)) for n in range(8)]
    verdicts = client.post("/verify?deadline_s=1.5", json=rows).json()
    assert [row["id"] for row in verdicts] == [str(n) for n in range(8)]
    assert verdicts[0]["status"] == "passed"
    assert verdicts[7]["status"] == "infrastructure_error"
    assert verdicts[7]["message"] == "no verdict within the request's deadline of 1.5 s"
    assert metric(client, "agnostics_verifier_jobs_pending") == 0
    began = time.monotonic()  # what had not begun was dropped: 8 s of sleep are not waited for
    assert client.post("/verify", json=job()).json()["status"] == "passed"
    assert time.monotonic() - began < 5
    assert client.post("/verify?deadline_s=21", json=job()).status_code == 422


def test_a_token_is_asked_for(pool: Pool) -> None:
    with serving(pool, token="s3cret") as client:
        headers = {"content-type": "application/json"}
        for login in ({}, {"authorization": "Bearer S3cret"}, {"authorization": "Basic !"}):
            answer = client.post("/verify", json=job(), headers=headers | login)
            assert answer.status_code == 401, login
        assert client.get("/metrics").status_code == 401
        assert client.get("/health").json() == {"status": "ok", "languages": ["lua", "sh", "compiled"]}
        assert client.get("/metrics", headers={"authorization": "Bearer s3cret"}).status_code == 200
        assert client.post("/verify", json=job(), auth=("any", "s3cret")).json()["status"] == "passed"
        elsewhere = {"authorization": "Bearer s3cret", "host": "verifier.example"}
        assert client.post("/verify", json=job(), headers=elsewhere).status_code == 200


def test_the_page_of_the_service_describes_it(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/verify", "/run_code", "/submit", "/health", "/metrics"} <= set(paths)
    assert "application/x-ndjson" in paths["/verify"]["post"]["requestBody"]["content"]


def test_prometheus_sees_each_verdict(client: TestClient) -> None:
    name = 'agnostics_verifier_jobs_total{language="lua",status="wrong_output"}'
    before = metric(client, name)
    client.post("/verify", json=[job("print(0)"), job("print(1)")])
    assert metric(client, name) == before + 2


# SandboxFusion's pages


def run_code(client: TestClient, code: str, language: str = "sh", **more: Any) -> dict[str, Any]:
    answer = client.post("/run_code", json={"code": code, "language": language} | more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_run_code_shows_what_a_program_does(client: TestClient) -> None:
    found = run_code(client, "read x; echo $x; echo bad >&2", stdin="7")
    assert (found["status"], found["run_result"]["stdout"], found["run_result"]["stderr"]) == (
        "Success",
        "7\n",
        "bad\n",
    )
    assert found["compile_result"] is None
    failed = run_code(client, "exit 3")
    assert (failed["status"], failed["run_result"]["return_code"]) == ("Failed", 3)
    assert run_code(client, "kill -9 $$")["run_result"]["return_code"] == -9


def test_run_code_keeps_a_long_output_whole(client: TestClient) -> None:
    assert run_code(client, "head -c 100000 /dev/zero | tr '\\0' x")["run_result"]["stdout"] == "x" * 100_000


def test_run_code_says_what_was_late_and_what_did_not_compile(client: TestClient) -> None:
    late = run_code(client, "sleep 9", run_timeout=0.3)
    assert (late["status"], late["run_result"]["status"]) == ("Failed", "TimeLimitExceeded")
    broken = run_code(client, "if", "compiled")
    assert broken["status"] == "Failed" and broken["run_result"] is None
    assert broken["compile_result"]["return_code"] != 0


def test_run_code_refuses_what_it_does_not_have(client: TestClient) -> None:
    for more in ({"files": {"a": ""}}, {"fetch_files": ["a"]}, {"args": ["-v"]}, {"language": "verilog"}):
        answer = client.post("/run_code", json={"code": "", "language": "sh"} | more)
        assert answer.status_code == 422 and answer.json()["detail"], more


def submission(completion: str, **config: Any) -> dict[str, Any]:
    cases = [{"input": {"stdin": n}, "output": {"stdout": f"{n}.0"}} for n in ("1", "2")]
    config = {"language": "lua", "provided_data": {"id": 5, "test": cases}} | config
    return {"dataset": "mine", "id": 5, "completion": completion, "config": config}


def test_submit_judges_a_completion(client: TestClient) -> None:
    right = client.post("/submit", json=submission("```lua\nprint(io.read())\n```")).json()
    assert (right["id"], right["accepted"], right["extracted_code"]) == (5, True, "print(io.read())\n")
    assert [case["passed"] for case in right["tests"]] == [True, True]
    wrong = client.post("/submit", json=submission("```lua\nprint(1)\n```")).json()
    assert not wrong["accepted"] and [case["passed"] for case in wrong["tests"]] == [True, False]
    strict = {"extra": {"compare": {"rule": "exact"}, "run_all_cases": True}}
    exact = client.post("/submit", json=submission("```lua\nprint(io.read())\n```", **strict)).json()
    assert not exact["accepted"] and len(exact["tests"]) == 2
    empty = client.post("/submit", json=submission("I pass.")).json()
    assert not empty["accepted"] and (empty["extracted_code"], empty["extracted_type"]) == ("", "empty")


def test_submit_takes_tests_as_a_data_set_has_them_in_a_column(client: TestClient) -> None:
    cases = [{"input": {"stdin": "1"}, "output": {"stdout": "1"}}]
    for text, status in ((json.dumps(cases), 200), ("[", 422), ('{"input": 1}', 422)):
        answer = client.post("/submit", json=submission("```lua\nprint(1)\n```", provided_data={"test": text}))
        assert answer.status_code == status and (status == 422 or answer.json()["accepted"])


def test_submit_refuses_data_sets_that_are_not_here(client: TestClient) -> None:
    for config in (
        {"provided_data": None},
        {"dataset_type": "HumanEvalDataset"},
        {"custom_extract_logic": "x"},
        {"provided_data": {"test": [{"input": {"stdin": "", "a.txt": ""}, "output": {"stdout": ""}}]}},
    ):
        assert client.post("/submit", json=submission("", **config)).status_code == 422, config


def test_submit_refuses_an_output_that_no_program_can_print(pool: Pool) -> None:
    cases = [{"input": {"stdin": ""}, "output": {"stdout": "x" * (6 << 20)}}]
    config = {"provided_data": {"id": 5, "test": cases}, "extra": {"compare": {"rule": "exact"}}}
    with serving(pool, request_mb=8) as client:
        answer = client.post("/submit", json=submission("", **config))
    assert answer.status_code == 422 and "no program can print it" in answer.text


def test_jobs_of_a_client_that_went_before_the_first_line_are_dropped(pool: Pool) -> None:
    body = "\n".join(json.dumps(job(f"os.execute('sleep 0.2') print(2) -- {n}")) for n in range(30)).encode()
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body}]
    headers = [(b"host", b"localhost"), (b"content-type", NDJSON.encode())]
    scope = {"type": "http", "method": "POST", "path": "/verify", "query_string": b"", "headers": headers}

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)

    async def leave() -> str:
        app: Any = build(pool, Service(SERVED, pool.workers))
        await app(scope, receive, send)
        await asyncio.sleep(0.1)
        answer = await app.router.routes[-1].endpoint()
        return str(answer.body.decode())

    assert "\nagnostics_verifier_jobs_pending 0.0\n" in asyncio.run(leave())


# the command


def start(*words: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sandbox.serve", "language=lua", "workers=1", "port=0", *words]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)


def test_told_to_stop_it_answers_what_it_has_and_ends(tmp_path: Path) -> None:
    with start() as service:
        assert service.stderr
        said = []
        while not (address := re.search(r"http://\S+:\d+", line := service.stderr.readline())):
            said.append(line)  # a container's level, first
            assert line, said
        body = json.dumps(job("os.execute('sleep 1') print(2)")).encode()
        request = urllib.request.Request(f"{address[0]}/verify", body, {"content-type": "application/json"})
        answers: list[dict[str, Any]] = []

        def ask() -> None:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answers.append(json.load(answer))

        thread = threading.Thread(target=ask)
        thread.start()
        while not answers:  # the program has begun to sleep
            with urllib.request.urlopen(f"{address[0]}/metrics", timeout=60) as page:
                if b"jobs_pending 1.0" in page.read():
                    break
        assert not answers
        service.send_signal(signal.SIGTERM)
        thread.join(60)
        assert service.wait(60) == 0
        assert [answer["status"] for answer in answers] == ["passed"]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("host=0.0.0.0", "host=0.0.0.0 is open to other machines: set a token"),
        ("host=nowhere.invalid", "is open to other machines"),
        ("port=70000", "port is '70000'; it must be at least 0 and at most 65535"),
        ("workers=0", "workers is '0'; it must be at least 1"),
        ("color=red", "unknown argument 'color=red'"),
    ],
)
def test_what_it_cannot_do_is_a_sentence(word: str, sentence: str) -> None:
    import contextlib
    import io

    from sandbox.serve.__main__ import main

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["language=lua", word]) == 2
    assert sentence in said.getvalue()
