"""Free GPUs of this machine, and who holds which: the jobs of a sweep, and several sweeps at once, share them."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from base.errors import ConfigError
from policy.settings import unshardable

IDLE = 0.05  # share of its memory that a free GPU may have in use: drivers take some
POLL_S = 2.0


def visible() -> dict[str, bool]:
    """The GPUs that this process may use, by UUID: whether each is idle. Empty on a machine without any."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.used,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = None if allowed is None else {name.strip() for name in allowed.split(",")}
    found = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else []:
        index, uuid, used, total = (part.strip() for part in line.split(","))
        if names is None or index in names or any(name and uuid.startswith(name) for name in names):
            try:
                found[uuid] = float(used) <= IDLE * float(total)
            except ValueError:  # "[N/A]", as of a GPU cut into parts: nobody knows, so it is not taken
                found[uuid] = False
    return found


def check_driver() -> None:
    """Raises ConfigError where there are GPUs that torch cannot use: nothing falls to the CPU in silence."""
    if torch.cuda.is_available() or not visible():
        return
    why = "this torch is a build for CPUs, and the machine has GPUs; `make setup` installs the one for CUDA"
    if torch.version.cuda is not None:
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as error:  # the driver's words, which name the version that it lacks
            reason = " ".join(str(error).split())[:200]
            why = f"the GPUs cannot be used by torch {torch.__version__} ({reason}); update the NVIDIA driver"
    raise ConfigError(f"{why}; to use the CPU all the same, set CUDA_VISIBLE_DEVICES= (to nothing)")


def hint(config: DictConfig) -> str:
    """What to add to the command of a run with this config so that idle GPUs work too; "" where none is idle."""
    idle = sum(visible().values()) - config.gpus
    if idle <= 0:
        return ""
    more = f"{idle} more GPU{'s' * (idle > 1)}: gpus={config.gpus + idle}"
    spreads = config.gpus == 1 and config.rollout.engine == "vllm"
    if spreads and not unshardable(config.optimizer.name, bool(config.lora.quantize)):
        more += " shard=true"
    return more


def jobs_at_once(each: int) -> int:
    """How many jobs of `each` GPUs the idle ones have room for; 1 where there are none."""
    return max(1, sum(visible().values()) // each)


@contextmanager
def hold(count: int) -> Iterator[None]:
    """Holds `count` idle GPUs and shows CUDA no others. Waits for them; without any GPU it does nothing."""
    if not visible():
        yield
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    while True:
        with ExitStack() as locks:
            idle = [uuid for uuid, is_idle in visible().items() if is_idle]
            held: list[str] = []
            while idle and len(held) < count:
                uuid = idle.pop(0)
                held += [uuid] * _lock(locks, uuid)
            if len(held) == count:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
                try:
                    yield
                finally:
                    os.environ.pop("CUDA_VISIBLE_DEVICES")
                    if before is not None:
                        os.environ["CUDA_VISIBLE_DEVICES"] = before
                return
        time.sleep(POLL_S)


def _lock(locks: ExitStack, uuid: str) -> bool:
    """A lock ends with the process that holds it, however that ends."""
    try:
        locks.enter_context(FileLock(Path(tempfile.gettempdir()) / f"agnostics-{uuid}.lock", timeout=0, mode=0o666))
    except Timeout:
        return False
    return True


OmegaConf.register_new_resolver("jobs_at_once", jobs_at_once, replace=True)  # conf/hydra/launcher/gpus.yaml
