"""Scores a model on a benchmark in one language: the share of its programs that pass every test, as pass@k.

    python evaluate.py checkpoint=runs/lua-tiny-20261121-120000 protocol=heldout
    python evaluate.py model=qwen_coder_1.5b rollout=vllm dataset=multipl_e samples=1
    python evaluate.py -m language=lua,julia,r model=qwen3_4b dataset=ladder

By default the paper's protocol: 20 samples a problem at temperature 0.2, up to 1,024 new tokens, reasoning off, the
language named and not explained. Every answer is verified as it comes and kept; a command that was stopped goes on
when it is run again. `python -m study.matrix` gathers the scores of many commands, `python -m study.compare` tests
two against each other. docs/evaluation.md explains the figures.
"""

from __future__ import annotations

import gc
import hashlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

import hydra
import yaml
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

import languages
from base import checks, kinds
from base.errors import ConfigError, RunError, UserError
from base.files import write_text
from policy import lora
from policy.samplers.sampler import Sampling
from problems import load
from problems.task import Task
from rollout import heldout, score
from rollout.collect import collect, missing
from rollout.draw import EndpointGenerator, Generator, LocalGenerator
from rollout.samples import Samples
from run import run_folder
from sandbox import answer, open_pool
from study import report

NOT_IN_HASH = ("results", "sandbox", "k")  # what changes no sample, as do these of the groups model and rollout
NOT_IN_GROUPS = (*run_folder.ENDPOINT, "gpu_memory_utilization", "cpu_kv_cache_gib")


def run(config: DictConfig) -> dict[str, Any]:
    """One model, benchmark and language. Returns the scores (rollout/score.py)."""
    checks.one_of("extract", config.extract, answer.RULES)
    task = load.task(config)
    checkpoint = checkpoint_folder(config)
    folder = results_folder(config, checkpoint, task)
    samples = Samples(folder)
    sampling = Sampling(
        config.rollout.temperature,
        config.rollout.max_new_tokens,
        config.rollout.top_p,
        config.rollout.max_prompt_tokens,
        task.stop,
    )
    seed = heldout.draw_seed(config.seed)
    asked = len(task.problems) * config.samples
    generator: Generator | None = None
    with open_pool(load.pool_languages(task.problems, task.language), **config.sandbox) as pool:
        try:
            if missing(task, config.samples, samples):
                generator = open_generator(config, checkpoint, folder)
            collect(task, generator, pool, samples, config.samples, sampling, seed)
        except KeyboardInterrupt:
            raise RunError(
                f"interrupted: {len(samples.rows)} of {asked} answers are kept in {folder}; the same command goes on"
            ) from None
    if not samples.rows:
        raise RunError(f"the model answered nothing ({generator.trouble if generator else 'nothing was asked'})")
    found = {
        "model": str(config.model.name) if checkpoint is None else str(checkpoint),
        "dataset": dataset_name(config),
        "language": task.language.name,
        "protocol": {
            "samples": config.samples,
            "temperature": config.rollout.temperature,
            "max_new_tokens": config.rollout.max_new_tokens,
            "prefix": config.prefix,
            "extract": config.extract,
        },
        "seconds": samples.seconds,
        "unanswered": asked - len(samples.rows),
        **score.scores((samples.rows[key] for key in sorted(samples.rows)), config.k),
    }
    write_text(folder / "scores.json", json.dumps(found, indent=2))
    write_text(folder / "scores.md", report.page(found))
    show(found, folder)
    if generator is not None and generator.trouble:
        print(f"{found['unanswered']} answers are missing, and the same command asks again: {generator.trouble}")
    return found


def dataset_name(config: DictConfig) -> str:
    """The benchmark as a name: with its part, and what of it was taken."""
    parts = [config.dataset.name]
    if config.dataset.name == "multipl_e":
        parts += [config.dataset.root, *(["chat"] if config.dataset.style == "chat" else [])]
    elif config.split != "heldout":
        parts.append(config.split)
    return "-".join([*parts, *([f"first{config.limit}"] if config.limit else [])])


