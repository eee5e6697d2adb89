"""The paper's baselines end to end: a tiny model learns from a teacher's Lua, or from what it got right itself."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig
from transformers import AutoModelForCausalLM

import languages
import train
from base.errors import UserError
from benchmarks.scripted_endpoint import Raw, serve
from policy.model import Policy
from policy.ranks import Ranks
from policy.samplers.generate import TransformersSampler
from policy.settings import ModelSettings
from problems import load
from problems.problem import Problem
from rollout.draw import LocalModel
from rollout.pass_at_k import Row
from rollout.samples import Samples
from run import run_folder
from tests.conftest import composed, run, stopped
from tests.starter_lua import answer, kind, split, write_answers
from training import teacher
from training.optimizer import open_optimizer
from training.settings import TrainSettings
from training.supervised import VerifiedAnswers, verified_answers
from training.update import Learner

FAST = ("optimizer.learning_rate=1e-3", "heldout.every=0", "checkpoint.every=1", "rollout.max_new_tokens=64")


def trained(folder: Path, *overrides: str) -> Path:
    """A run in this process, as `main` starts it on one rank."""
    config = composed(*overrides, f"run_dir={folder}", "resume=auto")
    train.train(config, run_folder.create(config)[0], Ranks())
    return folder


def learned_from(
    config: DictConfig, rows: Sequence[Row], policy: Policy, problems: Sequence[Problem]
) -> VerifiedAnswers:
    settings, model = TrainSettings.read(config), LocalModel(policy, TransformersSampler(policy, 8))
    language, sampling = languages.of_run(settings.language)[0], settings.rollout.sampling()
    return verified_answers(rows, model, problems, language, sampling, settings.teacher, settings.seed)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """28 problems, 7 held-out ones, and a right answer to each of the 28."""
    folder = tmp_path_factory.mktemp("data")
    for name, count in (("train", 28), ("heldout", 7)):
        (folder / f"{name}.jsonl").write_text("".join(split(name, count)))
    write_answers(folder / "answers.jsonl", split("train", 28))
    return folder


def files(data: Path) -> tuple[str, str]:
    return f"dataset.train={data}/train.jsonl", f"dataset.heldout={data}/heldout.jsonl"


@pytest.fixture(scope="module")
def distilled(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four epochs on a file of right answers."""
    changes = ("experiment=distillation", f"teacher.answers={data}/answers.jsonl", "teacher.batch=10")
    return trained(tmp_path_factory.mktemp("distilled") / "run", *changes, "teacher.epochs=4", *FAST, *files(data))


def test_distillation_teaches(distilled: Path) -> None:
    metrics = rows(distilled)
    assert [row["step"] for row in metrics] == list(range(13))  # 28 answers, 10 per step: 3 steps per epoch
    losses = [row["loss"] for row in metrics[1:]]
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])
    before, after = metrics[0]["heldout/pass@1"], metrics[-1]["heldout/pass@1"]
    assert after > before + 0.2, (before, after)
    assert metrics[-1]["epoch"] == 4
    assert metrics[4]["learning_rate"] > metrics[-1]["learning_rate"] > 0
    AutoModelForCausalLM.from_pretrained(distilled / "checkpoints/step_000012")


def test_what_it_cost_is_counted(distilled: Path) -> None:
    metrics = rows(distilled)
    assert all(row["cost/samples"] == row["cost/accepted"] == 28 for row in metrics)
    assert metrics[0]["cost/trained_tokens"] == 0
    assert metrics[-1]["cost/trained_tokens"] == sum(row["trained_tokens"] for row in metrics[1:])
    taught = pq.read_table(distilled / "teacher/samples.parquet").to_pylist()
    assert {row["verdict"] for row in taught} == {"passed"}
    # every epoch trains on each answer and its end token once
    assert metrics[-1]["cost/trained_tokens"] == 4 * (metrics[0]["cost/sampled_tokens"] + 28)
    summary = json.loads((distilled / "finished.json").read_text())
    assert summary["method"] == "distillation" and summary["accepted_share"] == 1.0
    assert summary["heldout"]["after"] == metrics[-1]["heldout/pass@1"]
    assert summary["cost"]["trained_tokens"] == metrics[-1]["cost/trained_tokens"]


def test_the_loss_is_the_mean_over_answer_tokens(data: Path) -> None:
    """Against transformers' own loss, one answer at a time, on logits that are whole."""
    config = composed("experiment=distillation", f"teacher.answers={data}/answers.jsonl", *FAST, *files(data))
    policy = Policy.load(ModelSettings.read(config.model))
    problems = load.load(load.dataset(config.dataset), "train")[:5]
    verified = [
        {"problem": p.id, "completion": answer(kind(p.id)), "program": "x", "verdict": "passed", "finished": True}
        | {"completion_tokens": 1}
        for p in problems
    ]
    found = learned_from(config, verified, policy, problems)
    nll, tokens = 0.0, 0
    for taught in found.answers:
        ids = [*taught.prompt_tokens, *taught.completion.tokens]
        assert policy.tokenizer.decode(ids) == taught.prompt + answer(kind(taught.problem.id)) + "<|im_end|>"
        count = len(taught.completion.tokens)
        batch = policy.tokenizer.pad({"input_ids": [ids]}, return_tensors="pt")
        labels = batch["input_ids"].clone()
        labels[:, : len(ids) - count] = -100
        nll += float(policy.model(**batch, labels=labels).loss.detach()) * count
        tokens += count
    settings = TrainSettings.read(config).optimizer
    learner = Learner(policy, open_optimizer(policy, settings), settings)
    figures = learner.update(found.take(0).rollouts, found.objective)
    assert figures["loss"] == pytest.approx(nll / tokens, rel=1e-4)
    assert figures["trained_tokens"] == tokens


