"""What others wrote for SandboxFusion, run unchanged against our service; and our own package alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.rewards.test_trainers import VERL_PACKAGES, borrowing, run
from tests.sandbox.serve.conftest import ROOT, environment

FUSION = """
import sys
from sandbox_fusion import *
set_endpoint(sys.argv[1])
right = run_code(RunCodeRequest(code="print(input())", language="python", stdin="hello"))
assert (right.status, right.run_result.stdout) == (RunStatus.Success, "hello\\n"), right
wrong = run_code(RunCodeRequest(code="error('no')", language="lua"))
mapping = SummaryMapping(RunFailed="run failed", RunTimeout="late")
assert wrong.status == RunStatus.Failed, wrong
from sandbox_fusion.client import summary_run_code_result as summary
assert summary(wrong, mapping) == "run failed"
assert summary(run_code(RunCodeRequest(code="while true do end", language="lua", run_timeout=0.5)), mapping) == "late"
assert summary(run_code(RunCodeRequest(code="while true do io.write('xxxxxxxx') end", language="lua")), mapping)
data = {"id": 1, "content": "", "labels": {}, "test": [{"input": {"stdin": "2"}, "output": {"stdout": "4"}}]}
config = TestConfig(dataset_type="CommonOJDataset", language="lua", provided_data=data)
for program, accepted in (("print(io.read('n') * 2)", True), ("print(5)", False)):
    found = submit(SubmitRequest(dataset="mine", id=1, completion=f"```lua\\n{program}\\n```", config=config))
    assert found.accepted is accepted, found
import asyncio
assert asyncio.run(run_code_async(RunCodeRequest(code="print(3)", language="lua"))).run_result.stdout == "3\\n"
print("as it should be")
"""
VERL = """
import json, sys, threading
from verl.utils.reward_score import default_compute_score

def score(program, **more):
    truth = json.dumps({"inputs": ["1\\n", "2\\n"], "outputs": ["2\\n", "4\\n"]})
    url = sys.argv[1] + "/run_code"
    return default_compute_score("codecontests", f"```python\\n{program}\\n```", truth, sandbox_fusion_url=url, **more)

slots = {"concurrent_semaphore": threading.Semaphore(2), "memory_limit_mb": 1024}
assert score("print(2 * int(input()))", **slots) == 1.0
assert score("print(2 * int(input()))") == 1.0
assert score("print(2)", **slots) == 0.5
assert score("print(1 / (int(input()) - 1))", **slots) == 0.0
from verl.utils.reward_score.sandbox_fusion import compute_score
def said(program, timeout=10):
    _, [about] = compute_score(sys.argv[1] + "/run_code", None, 64, f"```python\\n{program}\\n```",
                               {"inputs": [""], "outputs": ["1"]}, timeout=timeout)
    return about["status"], about["api_request_error"]
assert said("print(1)") == ("success", None), said("print(1)")
assert said("print(2)") == ("wrong_answer", None)
assert said("error") == ("runtime_error", None)
assert said("while True: pass", timeout=1) == ("timeout", None)
assert said("x = [0] * 10**9") == ("runtime_error", None)
print("as it should be")
"""
ALONE = """
import importlib.util, sys
assert not any(importlib.util.find_spec(name) for name in ("torch", "transformers", "problems", "policy"))
import languages, sandbox.pool
from sandbox.job import Job, Test
assert "site-packages" in sandbox.pool.__file__
with sandbox.pool.Pool([languages.load("lua")], workers=1) as pool:
    right, wrong = pool.verify([Job(p, "lua", p, (Test("3", "6"),)) for p in ("print(io.read('n') * 2)", "print(5)")])
assert (right.status, wrong.status) == ("passed", "wrong_output"), (right, wrong)
print("as it should be")
"""


@pytest.mark.slow
def test_sandbox_fusions_client_works_unchanged(tmp_path: Path, address: str) -> None:
    python = environment(tmp_path / "venv", "sandbox-fusion")
    done = subprocess.run([python, "-c", FUSION, address], capture_output=True, text=True, timeout=300)
    assert done.stdout.endswith("as it should be\n"), done.stderr


@pytest.mark.slow
def test_verls_own_road_to_sandbox_fusion_ends_here(tmp_path: Path, address: str) -> None:
    python = borrowing(tmp_path / "venv", *VERL_PACKAGES)
    run(python, VERL, address)


@pytest.mark.slow
def test_the_verifier_installs_alone_and_judges_a_program(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for room in ("base", "languages", "sandbox"):
        shutil.copytree(ROOT / room, source / room)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True)
    [wheel] = tmp_path.glob("agnostics-*.whl")
    python = environment(tmp_path / "venv", f"{wheel}[serve]")
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([python, "-c", ALONE], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=300)
    assert done.stdout == "as it should be\n", done.stderr
    said = subprocess.run([python, "-m", "sandbox.serve"], cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert "python -m sandbox.serve language=lua" in said.stdout, said.stderr
