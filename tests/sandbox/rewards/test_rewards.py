"""The adapters without their trainers: what they ask the verifier, and what they make of its answers."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

import languages
from base.errors import DataError
from sandbox.job import SandboxError, Status
from sandbox.pool import Pool
from sandbox.rewards import judge, trl, verl
from sandbox.serve.app import Service, build
from sandbox.verify import Arguments

TESTS = [{"input": "1", "output": "2"}]
RIGHT, WRONG = "```lua\nprint(2)\n```", "```lua\nprint(3)\n```"


@pytest.fixture(scope="module")
def service(pool: Pool) -> Iterator[str]:
    """The address of a real server that wants a token."""
    arguments = Arguments((languages.load("lua"),))
    server = uvicorn.Server(uvicorn.Config(build(pool, Service(arguments, 1, "tok", queue=15)), log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://any:tok@127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_more_jobs_than_the_services_queue_holds_are_sent_in_several(service: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(judge.ADDRESS, service)
    rows = [{"completion": (RIGHT, WRONG)[n % 3 > 0], "language": "lua", "tests": TESTS} for n in range(40)]
    assert [status is Status.PASSED for status in judge.statuses(rows)] == [n % 3 == 0 for n in range(40)]


@pytest.fixture(params=["here", "service"])
def verifier(request: pytest.FixtureRequest, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(judge.ADDRESS, raising=False)
    if request.param == "service":
        monkeypatch.setenv(judge.ADDRESS, request.getfixturevalue("service"))
    else:
        monkeypatch.setattr(judge, "_pool", lambda language: pool)


@pytest.mark.usefixtures("verifier")
def test_statuses_come_in_the_order_of_the_rows() -> None:
    rows = [{"completion": text, "language": "lua", "tests": TESTS} for text in (WRONG, RIGHT, "I pass.")]
    assert judge.statuses(rows) == [Status.WRONG_OUTPUT, Status.PASSED, Status.NO_PROGRAM]
    assert judge.statuses([]) == []


@pytest.mark.usefixtures("verifier")
def test_trl_gets_a_reward_for_each_completion() -> None:
    said = [{"role": "assistant", "content": RIGHT}]
    columns: dict[str, Any] = {"compare": [{"rule": "tokens", "tolerance": None}] * 3, "topic": ["x"] * 3}
    found = trl.passes_tests(["p"] * 3, [RIGHT, WRONG, said], ["lua"] * 3, [TESTS] * 3, **columns)
    assert found == [1.0, 0.0, 1.0]


@pytest.mark.usefixtures("verifier")
def test_verl_gets_a_score() -> None:
    truth = {"language": "lua", "tests": TESTS}
    assert verl.compute_score("mine", RIGHT, json.dumps(truth), extra_info={})["score"] == 1.0
    assert verl.compute_score("mine", WRONG, truth)["score"] == 0.0
    with pytest.raises(DataError, match="mine: ground_truth must be an object with the keys"):
        verl.compute_score("mine", RIGHT, "{}")


def test_requests_are_cut_where_they_would_be_too_large(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(judge.ADDRESS, service)
    monkeypatch.setattr(judge, "REQUEST_BYTES", 100)
    rows = [{"completion": text, "language": "lua", "tests": TESTS} for text in (WRONG, RIGHT, RIGHT)]
    assert judge.statuses(rows) == [Status.WRONG_OUTPUT, Status.PASSED, Status.PASSED]


def test_a_token_that_is_wrong_is_a_sentence(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(judge.ADDRESS, service.replace("tok", "no"))
    with pytest.raises(SandboxError, match="answers 401"):
        judge.statuses([{"completion": RIGHT, "language": "lua", "tests": TESTS}])


def test_a_failure_of_the_sandbox_is_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, right, wrong = Status.INFRASTRUCTURE_ERROR, Status.PASSED, Status.WRONG_OUTPUT
    monkeypatch.setattr(trl, "statuses", lambda rows: [right, failed, wrong, failed, right])
    rewards = trl.passes_tests(["a", "a", "a", "b", "c"], [RIGHT] * 5, ["lua"] * 5, [TESTS] * 5)
    assert rewards == [1.0, 0.5, 0.0, 0.0, 1.0]
    monkeypatch.setattr(verl, "statuses", lambda rows: [failed])
    with pytest.raises(SandboxError, match="no score"):
        verl.compute_score("mine", RIGHT, {"language": "lua", "tests": TESTS})
