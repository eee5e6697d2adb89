"""Scores a model on a data set's split in one language: the share of its programs that pass every test (pass@1).

    python evaluate.py checkpoint=runs/lua-tiny-20261121-120000
    python evaluate.py model=smollm2_135m language=python dataset=ladder samples=4
    python evaluate.py -m language=lua,python

The same road as training's held-out evaluation, so the same seed and samples give the figure the run reported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

import languages
from policy import run_folder
from policy.errors import ERRORS
from policy.journal import write_rollouts
from policy.model import Policy
from policy.run_folder import RunError
from policy.sampler import Sampling, open_sampler
from policy.score import evaluate
from problems import load
from sandbox.pool import open_pool


def checkpoint_folder(name: str | None) -> Path | None:
    """The checkpoint that the key `checkpoint` means: itself, or the newest of a run folder."""
    if name is None:
        return None
    folder = Path(name).expanduser()
    found = folder if (folder / "config.json").is_file() else run_folder.last_checkpoint(folder)
    if found is None:
        raise RunError(f"checkpoint={name} is neither a checkpoint nor a run folder that holds one")
    return found


def run(config: DictConfig) -> dict[str, float]:
    language = languages.from_config(config.language)
    problems = load.load(config.dataset, config.split)
    policy = Policy.load(config.model, checkpoint_folder(config.checkpoint))
    sampler = open_sampler(policy, config.rollout, config.seed)
    sampling = Sampling(
        config.temperature, config.rollout.max_new_tokens, max_prompt_tokens=config.rollout.max_prompt_tokens
    )
    with open_pool([language], **config.sandbox) as pool:
        rollouts, scores = evaluate(
            policy, sampler, pool, problems, language, config.samples, sampling, config.seed, config.extract
        )
    table = Table(title=f"{policy.source} in {language.title} on {config.dataset.name} ({config.split})")
    table.add_column("score")
    table.add_column(f"{len(problems)} problems x {config.samples} samples, T = {config.temperature}", justify="right")
    for name, value in scores.items():
        table.add_row(name.removeprefix("heldout/"), f"{value:.4f}")
    Console().print(table)
    if config.results:
        folder = Path(config.results).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        write_rollouts(folder / "rollouts.parquet", rollouts)
        run_folder.write(folder / "scores.json", json.dumps(scores, indent=2))
    return scores


languages.register()


@hydra.main(version_base="1.3", config_path=str(Path(__file__).parent / "conf"), config_name="evaluate")
def main(config: DictConfig) -> None:
    try:
        OmegaConf.resolve(config)
        run(config)
    except ERRORS as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
