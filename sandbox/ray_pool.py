"""The pool on a Ray cluster: the same jobs, checks and verdicts, run on all of its nodes.

    with RayPool([languages.load("lua")]) as pool:         # the cluster of this machine or of RAY_ADDRESS
        verdicts = pool.verify(jobs)

On each node, one actor owns an ordinary Pool, which builds (or finds in the node's cache) the root file systems there.
A thread on this side hands jobs to the nodes that have room. A node that dies, an actor that fails or falls silent
loses its jobs to the others; a job that was lost so RETRIES + 1 times gets `infrastructure_error`. Nodes that join
later are used.

What a node must have: the packages of requirements.txt, gcc, and what building a root takes. Where Ray is not started
by root: RAY_worker_niceness=0 in its environment, or programs get little time beside others. Our own modules are sent
along. Jobs and verdicts are plain data that Ray pickles between the nodes of the user's own cluster, which
trust each other. Nothing that comes out of a jail is ever unpickled: the node's Pool reads it as bytes.

Ray ends this process if the node that it runs on loses its raylet, or the cluster its head.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from languages import Language
from sandbox.executor import RETRIES, Executor, Task
from sandbox.jail import Toolchain
from sandbox.job import Job, SandboxError, Status, Verdict
from sandbox.pool import Pool

RAY = "ray==2.60.0"  # as in requirements.txt
AHEAD = 2  # jobs a node holds for each worker: one runs while the next travels
RESTARTS = 10  # actors that a node may lose one after the other, without a verdict in between
LOOK_S = 5.0  # between two looks at who is in the cluster, seconds
SILENT_S = 60.0  # after which an actor that does not answer is given up, seconds
PATIENCE_S = 60.0  # for a node to come back once there is none, seconds
CONNECT_S = 10.0  # for a cluster to answer, seconds
STOP_S = 10.0  # for the nodes' pools to end by themselves, seconds
ROOT = Path(__file__).parents[1]
SENT = ("base", "languages", "sandbox")  # our modules that a node imports

log = logging.getLogger(__name__)


class _Host:
    """Owns the pool of a node. Runs there, as a Ray actor."""

    async def open(self, languages: list[Language | Toolchain], workers: int) -> None:
        _take_an_equal_share()
        self.pool = await asyncio.to_thread(Pool, languages, workers)

    async def verify(self, job: Job) -> Verdict:
        return await asyncio.wrap_future(self.pool.submit(job))

    async def alive(self) -> None:
        """Answers."""

    async def close(self) -> None:
        await asyncio.to_thread(self.pool.close)


def _take_an_equal_share() -> None:
    """Ray gives its workers the niceness 15: beside a busy process of 0, a thirtieth of a core. Programs with so little
    would meet their limit by the clock, not by CPU time. Only root may change that."""
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, int(thread), 0)


class _Node:
    """What the dispatcher knows of a node."""

    def __init__(self, node_id: str, address: str, workers: int, actor: Any):
        self.id = node_id
        self.address = address
        self.workers = workers
        self.actor = actor
        self.ready = False
        self.tasks: set[Task] = set()
        self.heard = time.monotonic()
        self.asked = False  # whether it still has to answer an `alive`

    @property
    def room(self) -> float:
        """Jobs it can still take, in shares of what it takes at most."""
        return self.ready - len(self.tasks) / (AHEAD * self.workers)


class RayPool(Executor):
    """Verifies programs in the given languages on a Ray cluster. Raises SandboxError where no node can."""

    def __init__(
        self, languages: Iterable[Language | Toolchain], workers: int | None = None, address: str | None = None
    ):
        """Returns as soon as the first node is ready; builds root file systems where nodes have none in their cache.

        `workers`: on each node; None means as many as the CPUs that it lends to Ray, which are all reserved.
        `address`: of the cluster; None means the one of RAY_ADDRESS, else the one that runs on this machine.
        """
        self._languages = list(languages)
        named = {x.language if isinstance(x, Toolchain) else x.name: x for x in self._languages}
        super().__init__({name: language.limits for name, language in named.items()})
        self._workers = workers
        self._ray, self._connected = _connect(address)
        self._nodes: dict[str, _Node] = {}
        self._failures: Counter[str] = Counter()  # of a node, since its last verdict
        self._lost: Counter[Task] = Counter()
        self._waiting: deque[Task] = deque()
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._next_look = 0.0
        self._hopeless_since: float | None = None
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, name="sandbox-ray", daemon=True)
        self._thread.start()
        try:
            self._opened.result()
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """Of all nodes that are ready now."""
        return sum(node.workers for node in list(self._nodes.values()) if node.ready)

    def close(self) -> None:
        """Ends the pools of all nodes; verdicts still pending are cancelled. May be called twice."""
        self._cancel_pending()
        self._events.put(lambda: None)
        self._thread.join()
        nodes, self._nodes = list(self._nodes.values()), {}
        closing = [node.actor.close.remote() for node in nodes if node.ready]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=STOP_S)
        for node in nodes:
            self._ray.kill(node.actor)
        if self._connected:
            self._connected = False
            self._ray.shutdown()

    def _enqueue(self, task: Task) -> None:
        self._events.put(partial(self._waiting.append, task))

    # --- all below runs in the dispatcher's thread, so that nothing needs a lock

    def _serve(self) -> None:
        while not self._closed:
            try:
                if time.monotonic() >= self._next_look:
                    self._look()
                self._hand_out()
                with suppress(queue.Empty):
                    self._events.get(timeout=max(0.0, self._next_look - time.monotonic()))()
            except Exception:  # of Ray, when its head is away for a moment: nobody may wait for ever
                log.exception("sandbox: the dispatcher failed and goes on")
                self._next_look = time.monotonic() + LOOK_S

    def _hand_out(self) -> None:
        while self._waiting and self._nodes:
            node = max(self._nodes.values(), key=lambda node: node.room)
            if node.room <= 0:
                return
            task = self._waiting.popleft()
            node.tasks.add(task)
            self._ask(node, node.actor.verify.remote(task.job), partial(self._verified, node, task))

    def _ask(self, node: _Node, reference: Any, then: Callable[[Any], None]) -> None:
        """`then` gets the answer, unless the node is lost before."""
        hear = partial(self._hear, node, then)
        reference.future().add_done_callback(lambda future: self._events.put(partial(hear, future)))

    def _hear(self, node: _Node, then: Callable[[Any], None], future: Future[Any]) -> None:
        if self._nodes.get(node.id) is not node:
            return  # lost in the meantime, and its jobs are elsewhere
        try:
            answer = future.result()
        except Exception as error:
            self._lose(node, error)
        else:
            node.heard = time.monotonic()
            then(answer)

    def _ready(self, node: _Node, _: None) -> None:
        node.ready = True
        if not self._opened.done():
            self._opened.set_result(None)

    def _verified(self, node: _Node, task: Task, verdict: Verdict) -> None:
        node.tasks.discard(task)
        self._failures[node.id] = 0
        self._lost.pop(task, None)
        self._finish(task, verdict)

    def _alive(self, node: _Node, _: None) -> None:
        node.asked = False

    # --- who is in the cluster

    def _look(self) -> None:
        now = time.monotonic()
        self._next_look = now + LOOK_S
        alive = {
            row["NodeID"]: row for row in self._ray.nodes() if row["Alive"] and row["Resources"].get("CPU", 0) >= 1
        }
        for node in list(self._nodes.values()):
            if node.id not in alive:
                self._lose(node, "it has left the cluster")
            elif node.asked and now - node.heard > SILENT_S:
                self._lose(node, f"it was silent for {SILENT_S:.0f} s")
            elif node.ready and not node.asked:
                node.asked = True
                node.heard = now
                self._ask(node, node.actor.alive.remote(), partial(self._alive, node))
        for node_id, row in alive.items():
            if node_id not in self._nodes and self._failures[node_id] < RESTARTS:
                self._start_host(node_id, row)
        self._despair(now)

    def _start_host(self, node_id: str, row: dict[str, Any]) -> None:
        cpus = int(row["Resources"]["CPU"])
        workers = self._workers or cpus
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id, soft=False)
        kind = self._ray.remote(_Host).options(num_cpus=min(workers, cpus), scheduling_strategy=affinity)
        node = self._nodes[node_id] = _Node(node_id, row["NodeManagerAddress"], workers, kind.remote())
        self._ask(node, node.actor.open.remote(self._languages, workers), partial(self._ready, node))

    def _lose(self, node: _Node, why: Exception | str) -> None:
        """Gives a node's jobs to the others. A new actor is started at the next look, if the node is still there."""
        del self._nodes[node.id]
        self._ray.kill(node.actor)
        self._failures[node.id] += 1
        cause = getattr(why, "cause", None)  # of an exception in the actor
        if not node.ready and isinstance(cause, SandboxError):
            self._failures[node.id] = RESTARTS  # it cannot do its work: another actor could not either
        text = str(cause or why).strip().partition("\n")[0] or repr(why)
        if not self._opened.done() and not self._nodes:
            self._opened.set_exception(SandboxError(f"no node of the Ray cluster can verify: {node.address}: {text}"))
            return
        log.warning("sandbox: lost node %s (%s); jobs that go to the others: %d", node.address, text, len(node.tasks))
        self._next_look = 0.0
        for task in node.tasks:
            self._lost[task] += 1
            if self._lost[task] <= RETRIES:
                self._waiting.appendleft(task)
            else:
                self._fail(task, f"it lost its node {self._lost.pop(task)} times, the last time because: {text}")

    def _despair(self, now: float) -> None:
        """Ends the waiting for verdicts when there has been no node for PATIENCE_S."""
        if self._nodes:
            self._hopeless_since = None
        elif self._hopeless_since is None:
            self._hopeless_since = now
            if not self._opened.done():
                self._opened.set_exception(SandboxError("no node of the Ray cluster has a CPU for the sandbox"))
        elif now - self._hopeless_since > PATIENCE_S:
            while self._waiting:
                self._fail(self._waiting.popleft(), f"the Ray cluster has had no node for {PATIENCE_S:.0f} s")

    def _fail(self, task: Task, why: str) -> None:
        message = f"job {task.job.id!r} failed: {why}"
        self._finish(task, Verdict(task.job.id, Status.INFRASTRUCTURE_ERROR, message=message))


def _connect(address: str | None) -> tuple[Any, bool]:
    """Ray, and whether it was us who connected it. Sends our modules along, so that all nodes run the same."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its makers unless told not to
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise SandboxError(f"sandbox.executor=ray needs Ray: pip install {RAY}") from error
    if ray.is_initialized():
        return ray, False
    address = address or os.environ.get("RAY_ADDRESS") or "auto"
    modules = [str(ROOT / name) for name in SENT]
    try:
        if address != "auto":  # Ray itself tries for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        ray.init(
            address,
            runtime_env={"py_modules": modules, "excludes": ["__pycache__"]},
            logging_level=logging.WARNING,
        )
    except (OSError, ValueError) as error:  # a ConnectionError is an OSError
        where = "on this machine" if address == "auto" else f"at {address}"
        raise SandboxError(
            f"no Ray cluster answers {where}: start one with `ray start --head`, or set RAY_ADDRESS=HOST:PORT"
        ) from error
    except RuntimeError as error:  # other versions of Ray or Python there
        text = " ".join(str(error).split())
        raise SandboxError(f"the Ray cluster at {address} cannot be joined: {text}") from error
    return ray, True
