"""Programs as plain processes, where no jail can be had and the user says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from base.limits import Limits
from sandbox.jail import Toolchain
from sandbox.job import Job, SandboxError, Test
from sandbox.pool import Pool


def python(program: str, *tests: tuple[str, str], limits: Limits | None = None) -> Job:
    return Job("job", "python", program, tuple(Test(*t) for t in tests or [("", "")]), limits=limits)


def test_no_jail_no_pool_unless_told_by_name(
    lua: Toolchain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sandbox.protection.obstacle", lambda *_: "clone failed: Operation not permitted")
    with pytest.raises(SandboxError, match=r"without protection: no namespaces: .*clone failed.*unprotected=True"):
        Pool([lua])
    machine = Toolchain("python", "/", (), "p.py", None, f"{sys.executable} p.py", Limits(test_s=5))
    with Pool([machine], workers=1, unprotected=True) as pool:
        said = capsys.readouterr().err
        assert said.startswith("sandbox: programs run as plain processes: no namespaces: ")
        assert "clone failed: Operation not permitted" in said and said.count("\n") == 1
        jobs = [
            python("print(input())", ("x", "x")),
            python("import os; os.kill(os.getpid(), 11)"),
            python("while True: print('y' * 999)"),
            python("while True: pass", limits=Limits(test_s=0.5)),
            python("x = 'x' * 10**10"),
            python(
                "import subprocess; subprocess.Popen(['sleep', '99']); print('y' * 200_000)",  # sleep holds the outputs
                ("", "y" * 200_000),
            ),
        ]
        assert [v.status.value for v in pool.verify(jobs)] == [
            "passed",
            "runtime_error",
            "output_limit",
            "timeout",
            "memory_limit",
            "passed",
        ]
        assert subprocess.run(["pgrep", "-fx", "sleep 99"]).returncode == 1  # nor is it left behind
