from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import languages
from base.errors import DataError
from sandbox.job import Job, Status, Test, TestResult, Verdict
from sandbox.pool import Pool
from sandbox.verify import Arguments, parse_arguments, parse_job, to_row, verify

LUA = languages.load("lua")
PYTHON = languages.load("python")
ARGUMENTS = Arguments((LUA, PYTHON))
TESTS = [{"input": "1", "output": "2"}]


def parse(**row: Any) -> Job:
    return parse_job(json.dumps({"id": "a", "program": "p", "tests": TESTS} | row).encode(), "line 7", ARGUMENTS)


def test_a_job_with_its_defaults() -> None:
    assert parse() == Job("a", "lua", "p", (Test("1\n", "2"),))


def test_a_job_with_everything() -> None:
    job = parse(language="python", compare={"rule": "float", "tolerance": 0.1}, limits={"test_s": 1}, all_tests=True)
    assert job.language == "python" and job.all_tests
    assert (job.compare.rule, job.compare.tolerance) == ("float", 0.1)
    assert job.limits and job.limits.test_s == 1 and job.limits.memory_mb == PYTHON.limits.memory_mb


def test_a_completions_code_block_is_the_program() -> None:
    line = {"id": "a", "completion": "So:\n```lua\nprint(1)\n```\n", "tests": TESTS}
    program = parse_job(json.dumps(line).encode(), "line 1", ARGUMENTS).program
    assert program and program.strip() == "print(1)"
    line["completion"] = "I do not know."
    assert parse_job(json.dumps(line).encode(), "line 1", ARGUMENTS).program is None


def test_a_program_of_another_systems_editor_has_the_line_ends_of_ours() -> None:
    checker = {"language": "lua", "program": "\ufeffa\r\nb"}
    job = parse(program="\ufeffa\r\nb\rc", compare={"rule": "checker", "checker": checker})
    assert job.program == "a\nb\rc" and job.compare.checker and job.compare.checker.program == "a\nb"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"tests": []}, "line 7: key 'tests' is missing or empty"),
        ({"tests": [{"input": "1"}]}, "line 7, test 0: a test must be an object with the keys input, output"),
        ({"id": 3}, "line 7: key 'id' must be a string"),
        ({"program": 3}, "line 7: key 'program' must be a string, not int"),
        ({"completion": "x"}, "line 7: a job has one of the keys program and completion"),
        ({"language": "r"}, "line 7: language 'r' is not one of those given: lua, python"),
        ({"compare": {"rule": "fuzzy"}}, "line 7: compare.rule is 'fuzzy'"),
        (
            {"compare": {"rule": "checker", "checker": {"language": ["c"], "program": "x"}}},
            "line 7: compare.checker.language must be a string, not list",
        ),
        (
            {"compare": {"rule": "float", "tolerance": 10**400}},
            "line 7: compare.tolerance must be a finite number of 0 or more, not 1000",
        ),
        ({"limits": []}, "line 7: key 'limits' must be a mapping with keys of compile_s"),
        ({"limits": {"speed": 1}}, "line 7: unknown key 'limits.speed'; the keys are compile_s"),
        ({"limits": {"memory_mb": 1.5}}, "line 7: key 'limits.memory_mb' must be a whole number"),
        ({"all_tests": "yes"}, "line 7: key 'all_tests' must be true or false"),
        ({"test": []}, "line 7: unknown key 'test'; the keys are id, program"),
    ],
)
def test_a_bad_job_gets_a_sentence_with_its_line(row: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as error:
        parse(**row)
    assert str(error.value).startswith(words)


INNER = ["rule", "tolerance", "checker", "language", "program", "input", "output", "test_s", "memory_mb"]
WORDS = ["a", "lua", "float", "checker"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | st.text(max_size=5)
    | st.sampled_from(WORDS),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(INNER), x, max_size=3),
    max_leaves=6,
)  # fmt: skip
COMPARES = st.fixed_dictionaries(
    {"rule": st.sampled_from(["float", "checker"])},
    optional={"tolerance": JSON, "checker": st.fixed_dictionaries({"language": JSON, "program": JSON})},
)
ROWS = st.dictionaries(st.sampled_from(["id", "program", "completion", "tests", "compare", "limits"]), JSON)
NEARLY = st.fixed_dictionaries({"id": st.just("a"), "program": st.just("p"), "tests": st.just(TESTS)})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS | st.builds(lambda row, more: row | more, NEARLY, ROWS | st.fixed_dictionaries({"compare": COMPARES})))
@example({"id": "a", "program": "p", "tests": TESTS, "compare": {"rule": "float", "tolerance": 10**400}})
@example({"id": "a", "program": "p", "tests": TESTS,
          "compare": {"rule": "checker", "checker": {"language": ["c"], "program": "x"}}})  # fmt: skip
def test_any_object_is_a_job_or_a_sentence(row: dict[str, Any]) -> None:
    try:
        job = parse_job(json.dumps(row).encode(), "line 1", ARGUMENTS)
    except DataError as error:
        assert str(error).startswith("line 1")
    else:
        assert job.tests
        hash(job)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_sentence(line: bytes) -> None:
    with pytest.raises(DataError, match="line 1: "):
        parse_job(line, "line 1", ARGUMENTS)


