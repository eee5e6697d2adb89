"""Scores a model on a benchmark in one language: the share of its programs that pass every test, as pass@k.

    python evaluate.py checkpoint=runs/lua-tiny-20261121-120000 protocol=heldout
    python evaluate.py model=qwen_coder_1.5b rollout=vllm dataset=multipl_e samples=1
    python evaluate.py -m language=lua,julia,r model=qwen3_4b dataset=ladder

By default the paper's protocol: 20 samples per problem at temperature 0.2, up to 1,024 new tokens, reasoning off, the
language named and not explained. Every answer is verified as it comes and kept; a command that was stopped goes on
when it is run again. `python -m study.matrix` gathers the scores of many commands, `python -m study.compare` tests
two against each other. docs/how-to/evaluate.md explains the figures.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

import languages
from base import script
from base.checks import flat
from base.errors import ConfigError, Interrupted, RunError
from base.files import write_text
from base.lock import locked
from base.settings import Count, ScriptSettings, Seed
from chat.settings import AnyModel, EndpointSettings
from languages import Language
from policy import lora, pretrained
from policy.settings import ModelSettings, RolloutSettings
from problems import load
from problems.sources.multipl_e import MultiplESettings
from problems.task import PromptSettings, Task, prompts_hash
from rollout import heldout, pass_at_k
from rollout.draw import AnswerSource, EndpointModel, LocalModel, fitting
from rollout.evaluation import collect, missing
from rollout.samples import Samples
from run import gpus, run_folder
from sandbox import open_pool
from sandbox.settings import SandboxSettings
from study import report

# Settings that change no sample; NOT_IN_GROUPS: those of the groups model and rollout.
NOT_IN_HASH = ("run_dir", "debug", "sandbox", "k", "prompts_too_long")
ROLLOUT = script.CONF / "rollout/transformers.yaml"
NOT_IN_GROUPS = (*run_folder.ENDPOINT, "gpu_memory_utilization", "cpu_kv_cache_gib")
TIMES = ("compile_s", "test_s", "wall_s", "program_s")  # of the limits
# What protocol=heldout leaves null, and the key of a run's config that has it.
OF_RUN = {
    "samples": "heldout.samples",
    "extract": "extract",
    "seed": "seed",
    "rollout.temperature": "heldout.temperature",
    "rollout.max_new_tokens": "rollout.max_new_tokens",
    "rollout.max_prompt_tokens": "rollout.max_prompt_tokens",
    "prompts_too_long": "prompts_too_long",
}


class Evaluation(ScriptSettings):
    """conf/evaluate.yaml has the defaults and says what each key means."""

    model: AnyModel
    language: dict[str, Any]
    dataset: load.Dataset
    rollout: RolloutSettings
    sandbox: SandboxSettings
    checkpoint: str | None
    split: Literal["heldout", "train"]
    limit: Count | None
    samples: Count
    prefix: bool
    seed: Seed
    extract: Literal["default", "paper"]
    compare: Literal["exact", "tokens", "lines", "decimal"] | None
    prompt: PromptSettings
    prompts_too_long: Literal["drop", "refuse"]
    k: list[Count]
    run_dir: str | None

    def task(self) -> Task:
        """The benchmark in the language. Raises DataError, LanguageError."""
        language, words = languages.from_config(self.language), self.prompt.read_template()
        return load.task(self.dataset, language, self.split, self.limit, self.extract, self.prefix, self.compare, words)

    def dataset_name(self) -> str:
        """The benchmark as a name: with its part, and what of it was taken."""
        parts = [self.dataset.name]
        if isinstance(self.dataset, MultiplESettings):
            parts += [self.dataset.root, *(["chat"] if self.dataset.style == "chat" else [])]
        elif self.split != "heldout":
            parts.append(self.split)
        return "-".join([*parts, *([f"first{self.limit}"] if self.limit else [])])


def run(config: DictConfig) -> dict[str, Any]:
    """One model, benchmark and language. Returns the scores (rollout/pass_at_k.py)."""
    evaluation = Evaluation.read(as_in_training(run_folder.with_groups_of_run(config, ("model", "language"))))
    task = evaluation.task()
    checkpoint = checkpoint_folder(evaluation)
    folder, settings = results_folder(evaluation, checkpoint, task)
    with opened(folder, settings):
        found, trouble = score_of(evaluation, task, checkpoint, folder)
        write_text(folder / "scores.json", json.dumps(found, indent=2))
        write_text(folder / "scores.md", report.page(found))
    show(found, folder)
    if trouble:
        print(f"{found['unanswered']} answers are missing, and the same command asks again: {trouble}")
    return found


def score_of(evaluation: Evaluation, task: Task, checkpoint: Path | None, folder: Path) -> tuple[dict[str, Any], str]:
    """The scores, once every answer that `folder` lacks is drawn and verified; and why some are missing still."""
    samples = Samples(folder)
    sampling = replace(evaluation.rollout.sampling(), stop=task.stop)
    asked = len(task.problems) * evaluation.samples
    source: AnswerSource | None = None
    with open_pool(load.pool_languages(task.problems, task.language), **evaluation.sandbox.options()) as pool:
        try:
            if missing(task, evaluation.samples, samples):
                source = open_source(evaluation, checkpoint, folder)
            if isinstance(source, LocalModel):  # a server counts its tokens itself
                most, rule = evaluation.rollout.max_prompt_tokens, evaluation.prompts_too_long
                task = replace(task, problems=fitting(task.problems, [task], source, most, rule))
                asked = len(task.problems) * evaluation.samples
            collect(task, source, pool, samples, evaluation.samples, sampling, heldout.draw_seed(evaluation.seed))
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"interrupted: {len(samples.rows)} of {asked} answers are kept in {folder}; the same command goes on"
            ) from error
    trouble = source.trouble if source else ""
    if not samples.rows:
        raise RunError(f"the model answered nothing ({trouble or 'nothing was asked'})")
    return {
        "model": evaluation.model.name if checkpoint is None else str(checkpoint),
        "dataset": evaluation.dataset_name(),
        "language": task.language.name,
        "protocol": {
            "samples": evaluation.samples,
            "temperature": evaluation.rollout.temperature,
            "max_new_tokens": evaluation.rollout.max_new_tokens,
            "top_p": evaluation.rollout.top_p,
            "prefix": evaluation.prefix,
            "extract": evaluation.extract,
            "compare": evaluation.compare or "own",
            "template": evaluation.prompt.template and file_hash(evaluation.prompt.template),
            "limits": other_limits(languages.from_config(evaluation.language)),
        },
        "prompts_sha256": prompts_hash([task]),
        "seconds": samples.seconds,
        "unanswered": asked - len(samples.rows),
        **pass_at_k.scores((samples.rows[key] for key in sorted(samples.rows)), evaluation.k),
    }, trouble


def as_in_training(config: DictConfig) -> DictConfig:
    """`config` with what protocol=heldout leaves null taken from the checkpoint's run, the data set too, and where
    there is none from train.py's defaults. A key that is set stays. Raises RunError.
    """
    missing_keys = [key for key in OF_RUN if OmegaConf.select(config, key) is None]
    if not missing_keys:
        return config
    config = run_folder.with_groups_of_run(config, ("dataset",))
    defaults = [OmegaConf.load(script.CONF / "train.yaml"), {"rollout": OmegaConf.load(ROLLOUT)}]
    run = flat(OmegaConf.to_container(OmegaConf.merge(*defaults, {"model": config.model}), resolve=True))
    if config.checkpoint:  # a run older than a key gets the key's default
        run |= run_folder.config_of(run_folder.find_checkpoint("checkpoint", config.checkpoint)) or {}
    config = config.copy()
    for key in missing_keys:
        OmegaConf.update(config, key, run.get(OF_RUN[key]))
    if run.get("dataset.name") == config.dataset.name and config.dataset.get("tiers", "none here") is None:
        config.dataset.tiers = run.get("dataset.tiers")
    if config.prompt.template is None:
        config.prompt.template = run.get("prompt.template")
    return config


def checkpoint_folder(evaluation: Evaluation) -> Path | None:
    """The checkpoint that the key `checkpoint` means. Raises RunError, ConfigError."""
    if evaluation.checkpoint is None:
        return None
    return run_folder.find_checkpoint("checkpoint", evaluation.checkpoint, evaluation.model.name)


def results_folder(evaluation: Evaluation, checkpoint: Path | None, task: Task) -> tuple[Path, dict[str, Any]]:
    """The folder of this evaluation, and what tells it from others: equal settings on equal data and weights have one.

    Scores belong to weights and not to the path where they lie: new weights in an old folder are a new evaluation.
    """
    settings = evaluation.model_dump(exclude={*NOT_IN_HASH, "prompt"}, exclude_unset=True)  # as the config has it
    for group in ("model", "rollout"):
        settings[group] = {key: value for key, value in settings[group].items() if key not in NOT_IN_GROUPS}
    settings["checkpoint"] = str(checkpoint.resolve()) if checkpoint else None
    settings |= weights(evaluation.model, checkpoint)
    settings["data"] = load.fingerprint(task.problems)
    settings["prompts"] = prompts_hash([task])
    if evaluation.run_dir:
        return Path(evaluation.run_dir).expanduser(), settings
    name = f"{evaluation.dataset_name()}-{task.language.name}-{evaluation.model.name.replace('/', '-')}"
    digest = hashlib.sha256(yaml.safe_dump(settings, sort_keys=False).encode()).hexdigest()[:8]
    return Path("scores") / f"{name}-{digest}", settings


@contextmanager
def opened(folder: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Holds the folder of an evaluation. A new one that ends in an error before any answer is forgotten: what mends the
    error may be another setting. Raises RunError when it is in use, or the folder of another evaluation."""
    try:
        with locked(folder):
            new = begin(folder, settings)
            try:
                yield
            except BaseException:
                if new and not any(folder.glob("samples*")):
                    for name in (run_folder.CONFIG, "versions.json"):
                        (folder / name).unlink(missing_ok=True)
                raise
    finally:
        with suppress(OSError):  # something is in it
            folder.rmdir()


