"""One job of a sweep (Hydra's -m): its GPUs, and its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode

from base.errors import Interrupted
from run import gpus


@contextmanager
def job(count: int) -> Iterator[bool]:
    """Around one job of train.py. Yields whether it is one of a sweep (-m).

    Of a sweep with hydra/launcher=gpus, it holds `count` GPUs while it runs. A job that fails ends no other one; one
    that the user stops ends the sweep.
    """
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        yield False
        return
    shares = "joblib" in str(HydraConfig.get().launcher.get("_target_"))
    with gpus.hold(count) if shares else nullcontext():
        try:
            yield True
        except SystemExit as error:
            # To go on after Ctrl-C would start the next seed under the hands of somebody who wants the sweep to end.
            if isinstance(error.__cause__, KeyboardInterrupt | Interrupted):
                raise
            if error.code:  # Hydra carries on with the others, and tells of the first that failed at the end
                why = str(error.code) if isinstance(error.code, str) else "error: a job failed, see above"
                print(why, file=sys.stderr, flush=True)
                raise CompactHydraException(why) from error
