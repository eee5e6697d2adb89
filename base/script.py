"""How every Hydra script begins and ends: compose, resolve, run, and one sentence for whatever a user can mend.

    if __name__ == "__main__":
        script.main(run, "evaluate", before=languages.register, interrupted="interrupted before the first answer")

Errors end the script with exit code 1 and `error: ...`. With `debug=true`, or AGNOSTICS_DEBUG=1 in the environment, the
traceback comes first, with every cause.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from base.errors import Interrupted, UserError
from base.settings import refuse_renamed
from base.text import visible

CONF = Path(__file__).parents[1] / "conf"
DEBUG = "AGNOSTICS_DEBUG"
FULL = (errno.ENOSPC, errno.EDQUOT)  # of a disk, which may happen wherever something is written


def main(
    run: Callable[[DictConfig], object],
    config_name: str,
    *,
    before: Callable[[], None] | None = None,
    interrupted: str = "interrupted",
) -> None:
    """Calls `run` with the resolved config of conf/<config_name>.yaml and the command line; once per job of a sweep.

    `before` is called before Hydra composes: it registers config groups that are not files of conf/. `interrupted` is
    the sentence for a Ctrl-C that `run` does not answer itself. SIGTERM counts as Ctrl-C.
    """

    def job(config: DictConfig) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        with one_sentence(interrupted, debug=bool(config.get("debug")), ends_sweep=False):
            OmegaConf.resolve(config)
            run(config)

    with one_sentence(interrupted):
        refuse_renamed(word.lstrip("+~").partition("=")[0] for word in sys.argv[1:])
        if before:
            before()
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors then, and does not print them
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(job)()


def word(key: str, value: str) -> str:
    """`key=value` to be pasted into a shell: quoted for Hydra, which knows signs and letters of its own, and for it."""
    if not re.fullmatch(r"[A-Za-z0-9_./:%+@-]*", value):
        # in Hydra's quotes, a backslash means itself unless a quote follows
        doubled = re.sub(r"\\+(?='|$)", lambda run: 2 * run[0], value)
        value = "'" + doubled.replace("'", "\\'") + "'"
    return shlex.quote(f"{key}={value}")


@contextmanager
def one_sentence(
    interrupted: str, *, debug: bool = False, prefix: str = "error", ends_sweep: bool = True
) -> Iterator[None]:
    """Turns an error that a user can mend into `<prefix>: <sentence>` on standard error and exit code 1.

    `ends_sweep`: False around a job, whose error Hydra keeps until the other jobs of the sweep are done.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        _trace(debug)
        raise SystemExit(f"{prefix}: {interrupted}") from error
    except (UserError, HydraException, OmegaConfBaseException, YAMLError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, HydraException) and error.errno not in FULL:
            raise  # (a group's option that is not there is both)
        _trace(debug)
        words = visible(sentence(error))
        if ends_sweep or isinstance(error, Interrupted) or not _swept():
            raise SystemExit(f"{prefix}: {words}") from error
        print(f"{prefix}: {words}", file=sys.stderr, flush=True)
        raise CompactHydraException(words) from error


def sentence(error: BaseException) -> str:
    """The error's message on one line; those of Hydra and OmegaConf come as several, some of them lists."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in FULL:
        return (
            f"cannot write {error.filename or 'a file of the results'} ({error.strerror}): make room on its disk first"
        )
    text = str(error)
    if isinstance(error.__cause__, OmegaConfBaseException):
        text += f"\n{error.__cause__}"
    if unknown := re.match(r"Could not override '(.+?)'\.", text):
        return f"there is no key {unknown[1]}; --help lists the keys"
    if word := re.match(r"Error parsing override '(.+)'\s+missing EQUAL", text):
        return f"{word[1]} is no key=value; --help lists the keys"
    words = ""
    for line in dict.fromkeys(text.partition("\nConfig search path:")[0].split("\n")):
        if not line.strip() or line.strip().startswith("object_type="):
            continue
        before = "" if not words else " " if words.endswith(":") else ", " if line.startswith("\t") else "; "
        words += before + line.strip().removesuffix(".")
    return words


def overrides() -> list[str] | None:
    """The keys and groups that the command line of this job sets; None outside of a Hydra job."""
    if not HydraConfig.initialized():
        return None
    return [word.lstrip("+~").partition("=")[0] for word in HydraConfig.get().overrides.task]


def _trace(debug: bool) -> None:
    if debug or "debug=true" in sys.argv[1:] or os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exc()


def _swept() -> bool:
    """Whether this is a job of a sweep (-m)."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN
