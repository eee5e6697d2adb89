"""Config values of the wrong kind: a word where a number belongs, half a problem, minus one sample."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from base.checks import flat
from base.errors import ConfigError

CONF = Path(__file__).parents[1] / "conf"
MEASURES = ("_s", "_gib", "alpha")  # keys that end so may be fractions, though their defaults are whole
COUNTS = (  # keys of which there must be one at least
    *("prompts", "group", "epochs_per_batch", "samples", "problems", "attempts", "n", "batch", "epochs"),
    *("batch_size", "max_new_tokens", "max_prompt_tokens", "token_budget", "concurrency", "gpus"),
)


def check(config: DictConfig) -> None:
    """Raises ConfigError for the first value of a Hydra script's config that is of another kind than its default.

    The defaults are those of the files that `config` was composed from. null is left to whoever reads the key.
    """
    hydra = HydraConfig.get()
    groups = {group: option for group, option in hydra.runtime.choices.items() if group in config and option}
    for prefix, path in [("", f"{hydra.job.config_name}.yaml"), *((g, f"{g}/{o}.yaml") for g, o in groups.items())]:
        if not (CONF / path).is_file():  # a language, which is checked by its own schema, or a file of the user's
            continue
        defaults = OmegaConf.to_container(OmegaConf.load(CONF / path))
        for key, default in flat(defaults, prefix).items():
            value = OmegaConf.select(config, key)
            if value is not None and (wanted := _wanted(key, default, value)):
                raise ConfigError(f"{key} is {value!r}; it must be {wanted}")


def _wanted(key: str, default: object, value: object) -> str | None:
    """What `value` must be where it is not that."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if not isinstance(default, int | float):
        return None
    least = int(key.rpartition(".")[2] in COUNTS)
    whole = isinstance(default, int) and not key.endswith(MEASURES)
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if number >= least and (isinstance(number, int) or not whole):
        return None
    return f"a {'whole ' if whole else ''}number of {least} or more"
