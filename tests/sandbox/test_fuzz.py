"""Mutated jobs to the driver and arbitrary bytes from programs: never another program's verdict, never a dead pool."""

from __future__ import annotations

import base64
import random
import select
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.limits import Limits
from sandbox.driver import binaries, messages
from sandbox.driver.binaries import Binaries
from sandbox.driver.messages import EXITED, HEAD, JOB, LAST_TEST, LIMITS, MAGIC, RESULT, STOP, TEST
from sandbox.jail import ENVIRONMENT, Jail, Toolchain, command
from sandbox.job import Compare, Job, Status, Test
from sandbox.pool import Pool

SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def quick(shell: Toolchain, namespaces: Binaries) -> Toolchain:
    return replace(shell, limits=Limits(compile_s=1, test_s=1, wall_s=1, program_s=2, memory_mb=64, disk_mb=8))


@pytest.fixture(scope="module")
def echo(shell: Toolchain) -> Iterator[Pool]:
    with Pool([shell], workers=1) as pool:
        yield pool


def message(chain: Toolchain, program: str, stdin: bytes, ahead: bool = False) -> bytes:
    """A whole job with one test, as the host would send it."""
    environment = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
    commands = messages.Commands.of([], command(chain.execute), environment)
    job = messages.job(chain.filename, program, commands, chain.limits, ahead=[stdin] if ahead else [])
    return job if ahead else job + messages.message(LAST_TEST, stdin)


def said(jail: Jail, what: bytes, quiet_s: float = 5, count: int = 1 << 30) -> bytes:
    """All that the driver answers to `what` until it has been quiet or has given `count` results, and then to the end
    of its input: closing it at once would tell the driver that the host is gone."""
    with suppress(BrokenPipeError):
        jail.link.send(what, time.monotonic() + 10)
    answer, pipe = b"", jail.link.from_driver
    while len(results(answer, whole=False)) < count and select.select([pipe], [], [], quiet_s)[0]:
        piece = pipe.read(1 << 16)
        if not piece:
            return answer
        answer += piece
    jail.link.hang_up()
    while select.select([pipe], [], [], 10)[0]:
        piece = pipe.read(1 << 16)
        if not piece:
            return answer
        answer += piece
    raise AssertionError("the driver neither answers nor hangs up")


def results(answer: bytes, whole: bool = True) -> list[tuple[int, int, bytes]]:
    """(outcome, code, stdout) of each message; fails where there is anything else, unless it is yet to come."""
    found = []
    while answer:
        if not whole and len(answer) < RESULT.size:
            break
        magic, outcome, code, out, err, *_ = RESULT.unpack_from(answer)
        if not whole and len(answer) < RESULT.size + out + err:
            break
        assert magic == MAGIC and len(answer) >= RESULT.size + out + err
        found.append((outcome, code, answer[RESULT.size : RESULT.size + out]))
        answer = answer[RESULT.size + out + err :]
    return found


@pytest.mark.parametrize("ahead", [False, True])
def test_an_unchanged_job_is_answered(quick: Toolchain, ahead: bool) -> None:
    jail = Jail(quick, 9, None, binaries.find())
    try:
        assert results(said(jail, message(quick, "cat", b"given", ahead), count=1)) == [(EXITED, 0, b"given")]
    finally:
        jail.close()


@SOME
@given(
    seed=st.integers(0, 1 << 60), changes=st.integers(1, 8), cut=st.booleans(), twice=st.booleans(), ahead=st.booleans()
)
def test_a_mutated_job_gets_whole_results_or_none(
    quick: Toolchain, seed: int, changes: int, cut: bool, twice: bool, ahead: bool
) -> None:
    rng = random.Random(seed)
    jail = Jail(quick, 9, None, binaries.find())
    try:
        sent = bytearray(message(quick, "cat; echo told >&2", b"given", ahead) * (1 + twice))
        header = HEAD.size + LIMITS.size  # kinds, lengths and limits, where a change matters most
        for _ in range(changes):
            place = rng.randrange(header) if rng.random() < 0.5 else rng.randrange(len(sent))
            sent[place] = rng.choice([0, 1, 255, rng.randrange(256)])
        for _, _, output in results(said(jail, bytes(sent[: rng.randrange(len(sent))] if cut else sent), quiet_s=0.1)):
            # what is printed is what the mutated input held, a piece of the message, or nothing
            assert len(output) <= len(sent)
    finally:
        jail.close()


@SOME
@given(parts=st.lists(st.tuples(st.sampled_from([TEST, LAST_TEST, STOP, JOB, 7]), st.binary(max_size=50)), max_size=6))
def test_messages_out_of_order_are_not_answered_as_tests(quick: Toolchain, parts: list[tuple[int, bytes]]) -> None:
    jail = Jail(quick, 9, None, binaries.find())
    try:
        whole = message(quick, "cat", b"")
        job = whole[: -HEAD.size]
        sent = job + b"".join(messages.message(kind, body) for kind, body in parts)
        tests = []
        for kind, body in parts:
            if kind not in (TEST, LAST_TEST):
                break
            tests.append(body)
            if kind == LAST_TEST:
                break
        answers = results(said(jail, sent, count=len(tests)))
        assert [output for _, _, output in answers] == tests
    finally:
        jail.close()


PRINT = "base64 -d <<'EOF'\n{out}\nEOF\nbase64 -d >&2 <<'EOF'\n{err}\nEOF\n"
frames = st.builds(
    lambda outcome, size: RESULT.pack(MAGIC, outcome, 0, size, 0, 1, 2, 3), st.integers(0, 9), st.integers(0, 99)
)
noise = st.lists(st.one_of(st.binary(max_size=300), frames), max_size=5).map(b"".join)


@SOME
@given(out=noise, err=noise)
def test_whatever_bytes_a_program_prints_are_its_output(echo: Pool, out: bytes, err: bytes) -> None:
    program = PRINT.format(out=base64.b64encode(out).decode(), err=base64.b64encode(err).decode())
    text = out.decode(errors="replace")
    right, wrong = echo.verify(
        [
            Job("right", "sh", program, (Test("", text),)),
            Job("wrong", "sh", program, (Test("", text + "."),)),
        ]
    )
    assert right.status is Status.PASSED, right
    assert right.tests[0].stdout.removesuffix("...") == text[:2000]
    assert wrong.status is Status.WRONG_OUTPUT


@SOME
@given(text=st.text(max_size=400))
def test_any_input_arrives_as_it_is(echo: Pool, text: str) -> None:
    (verdict,) = echo.verify([Job("x", "sh", "cat", (Test(text, text), Test(text + "x", text + "x")))])
    assert verdict.status is Status.PASSED


@SOME
@given(program=st.text(max_size=200))
def test_any_text_is_a_program_with_a_verdict(echo: Pool, program: str) -> None:
    limits = Limits(test_s=2, wall_s=2, program_s=5, memory_mb=64)
    (verdict,) = echo.verify([Job("x", "sh", program, (Test("", "never printed"),), Compare(), limits)])
    assert verdict.status not in (Status.PASSED, Status.INFRASTRUCTURE_ERROR), verdict
