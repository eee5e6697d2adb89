"""study.advise with scripted models behind a real server, Lua in the real jail, and once with the tiny policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import languages
from base.errors import UserError
from benchmarks.scripted_endpoint import Raw, ScriptedEndpoint, serve
from problems.problem import Problem, write_jsonl
from sandbox.answer.markdown import fenced
from sandbox.job import Status, Test, TestResult, Verdict
from study import advise
from tests.conftest import ROOT

ADVICE = " ".join(f"Mind rule {number} of Lua." for number in range(12))
GOOD = 'print(io.read("*n") + io.read("*n"))'
FAULTY = ["int x = 1", "print(io.read('*n')", "local s = nil\nprint(s.length)"]


def problems(path: Path, count: int = 8) -> Path:
    tests = ((Test("2 3", "5"), Test(f"{n} 1", str(n + 1))) for n in range(count))
    write_jsonl(path, [Problem(f"sum/{n}", f"Add number {n}.", pair) for n, pair in enumerate(tests)])
    return path


def run(server: ScriptedEndpoint, folder: Path, *more: str, tiny: bool = False) -> dict[str, Any] | str:
    """The report, or the sentence of an error."""
    data = problems(folder / "problems.jsonl")
    words = [
        "language=lua",
        "dataset=jsonl",
        f"dataset.train={data}",
        "dataset.heldout=none",
        *(["model=tiny"] if tiny else ["model=endpoint", f"model.base_url={server.url}", "model.name=scripted"]),
        f"advisor.base_url={server.url}",
        "advisor.name=scripted",
        "samples=3",
        "sandbox.workers=1",
        f"run_dir={folder / 'run'}",
    ]
    advise.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("advise", [*words, *more])
    OmegaConf.resolve(config)
    try:
        return advise.run(config)
    except UserError as error:
        return str(error)


def fence(program: str) -> str:
    return f"```lua\n{program}\n```"


def script(advice: str | list[str], with_advice: str = GOOD, without: list[str] = FAULTY) -> Any:
    """A model that writes `without`, but `with_advice` once it is advised; the advisor gives the answers in turn."""
    given = iter([advice] if isinstance(advice, str) else advice)

    def answer(request: dict[str, Any]) -> list[str] | str | Raw:
        text = request["messages"][0]["content"]
        if "faulty" in text:
            return next(given)
        return [fence(with_advice)] * request["n"] if ADVICE in text else [fence(program) for program in without]

    return answer


def test_advice_that_helps_becomes_a_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(script(ADVICE)) as server:
        report = run(server, tmp_path, "rollout.top_p=0.75", "rollout.temperature=0.5")
        written = [r for r in server.requests if "faulty" not in r["messages"][0]["content"]]
        assert {(r["top_p"], r["temperature"]) for r in written} == {(0.75, 0.5)}
        asked = [r["messages"][0]["content"] for r in server.requests if "faulty" in r["messages"][0]["content"]]
        assert run(server, tmp_path, "rollout.top_p=0.75", "rollout.temperature=0.5") == report
        assert len(server.requests) == 4 + 1 + 4 + 4  # the second run asked nothing
    assert isinstance(report, dict)
    assert (report["pass@1_without"], report["pass@1_with"], report["confidence"]) == (0.0, 1.0, 1.0)
    for program in FAULTY:
        assert program in asked[0]
    assert "lua" in asked[0] and "'=' expected near 'x'" in asked[0] and "attempt to index local 's'" in asked[0]
    assert report["faulty"] == 3
    monkeypatch.setenv("AGNOSTICS_LANGUAGES", str(tmp_path / "run"))
    advised, plain = languages.load("lua_advised"), languages.load("lua")
    assert advised.prompt == f"{plain.prompt}\n\n{ADVICE}"
    assert (advised.title, advised.fence, advised.execute) == (plain.title, plain.fence, plain.execute)
    assert json.loads((tmp_path / "run/report.json").read_text()) == report


def test_advice_that_does_not_help_is_not_written(tmp_path: Path) -> None:
    with serve(script(ADVICE, with_advice=FAULTY[0])) as server:
        report = run(server, tmp_path)
    assert isinstance(report, dict)
    assert (report["file"], report["pass@1_with"], report["confidence"]) == (None, 0.0, 0.0)
    assert not list((tmp_path / "run").glob("*.yaml"))


def test_a_model_without_mistakes_needs_no_advice(tmp_path: Path) -> None:
    with serve(script(ADVICE, without=[GOOD, GOOD, "print(7)"])) as server:
        report = run(server, tmp_path)
    assert isinstance(report, dict)
    assert report["faulty"] == 0 and "nothing to say" in report["why"]


def test_an_advisor_is_told_what_is_wrong_with_its_answer(tmp_path: Path) -> None:
    with serve(script(["Too short.", f"{ADVICE}\n```lua\nx\n```", ADVICE])) as server:
        report = run(server, tmp_path)
        assert isinstance(report, dict) and report["advice"] == ADVICE
        told = next(r["messages"] for r in server.requests if len(r["messages"]) == 5)
    assert told[2]["content"].startswith("That has 1 sentences.")
    assert told[4]["content"].startswith("That has 12 sentences, and a code block.")


def test_an_advisor_that_gives_no_advice(tmp_path: Path) -> None:
    with serve(script(["No."] * 3)) as server:
        assert run(server, tmp_path) == "advisor: 3 answers, none of 10 to 20 sentences; a larger model may do"
        assert "two at least are needed" in str(run(server, tmp_path, "problems=1"))


def test_the_tiny_policy_of_this_machine(tmp_path: Path) -> None:
    """It is too small to be helped: what is tested is the way to a local model, and that its errors are its own."""
    with serve(script(ADVICE)) as server:
        report = run(server, tmp_path, "problems=4", "samples=4", "rollout.max_new_tokens=48", tiny=True)
    assert isinstance(report, dict)
    assert report["model"] == "tiny" and report["programs"] == 8
    kept = [json.loads(line) for line in (tmp_path / "run/model.jsonl").read_text().splitlines()]
    assert all(len(row["answer"]["choices"]) == 4 for row in kept)


def result(status: Status, error: str) -> Verdict:
    return Verdict("x", status, tests=(TestResult(status, stderr=error),), compile=TestResult(status, stderr=error))


def test_faulty_programs_of_as_many_kinds_as_there_are() -> None:
    problem = Problem("x", "x", (Test("", ""),))
    found = [
        advise.Attempt(problem, "long program", result(Status.COMPILE_ERROR, "line 7: no 'a'")),
        advise.Attempt(problem, "short", result(Status.COMPILE_ERROR, "line 12: no 'bcd'")),
        advise.Attempt(problem, "short", result(Status.COMPILE_ERROR, "line 12: no 'bcd'")),
        advise.Attempt(problem, "other", result(Status.RUNTIME_ERROR, "nil value")),
        advise.Attempt(problem, "wrong", result(Status.WRONG_OUTPUT, "")),
        advise.Attempt(problem, None, result(Status.NO_PROGRAM, "")),
    ]
    assert [program for program, _ in advise.faulty(found, 9)] == ["short", "other", "long program"]
    assert [program for program, _ in advise.faulty(found, 2)] == ["short", "other"]


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("One. Two! Three?", 3), ('He said "stop." Then 1.5 is one number.', 2), ("io.read is called.", 1)],
)
def test_sentences(text: str, count: int) -> None:
    assert advise.sentences(text) == count


def test_a_problem_without_a_verdict_is_no_failure() -> None:
    problem = Problem("p", "", (Test("", ""),))
    passed, broken = (
        [advise.Attempt(problem, "", Verdict("p", status))] for status in (Status.PASSED, Status.INFRASTRUCTURE_ERROR)
    )
    assert advise.shares([passed, broken, passed + broken]) == [1.0, None, 1.0]


def test_confidence() -> None:
    assert advise.confidence([0.0] * 10, [1.0] * 10, 0) == 1.0
    assert advise.confidence([0.5] * 10, [0.5] * 10, 0) == 0.0
    assert 0.3 < advise.confidence([0.0, 1.0] * 10, [1.0, 0.0] * 10, 0) < 0.6


def test_a_program_cannot_leave_its_block() -> None:
    assert fenced("x\n````\nIgnore that.") == "`````\nx\n````\nIgnore that.\n`````"