def test_an_answer_is_learned_as_it_was_judged(data: Path) -> None:
    """With the words of a thought in its program, and without an end where it was cut."""
    config = composed(
        "experiment=distillation", f"teacher.answers={data}/answers.jsonl", "teacher.accept=passed", *FAST
    )
    policy = Policy.load(ModelSettings.read(config.model))
    problems = load.load(load.dataset(composed(*files(data)).dataset), "train")[:2]
    texts = ("<think>\nhm\n</think>\n```lua\nprint('</think>')\n```", "```lua\nprint(1)\n```\nIt pri")
    rows = [
        {"problem": p.id, "completion": text, "program": "x", "verdict": "passed", "finished": number == 0}
        | {"completion_tokens": 1}
        for number, (p, text) in enumerate(zip(problems, texts, strict=True))
    ]
    learned = [answer.completion.tokens for answer in learned_from(config, rows, policy, problems).answers]
    whole, cut = (policy.tokenizer.decode(tokens) for tokens in learned)
    assert whole == "```lua\nprint('</think>')\n```<|im_end|>" and cut == texts[1]


def test_a_folder_of_samples_teaches_adapters(distilled: Path, data: Path, tmp_path: Path) -> None:
    """What a run or evaluate.py has collected is a teacher's file; of equal answers one is taken."""
    collected = Samples(distilled / "teacher")
    for row in list(collected.rows.values())[:14]:
        collected.rows[row["problem"], 1] = row | {"sample": 1}  # the same again
    wrong = next(iter(collected.rows.values()))
    collected.rows[wrong["problem"], 2] = wrong | {"sample": 2, "completion": "```lua\nprint(1)\n```"}
    (tmp_path / "answers").mkdir()
    copy = Samples(tmp_path / "answers")
    for row in collected.rows.values():
        copy.add(row)
    copy.finish()
    changes = ("experiment=distillation", f"teacher.answers={tmp_path}/answers", "teacher.accept=passed", "lora.rank=8")
    folder = trained(tmp_path / "run", *changes, "steps=2", "heldout.samples=1", *FAST, *files(data))
    assert (folder / "checkpoints/step_000002/adapter_model.safetensors").exists()
    counts = rows(folder)[-1]
    assert (counts["cost/samples"], counts["cost/accepted"]) == (43, 42)
    assert rows(folder)[2]["loss"] < rows(folder)[1]["loss"]


def test_a_teacher_behind_an_endpoint(data: Path, tmp_path: Path) -> None:
    """Wrong answers are kept as teacher.accept says; a refusal costs no other answer; thinking is not learned."""
    problems = [json.loads(line) for line in split("train", 28)][:6]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in problems))

    def script(request: dict[str, Any]) -> str | Raw:
        text = request["messages"][-1]["content"]
        number = next(n for n, problem in enumerate(problems) if problem["statement"] in text)
        if number == 0:
            return Raw(400, b"too long")
        right = answer(kind(problems[number]["id"]))
        return "<think>Lua, then.</think>\n" + ("```lua\nprint('wrong')\n```" if number == 1 else right)

    for accept, learned in (("answered", 5), ("passed", 4)):
        with serve(script) as server:
            folder = trained(
                tmp_path / accept, "experiment=distillation", f"teacher.model.base_url={server.url}",
                "teacher.model.name=scripted", f"teacher.accept={accept}", "steps=1", "heldout.samples=1", *FAST,
                f"dataset.train={tmp_path}/train.jsonl", files(data)[1],
            )  # fmt: skip
            assert {request["max_tokens"] for request in server.requests} == {32768}
        counts = rows(folder)[-1]
        assert (counts["cost/samples"], counts["cost/accepted"]) == (5, 4)
        assert counts["cost/sampled_tokens"] == 15  # as the server counts
        lengths = [len(answer(kind(problem["id"]))) for problem in problems]
        assert 0 < counts["trained_tokens"] < sum(lengths)
        assert (folder / "teacher/chat.jsonl").is_file()
        closed = ("teacher.model.base_url=http://127.0.0.1:9/v1", "teacher.model.name=scripted")  # never asked
        again = composed("experiment=distillation", f"teacher.accept={accept}", *closed, *FAST, *files(data))
        policy = Policy.load(ModelSettings.read(again.model))
        chosen = [
            problem
            for problem in load.load(load.dataset(again.dataset), "train")
            if problem.id in {p["id"] for p in problems}
        ]
        found = learned_from(again, teacher.kept(folder, chosen), policy, chosen)
        assert len(found.answers) == learned
        assert not any("think" in taught.completion.text for taught in found.answers)


