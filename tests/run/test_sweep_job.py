"""How the end of one job of a sweep bears on the others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hydra.errors import CompactHydraException
from hydra.types import RunMode

from base.errors import Interrupted, RunError
from run import sweep_job


@pytest.mark.parametrize(
    ("cause", "raised"),
    [(RunError("no"), CompactHydraException), (Interrupted("stop"), SystemExit), (KeyboardInterrupt(), SystemExit)],
)
def test_an_error_ends_one_job_and_a_stop_all(
    cause: BaseException, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hydra goes on after an Exception, which SystemExit is not."""
    swept = SimpleNamespace(mode=RunMode.MULTIRUN, launcher={})
    monkeypatch.setattr(sweep_job, "HydraConfig", SimpleNamespace(initialized=lambda: True, get=lambda: swept))
    with pytest.raises(raised), sweep_job.job(1):
        raise SystemExit("error: it ended") from cause
    with sweep_job.job(1):
        raise SystemExit(0)
