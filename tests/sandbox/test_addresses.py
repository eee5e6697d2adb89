"""Equal runs print equal addresses: a resumed training run, which stores what programs print, is the same run."""

from __future__ import annotations

import subprocess

import pytest

import languages
from sandbox.job import Job, Test
from sandbox.pool import Pool

TESTS = (Test("1\n", "?"), Test("2\n", "?"))  # the second begins as a copy of a loaded process


@pytest.mark.parametrize(
    ("language", "program"),
    [("lua", "print({}, coroutine.create(print))"), ("python", "print(object(), id([]))")],
)
def test_equal_runs_print_equal_addresses(language: str, program: str) -> None:
    if subprocess.run(["setarch", "--addr-no-randomize", "true"], capture_output=True).returncode:
        pytest.skip("a filter above us refuses it")
    seen = []
    for _ in range(2):
        with Pool([languages.load(language)], workers=1) as pool:
            (verdict,) = pool.verify([Job("x", language, program, TESTS, all_tests=True)])
        seen.append([test.stdout for test in verdict.tests])
    assert seen[0] == seen[1] and all("0x" in output for output in seen[0])