def checkpoint_folder(config: DictConfig) -> Path | None:
    """The checkpoint that the key `checkpoint` means: itself, or the newest of a run folder.

    Raises ConfigError where its run trained another model than the config names: it would be asked by another's rules.
    """
    if config.checkpoint is None:
        return None
    folder = Path(config.checkpoint).expanduser()
    found = (
        folder
        if any((folder / name).is_file() for name in ("config.json", lora.FILE))
        else run_folder.last_checkpoint(folder)
    )
    if found is None:
        raise RunError(f"checkpoint={config.checkpoint} is neither a checkpoint nor a run folder that holds one")
    trained = run_folder.model_of(found)
    if trained not in (None, config.model.name):
        raise ConfigError(f"checkpoint={config.checkpoint} is of model {trained!r}: add model={trained}")
    return found


def results_folder(config: DictConfig, checkpoint: Path | None, task: Task) -> Path:
    """The folder of this evaluation, made if it is new. The same settings on the same data have the same folder.

    Raises RunError when `results` names the folder of an evaluation with other settings.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True)
    settings = {key: value for key, value in plain.items() if key not in NOT_IN_HASH}
    for group in ("model", "rollout"):
        settings[group] = {key: value for key, value in settings[group].items() if key not in NOT_IN_GROUPS}
    settings["checkpoint"] = str(checkpoint.resolve()) if checkpoint else None
    settings["data"] = load.fingerprint(task.problems)
    text = yaml.safe_dump(settings, sort_keys=False)
    name = f"{dataset_name(config)}-{config.language.name}-{config.model.name}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    folder = Path(config.results).expanduser() if config.results else Path("scores") / f"{name}-{digest}"
    path = folder / run_folder.CONFIG
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_text(folder / "versions.json", json.dumps(run_folder.versions(), indent=2))
            write_text(path, text)
    except OSError as error:
        raise RunError(f"cannot write into results folder {folder} ({error.strerror})") from None
    if different := run_folder.difference(settings, folder):
        raise RunError(f"results folder {folder} belongs to another {different}; name another folder")
    return folder


_open: tuple[str, Generator] | None = None  # the jobs of a sweep over languages share one model


def open_generator(config: DictConfig, checkpoint: Path | None, folder: Path) -> Generator:
    """The model behind its endpoint, or opened here, or still open from the job before."""
    global _open
    if "base_url" in config.model:
        if checkpoint is not None:
            raise ConfigError("checkpoint goes with a model on this machine, not with model=endpoint")
        return EndpointGenerator(config.model, folder)
    key = repr((OmegaConf.to_container(config.model), OmegaConf.to_container(config.rollout), checkpoint, config.seed))
    if _open is None or _open[0] != key:
        _open = None
        gc.collect()  # the memory of the model before it
        _open = key, LocalGenerator.open(config.model, config.rollout, checkpoint, config.seed)
    return _open[1]


def show(found: dict[str, Any], folder: Path) -> None:
    """The scores as a table on the terminal."""
    protocol = found["protocol"]
    table = Table(title=f"{found['model']} in {found['language']} on {found['dataset']}")
    table.add_column("score")
    table.add_column(f"{found['problems']} problems x {protocol['samples']}, T = {protocol['temperature']}")
    for line in report.lines(found):
        table.add_row(*line)
    Console().print(table)
    Console().print(f"samples and scores: {folder}", highlight=False, soft_wrap=True)


languages.register()


@hydra.main(version_base="1.3", config_path=str(Path(__file__).parent / "conf"), config_name="evaluate")
def main(config: DictConfig) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: with everything kept
    try:
        OmegaConf.resolve(config)
        kinds.check(config)
        run(config)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted before the first answer")


if __name__ == "__main__":
    main()
