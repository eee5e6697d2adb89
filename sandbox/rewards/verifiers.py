"""Problems for verifiers 0.4 and prime-rl: a file of them as a taskset, whose reward is 1 where all tests pass.

verifiers finds a taskset by the name of a module that exports one, such as a `lua_problems.py` of your own:

    from sandbox.rewards.verifiers import ProgramTaskset
    __all__ = ["ProgramTaskset"]

A line of the file (`--env.taskset.path problems.jsonl`) has the keys prompt, language, tests, and if need be compare
and limits, as in a job of `sandbox.verify`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import verifiers.v1 as vf

from base import jsonl
from sandbox.job import SandboxError, Status
from sandbox.rewards.judge import statuses

__all__ = ["ProgramTaskset"]


class ProgramData(vf.TaskData):
    language: str
    tests: Any
    compare: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None


class ProgramTask(vf.Task[ProgramData]):
    @vf.reward(weight=1.0)
    async def passes_tests(self, trace: vf.Trace) -> float:
        """Raises SandboxError where the sandbox has failed: the rollout is then an error, not a zero."""
        row = self.data.model_dump(include={"language", "tests", "compare", "limits"})
        [status] = await asyncio.to_thread(statuses, [row | {"completion": trace.last_reply}])
        if status is Status.INFRASTRUCTURE_ERROR:
            raise SandboxError("the sandbox has failed on a completion, which therefore has no reward")
        return float(status is Status.PASSED)


class ProgramConfig(vf.TasksetConfig):
    path: Path = Path("problems.jsonl")


class ProgramTaskset(vf.Taskset[ProgramTask, ProgramConfig]):
    def load(self) -> list[ProgramTask]:
        rows = [row for _, row in jsonl.read(self.config.path)]
        return [ProgramTask(ProgramData(**row), self.config.task) for row in rows]
