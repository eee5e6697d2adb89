"""The verifier: programs in, verdicts out. `open_pool` opens the executor that a config names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from languages import Language
    from sandbox.executor import Executor
    from sandbox.jail import Toolchain

EXECUTORS = ("local", "ray")


def open_pool(languages: Iterable[Language | Toolchain], executor: str = "local", **options: Any) -> Executor:
    """An executor for programs in `languages`: `local` (this machine) or `ray` (a cluster).

    `options` are the arguments of its class. Raises SandboxError where it cannot work.
    """
    if executor == "local":
        from sandbox.pool import Pool  # workers import this package with no third-party module at hand

        return Pool(languages, **options)
    if executor == "ray":
        from sandbox.ray_pool import RayPool

        return RayPool(languages, **options)
    from sandbox.job import SandboxError

    raise SandboxError(f"sandbox.executor is {executor!r}; the choices are {', '.join(EXECUTORS)}")
