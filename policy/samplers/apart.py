"""How vLLM runs a worker in the process of an engine that stands apart: on the GPU of the rank that opened it."""

from __future__ import annotations

import os
import signal

from vllm.v1.executor.uniproc_executor import UniProcExecutor


class Apart(UniProcExecutor):
    """The engine's process is a world of its own. What asks a run to stop is for the ranks, which save first; the
    engine ends with its rank."""

    def _init_executor(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        super()._init_executor()

    def _distributed_args(self) -> tuple[str, int, int]:
        method, rank, _ = super()._distributed_args()
        return method, rank, int(os.environ["LOCAL_RANK"])