def begin(folder: Path, settings: dict[str, Any]) -> bool:
    """Writes the settings into a folder that has none; returns whether it did. Raises RunError when it is the folder of
    another evaluation."""
    path = folder / run_folder.CONFIG
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if new := not path.exists():
            write_text(folder / "versions.json", json.dumps(run_folder.versions(), indent=2))
            write_text(path, yaml.safe_dump(settings, sort_keys=False))
    except OSError as error:
        raise RunError(f"cannot write into run_dir {folder} ({error.strerror})") from error
    if different := run_folder.difference(settings, folder):
        raise RunError(f"run_dir {folder} belongs to another {different}; name another folder")
    return new


def weights(model: ModelSettings | EndpointSettings, checkpoint: Path | None) -> dict[str, Any]:
    """What tells the weights, and the words that they are asked in, from others at the same place: `weights` of the
    checkpoint or the model, and `base` of the model where the checkpoint holds adapters of it. Raises ModelError."""
    if isinstance(model, EndpointSettings):
        return {"weights": {}, "base": None}  # a server does not say
    if checkpoint is None:
        return {"weights": pretrained.fingerprint(model), "base": None}
    base = pretrained.fingerprint(model) if lora.saved_in(checkpoint) else None
    return {"weights": pretrained.files(checkpoint), "base": base}


