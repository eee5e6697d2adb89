"""A stop while answers are drawn is told from an error: it ends a sweep, and the run's folder stays."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from base.errors import Interrupted
from policy.samplers.sampler import Sampling
from training import teacher


def test_a_stop_while_answers_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(teacher, "collect_answers", stopped)
    ranks = SimpleNamespace(world=1, rank=0, share=range)
    worker: Any = SimpleNamespace(ranks=ranks, task=lambda *_: None, model=None, pool=None)
    settings: Any = SimpleNamespace(n=1, answers=None)
    language: Any = SimpleNamespace(name="lua")
    with pytest.raises(Interrupted, match=r"0 answers are kept in .*teacher; .* resume=auto goes on"):
        teacher.collect(settings, "rejection_sampling", tmp_path, worker, Sampling(1.0, 9), [], language, 0)
