"""How vLLM runs a worker in the process of an engine that stands apart: on the GPU of the rank that opened it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

from vllm.v1.executor.uniproc_executor import UniProcExecutor


class Apart(UniProcExecutor):
    """The engine's process is a world of its own. A Ctrl-C is for the ranks, which save first; when its rank is gone,
    however that ended, so is the engine."""

    def _init_executor(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_the_rank, daemon=True).start()
        super()._init_executor()

    def _distributed_args(self) -> tuple[str, int, int]:
        method, rank, _ = super()._distributed_args()
        return method, rank, int(os.environ["LOCAL_RANK"])


def _end_with_the_rank() -> None:
    if (rank := multiprocessing.parent_process()) is not None:
        rank.join()
        os._exit(1)