def other_limits(language: Language) -> str:
    """The limits that are not those of the language's own file; of time all or none, so that a protocol which sets some
    reads alike for a language whose own they are."""
    own, used = asdict(languages.load(language.name).limits), asdict(language.limits)
    other = {key for key in used if used[key] != own[key]}
    if other & {*TIMES}:
        other |= {key for key in TIMES if used[key] is not None}
    return " ".join(f"{key}={used[key]}" for key in used if key in other) or "own"


def file_hash(name: str) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(Path(name).expanduser().read_bytes()).hexdigest()


_open: tuple[str, AnswerSource] | None = None  # the jobs of a sweep over languages share one model


def open_source(evaluation: Evaluation, checkpoint: Path | None, folder: Path) -> AnswerSource:
    """The model behind its endpoint, or opened here, or still open from the job before."""
    global _open
    model = evaluation.model
    if isinstance(model, EndpointSettings):
        if checkpoint is not None:
            raise ConfigError("checkpoint goes with a model on this machine, not with model=endpoint")
        return EndpointModel(model, folder)
    gpus.check_driver()
    key = repr((model, evaluation.rollout, checkpoint, weights(model, checkpoint), evaluation.seed))
    if _open is None or _open[0] != key:
        _open = None
        gc.collect()  # the memory of the model before it
        _open = key, LocalModel.open(model, evaluation.rollout, checkpoint, evaluation.seed)
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


if __name__ == "__main__":
    script.main(run, "evaluate", before=languages.register, interrupted="interrupted before the first answer")
