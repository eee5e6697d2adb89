"""From a resolved config to running ranks: the run's folder, its processes, and how they end."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf

from base import script
from base.errors import ConfigError, Interrupted
from base.lock import locked
from policy.ranks import Ranks
from run import gpus, run_folder, sweep_job
from run.signals import heeded

SAVE_S = 600  # how long ranks may take to save after a signal before they are killed, seconds
LOST = re.compile(r"(closed|reset) by peer", re.IGNORECASE)  # gloo's words for a rank that has gone

Train = Callable[[DictConfig, Path, Ranks], Any]


def start(train: Train, config: DictConfig) -> None:
    """Runs `train` in the folder that `config` means, on `gpus` ranks of this machine, or as one that torchrun started.

    The parent never touches a GPU: ranks read the resolved config. A run that has finished already is not run again.
    """
    if (count := torch.cuda.device_count()) and config.gpus > count:
        raise ConfigError(f"gpus is {config.gpus}; this machine has {count}")
    with sweep_job.job(config.gpus) as swept, stoppable(config.run_dir):
        started = Ranks.started()  # by torchrun
        ranks = Ranks.join()
        folder, before = ranks.broadcast(lambda: run_folder.create(config))
        ranks.first_then_others(lambda: run_folder.check_shared(folder))
        if run_folder.finished(folder):
            print(f"finished already: {folder}")
            return
        if not started and not swept and (more := gpus.hint(config)):
            print(more)
        # The jobs of a sweep follow each other in one process, where CUDA's state would leak from one to the next.
        apart = swept and bool(torch.cuda.device_count())
        begin(train, config, folder, before, here=started or (config.gpus == 1 and not apart))


@contextmanager
def stoppable(folder: str | None) -> Iterator[None]:
    """On Ctrl-C, says how the run in `folder` is resumed."""
    try:
        with heeded():
            yield
    except KeyboardInterrupt as error:
        if folder is None:
            raise
        raise Interrupted(
            f"stopped at once; with {script.word('run_dir', folder)} resume=auto it goes on from its last checkpoint, "
            "if any"
        ) from error


def begin(train: Train, config: DictConfig, folder: Path, before: set[Path], here: bool) -> None:
    """Runs the ranks, `here` in this process or in new ones, and holds the folder against other processes meanwhile.

    A run that fails before its first evaluation leaves in its folder what was there `before`, and no new folder.
    """
    try:
        with stoppable(str(folder)), locked(folder) if int(os.environ.get("RANK", "0")) == 0 else nullcontext():
            if here:
                rank(train, OmegaConf.to_yaml(config), str(folder))
            else:
                launch(config.gpus, rank, train, OmegaConf.to_yaml(config), str(folder))
    except (SystemExit, Exception) as error:
        if not isinstance(error.__cause__, KeyboardInterrupt | Interrupted):  # stopped by hand, it may go on
            run_folder.discard(folder, before)
        raise


def rank(train: Train, text: str, folder: str) -> None:
    """One rank of a run, from its resolved config as YAML."""
    config = cast(DictConfig, OmegaConf.create(text))
    ranks = Ranks.join(config.samplers)
    prefix = "error" if ranks.first else f"error on rank {ranks.rank}"
    debug = bool(config.get("debug"))
    try:
        with script.one_sentence("stopped", debug=debug, prefix=prefix, ends_sweep=False), stoppable(folder):
            train(config, Path(folder), ranks)
    except SystemExit as error:
        if ranks.world > 1 and isinstance(error.code, str):  # said now: the first rank that ends takes the others along
            print(error.code, file=sys.stderr, flush=True)
            raise SystemExit(1) from error.__cause__
        raise
    except Exception as error:  # none that a user can mend; the agent that started this process would say nothing
        if ranks.world > 1:
            if LOST.search(str(error)):
                raise SystemExit(1) from error  # the one that has gone has said why
            traceback.print_exc()
        raise
    finally:
        ranks.leave()


def launch(count: int, entry: Callable[..., None], *arguments: Any) -> None:
    """Runs `entry(*arguments)` in `count` new processes of this machine; exits with 1 if one of them fails.

    A rank that fails says why, and torch's elastic agent ends the others; of a rank that was killed, this says so.
    SIGINT and SIGTERM reach every rank, and each saves.
    """
    # torch's own launcher, as torchrun uses it
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for silenced in ("torch.distributed.elastic", "torch.multiprocessing"):  # the ranks speak for themselves
        logging.getLogger(silenced).setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // count)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
        shutdown_timeout=SAVE_S,
    )
    try:
        elastic_launch(config, entry)(*arguments)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        if failure.exitcode < 0:
            sys.exit(
                f"error: rank {failure.local_rank} was killed by signal {-failure.exitcode} ({failure.signal_name()}); "
                "signal 9 is often the kernel, out of host memory"
            )
        sys.exit(1)
    except SignalException:
        raise SystemExit(1) from KeyboardInterrupt()