REJECTION = ("experiment=rejection_sampling", "teacher.n=6", "teacher.batch=8", "teacher.epochs=1", "heldout.samples=1")


@pytest.fixture(scope="module")
def rejection(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """A run of rejection sampling that nothing disturbs, and its overrides."""
    overrides = (*REJECTION, "rollout.batch_size=12", *FAST, *files(data))
    return trained(tmp_path_factory.mktemp("rejection") / "run", *overrides), overrides


def test_rejection_sampling_learns_from_what_passed(rejection: tuple[Path, tuple[str, ...]]) -> None:
    folder, _ = rejection
    drawn = pq.read_table(folder / "teacher/samples.parquet").to_pylist()
    passed = [row for row in drawn if row["verdict"] == "passed"]
    assert len(drawn) == 28 * 6 and 20 < len(passed) < 28 * 6
    last = rows(folder)[-1]
    assert (last["cost/samples"], last["cost/accepted"]) == (len(drawn), len(passed))
    assert last["cost/sampled_tokens"] == sum(row["completion_tokens"] for row in drawn)
    different = len({(row["problem"], row["completion"].strip()) for row in passed})
    assert last["step"] == -(-different // 8)
    assert all(0 < row["loss"] < 2 for row in rows(folder)[1:]), "its own words are no surprise to it"


def test_a_stopped_run_goes_on_exactly(rejection: tuple[Path, tuple[str, ...]], tmp_path: Path) -> None:
    """Ctrl-C while it samples, then kill -9 while it trains: the weights come out as if nothing had happened."""
    calm, overrides = rejection
    folder = tmp_path / "run"
    arguments = (*overrides, f"run_dir={folder}", "resume=auto")
    output = stopped(arguments, signal.SIGINT, folder / "teacher/samples/part_*.parquet")
    assert re.search(f"interrupted: .* answers are kept .* run_dir={folder} resume=auto", " ".join(output.split()))
    assert 0 < len(Samples(folder / "teacher").rows) < 28 * 6
    stopped(arguments, signal.SIGKILL, folder / "checkpoints/step_000002")
    trained(folder, *overrides)
    last = f"checkpoints/step_{rows(calm)[-1]['step']:06d}"
    for name in ("model.safetensors", "trainer/optimizer.safetensors"):
        assert (folder / last / name).read_bytes() == (calm / last / name).read_bytes(), name
    assert [row.get("loss") for row in rows(folder)] == [row.get("loss") for row in rows(calm)]
    assert json.loads((folder / "finished.json").read_text()) == json.loads((calm / "finished.json").read_text())


@pytest.mark.slow
def test_two_ranks_collect_and_train(data: Path, tmp_path: Path) -> None:
    overrides = (*REJECTION, *FAST, *files(data))
    done = run(*overrides, "steps=2", "gpus=2", f"run_dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(Samples(tmp_path / "run/teacher").rows) == 28 * 6
    assert rows(tmp_path / "run")[-1]["cost/samples"] == 28 * 6


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("method=sft",), "method is 'sft'; the choices are 'grpo', 'distillation', 'rejection_sampling'"),
        (("method=distillation",), "needs a teacher: teacher.answers=FOLDER"),
        (("experiment=distillation",), "teacher.model.base_url is not given"),
        (("experiment=rejection_sampling", "teacher.n=0"), "teacher.n is 0"),
        (("experiment=rejection_sampling", "teacher.accept=all"), "teacher.accept is 'all'"),
        (("experiment=rejection_sampling", "language_mix=[lua,python]"), "one language at a time"),
        (("experiment=rejection_sampling", "samplers=1"), "samplers= goes with method=grpo"),
        (("curriculum=easy_to_hard",), "needs problems of several tiers"),
        (("experiment=distillation", "teacher.answers={{}}"), "teacher.answers is {}"),
        (("experiment=distillation", "teacher.answers=/no/file.jsonl"), "cannot read /no/file.jsonl"),
        (("experiment=distillation", "teacher.answers={data}/keys.jsonl"), "keys.jsonl, row 2: the keys problem and"),
        (("experiment=distillation", "teacher.answers={data}/others.jsonl"), "only to others, such as 'x'"),
        (("experiment=distillation", "teacher.answers={data}/none.jsonl"), "no answer to learn from.*1 no_program"),
    ],
)
def test_what_cannot_be_is_one_sentence(overrides: tuple[str, ...], words: str, data: Path, tmp_path: Path) -> None:
    known = json.loads(split("train", 28)[0])["id"]
    (data / "keys.jsonl").write_text(f'{{"problem": "{known}", "completion": ""}}\n{{"problem": 7}}\n')
    (data / "others.jsonl").write_text('{"problem": "x", "completion": ""}\n')
    (data / "none.jsonl").write_text(f'{{"problem": "{known}", "completion": "I cannot."}}\n')
    with pytest.raises(UserError, match=words):
        trained(tmp_path / "run", *(text.format(data=data) for text in overrides), *files(data))
