"""The config group `dataset`, typed: what its options have in common. A source has its own beside its loader.

Keys that an older run's config may lack have defaults here; all others have theirs in conf/dataset/.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from base.settings import MISSING, Settings

Name = Annotated[str, Field(strict=False, coerce_numbers_to_str=True)]  # a split, subset or folder may be called 2024


class DatasetSettings(Settings):
    """Fields are in the order of the option's file, and `problems.load.dataset` chooses the class."""

    name: str
    license: str | None = None  # for the card of problems.prepare

    def part(self, split: str) -> str | None:
        """What `split` (train or heldout) is: a JSONL file, or a split of the source. None: there is none, or not yet
        given."""
        value = getattr(self, split, None)
        return None if value == MISSING else value


class FileSettings(DatasetSettings):
    """Problems in JSONL files of the project's format: starter, ladder, jsonl, auto."""

    train: Name | None = None
    heldout: Name | None = None
    tiers: list[int] | None = None  # of ladder, those to use; None: all


class SourceSettings(DatasetSettings):
    """Rows of another format, which `loader` reads."""

    loader: str
    source: str | None = None  # its name on the hub


class RowsSettings(SourceSettings):
    """What most loaders need to know: mbpp_x, livecodebench_x."""

    subset: Name | None = None  # the hub's "config"
    path: Name | None = None  # a local copy, a file or a folder, in place of the source
    streaming: bool = False
    train: Name | None = None
    heldout: Name | None = None