def test_arguments() -> None:
    arguments = parse_arguments(["language=lua,python", "workers=2", "all_tests=true"])
    assert arguments == Arguments((LUA, PYTHON), 2, all_tests=True)
    for words, message in (
        (["workers=2"], "language= is missing; the languages are "),
        (["language=lua", "worker=2"], "unknown argument 'worker=2'; write key=value with the keys language"),
        (["language=lua", "fast"], "unknown argument 'fast'"),
        (["language=lua", "workers=none"], "workers is 'none'; it must be a whole number"),
        (["language=lua", "all_tests=some"], "all_tests is 'some'; it must be true or false"),
        (["language=latin"], "unknown language 'latin'"),
    ):
        with pytest.raises((ValueError, languages.LanguageError), match=message):
            parse_arguments(words)


def test_a_verdict_as_a_row() -> None:
    result = TestResult(Status.RUNTIME_ERROR, "out", "err", None, 9, 0.12345678, 0.1, 2.0)
    row = to_row(Verdict("a", Status.RUNTIME_ERROR, (result,), None, "why"))
    assert json.loads(json.dumps(row)) == {
        "id": "a",
        "status": "runtime_error",
        "tests": [
            {
                "status": "runtime_error",
                "stdout": "out",
                "stderr": "err",
                "signal": 9,
                "wall_s": 0.123457,
                "cpu_s": 0.1,
                "memory_mb": 2.0,
            }
        ],
        "message": "why",
    }


def test_verdicts_and_errors_keep_the_order_of_the_lines(pool: Pool) -> None:
    def line(n: int) -> str:
        return json.dumps({"id": str(n), "program": f"print({n})", "tests": [{"input": "", "output": "5"}]})

    lines = [line(n) if n % 3 else "no job" for n in range(60)]
    answers = list(verify(io.BytesIO("\n".join(lines).encode()), pool, Arguments((LUA,)), 1))
    for number, answer in enumerate(answers):
        if number % 3 == 0:
            assert isinstance(answer, str) and answer.startswith(f"line {number + 1}: not JSON")
        else:
            assert isinstance(answer, Verdict) and (answer.id, answer.passed) == (str(number), number == 5)
    assert len(answers) == 60


def test_a_limit_out_of_range_is_the_lines_fault(pool: Pool) -> None:
    line = {"id": "a", "program": "", "tests": TESTS, "limits": {"test_s": -1}}
    (answer,) = verify(io.BytesIO(json.dumps(line).encode()), pool, Arguments((LUA,)), 1)
    assert (
        isinstance(answer, str)
        and answer.startswith("line 1: ")
        and "'limits.test_s' must be a number above 0" in answer
    )


def test_whatever_ends_the_reading_ends_the_command(pool: Pool) -> None:
    class Torn(io.BytesIO):
        def __next__(self) -> bytes:
            raise OSError("the disk has gone")

    with pytest.raises(OSError, match="the disk has gone"):
        list(verify(Torn(), pool, Arguments((LUA,)), 1))


def test_the_command_answers_each_line_as_it_comes() -> None:
    command = [sys.executable, "-m", "sandbox.verify", "language=lua", "workers=1"]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin and process.stdout
    for n in range(2):  # the second line is written only when the first is answered
        job = {"id": str(n), "program": "print(io.read('*n') + 1)", "tests": [{"input": str(n), "output": str(n + 1)}]}
        process.stdin.write(json.dumps(job) + "\n")
        assert json.loads(process.stdout.readline())["status"] == "passed"
    rest, errors = process.communicate("nonsense\n", timeout=30)
    assert rest == "" and errors.splitlines()[-1].startswith("line 3: not JSON") and process.returncode == 1


def test_unknown_arguments_end_the_command_with_a_sentence() -> None:
    command = [sys.executable, "-m", "sandbox.verify", "langauge=lua"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "sandbox.verify: unknown argument 'langauge=lua'; "
        "write key=value with the keys language, workers, all_tests, unprotected, "
        "as in: python -m sandbox.verify language=lua workers=2\n"
    )


# Linux hands ru_maxrss on through exec, so it would count the test process too; VmHWM is this program's own.
LARGE = """
import re, sys
from pathlib import Path
from sandbox.verify import main
print(main(["language=lua", "workers=1"]), file=sys.stderr)
peak_kb = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(int(peak_kb) >> 10, file=sys.stderr)
"""


def test_large_jobs_are_not_read_far_ahead() -> None:
    """Sixteen jobs of 32 MB, half of what would be read by their number alone: memory holds a few, not all."""
    with subprocess.Popen(
        [sys.executable, "-c", LARGE],
        cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as verifier:  # fmt: skip
        assert verifier.stdin
        text = "1" * (32 << 20)
        for number in range(16):
            tests = [{"input": f"{number} {text}", "output": "1"}]
            line = {"id": str(number), "program": "print(1)", "tests": tests}
            verifier.stdin.write(json.dumps(line).encode() + b"\n")
        said, errors = verifier.communicate()
    status, peak_mb = map(int, errors.split()[-2:])  # after a slow machine's progress
    assert status == 0 and [json.loads(line)["status"] for line in said.splitlines()] == ["passed"] * 16
    assert peak_mb < 450, f"{peak_mb} MiB"
