"""Talk to a model: type a problem, or choose one of the data set; its program runs in the jail, and has a verdict.

    python -m study.chat checkpoint=runs/NAME             in the run's language; language=ocaml asks in another
    python -m study.chat model=endpoint model.base_url=http://localhost:8000/v1 model.name=big

An empty line sends what was typed, and the answer is shown as it is written; /help lists the commands, Ctrl-C stops an
answer, Ctrl-D ends. All that was asked and answered is kept in `chats/history.jsonl`, and the arrow
keys bring back what was typed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from omegaconf import DictConfig

import languages
from base import script
from base.errors import ConfigError
from run import run_folder
from study.chat.conversation import Conversation
from study.chat.settings import ChatSettings


@contextmanager
def _typing(folder: Path) -> Iterator[Callable[[str], str]]:
    """Reads lines, with arrow keys and a memory where somebody types."""
    if not sys.stdin.isatty():
        yield lambda prompt: input()
        return
    import readline

    typed = folder / "typed"
    with suppress(OSError):
        readline.read_history_file(typed)
    readline.set_history_length(2000)
    try:
        yield input
    finally:
        readline.write_history_file(typed)


def as_its_run(config: DictConfig) -> DictConfig:
    """`config` with the model, language and data set of the checkpoint's run where the command line names none, and
    what the rollout takes from the model."""
    set_keys = script.overrides()
    if not config.checkpoint or set_keys is None:
        return config
    config = run_folder.with_groups_of_run(config, ("model", "language", "dataset"))
    for key in ("temperature", "max_new_tokens"):
        if f"rollout.{key}" not in set_keys:
            config.rollout[key] = config.model[key]
    return config


def run(config: DictConfig) -> None:
    settings = ChatSettings.read(as_its_run(config))
    folder = Path(settings.run_dir).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"run_dir: cannot write into {folder} ({error.strerror})") from error
    with ExitStack() as stack:
        read = stack.enter_context(_typing(folder))
        Conversation(settings, folder, read, stack).talk()


if __name__ == "__main__":
    script.main(run, "chat", before=languages.register)
