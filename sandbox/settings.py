"""The config group `sandbox`, typed."""

from __future__ import annotations

from typing import Any, Literal

from base.settings import Count, Settings


class SandboxSettings(Settings):
    """conf/sandbox/*.yaml: where programs run."""

    executor: Literal["local", "ray"]
    workers: Count | None  # of each machine; None: one per core
    address: str | None = None  # of a Ray cluster

    def options(self) -> dict[str, Any]:
        """The arguments of `sandbox.open_pool`: those that the chosen executor has."""
        return self.model_dump(exclude_unset=True)
