"""The tiny policy: what it reads keeps the held-out problems out, and what is built is an ordinary model."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

import languages
from policy.builtin import tiny
from policy.builtin.tiny_corpus import FOLDER, Corpus, Grammar
from policy.model import Policy
from policy.samplers.generate import TransformersSampler
from policy.samplers.sampler import Sampling
from problems import prompt, starter
from problems.problem import read_jsonl
from problems.starter.kinds import KINDS
from rollout.draw import LocalModel
from rollout.rollout import RolloutWorker
from sandbox.answer import extract
from sandbox.job import Job
from sandbox.pool import Pool
from tests.toy_policy import toy_model

ROOT = Path(tiny.__file__).parents[2]
HELDOUT = list(read_jsonl(starter.FOLDER / "heldout.jsonl"))


@pytest.fixture(scope="module")
def samples():
    corpus = Corpus(1)
    return [corpus.draw() for _ in range(5000)]


@pytest.fixture(scope="module")
def tokenizer(samples):
    return tiny.train_tokenizer(samples[:1500])


@pytest.fixture(scope="module")
def pool():
    with Pool([languages.load("lua"), languages.load("python")]) as pool:
        yield pool


def grammar(path: Path, text: str) -> Grammar:
    path.write_text(text)
    return Grammar(path)


def test_grammar_expands_names_capitals_and_continued_lines(tmp_path):
    rules = grammar(tmp_path / "g.txt", "# told\n@a\n1 one $b\n| two\n\n@b\n1 deep\n@c\n1 other\n")
    random = Corpus(0).random
    assert rules.expand("$A, $b.", random) == "One deep\ntwo, deep."
    assert rules.expand("$a", random, b="c") == "one other\ntwo"
    with pytest.raises(KeyError, match="nowhere"):
        rules.expand("$nowhere", random)


def test_grammar_takes_alternatives_by_their_weight(tmp_path):
    rules = grammar(tmp_path / "g.txt", "@a\n9 often\n1 rare\n")
    random = Corpus(0).random
    drawn = [rules.expand("$a", random) for _ in range(2000)]
    assert 0.87 < drawn.count("often") / len(drawn) < 0.93


def test_a_line_that_is_no_grammar_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"g\.txt, line 2"):
        grammar(tmp_path / "g.txt", "@a\noops\n")


def test_every_rule_of_the_grammars_is_used():
    reached = {f"{prefix}_{kind.name}" for kind in KINDS for prefix in ("what", "do")} | {"frame_what", "frame_do"}
    reached |= {kind.name for kind in KINDS} | {f"in_{kind.shape.name}" for kind in KINDS}
    for path in FOLDER.glob("*.txt"):
        text = path.read_text()
        for rule in Grammar(path).rules:
            assert rule in reached or f"${rule}" in text or f"${rule.capitalize()}" in text, (path.name, rule)


def test_corpus_is_a_function_of_its_seed():
    assert [Corpus(3).draw() for _ in range(5)] == [Corpus(3).draw() for _ in range(5)]
    first, second = Corpus(3), Corpus(4)
    assert [first.draw() for _ in range(5)] != [second.draw() for _ in range(5)]


def test_heldout_wordings_and_values_are_never_read(samples):
    statements = {problem.statement.casefold() for problem in HELDOUT}
    inputs = {(problem.id.split("-")[1], test.input) for problem in HELDOUT for test in problem.tests}
    assert not statements & {sample.problem.statement.casefold() for sample in samples}
    assert not inputs & {(sample.kind.name, test.input) for sample in samples for test in sample.problem.tests}


def test_statements_are_sentences_in_many_wordings(samples):
    wordings = defaultdict(set)
    for sample in samples:
        statement = sample.problem.statement
        assert statement[0].isupper() and statement[-1] in ".?" and "$" not in statement and "  " not in statement
        wordings[sample.kind.name].add(statement)
    assert len(wordings) == len(KINDS) and min(map(len, wordings.values())) > 40


def judged(samples, language: str, pool: Pool) -> dict[str, list[bool]]:
    """By kind, whether each distinct program of the corpus passes that kind's first held-out problem."""
    problems = {problem.id.split("-")[1]: problem for problem in reversed(HELDOUT)}
    jobs, seen = [], set()
    for sample in samples:
        key = sample.kind.name, sample.completion
        if sample.language == language and key not in seen:
            seen.add(key)
            program = extract(sample.completion, languages.load(language))
            jobs.append(Job(sample.kind.name, language, program, problems[sample.kind.name].tests))
    passed = defaultdict(list)
    for verdict in pool.verify(jobs):
        passed[verdict.id].append(verdict.passed)
    return passed


def test_python_of_the_corpus_is_right(samples, pool):
    passed = judged(samples, "python", pool)
    assert len(passed) == len(KINDS)
    assert all(all(results) for results in passed.values()), passed


def test_lua_of_the_corpus_is_right_by_luck(samples, pool):
    """Reward needs both: some programs that pass, to be reinforced, and some that do not."""
    passed = judged(samples[:1500], "lua", pool)
    assert len(passed) == len(KINDS)
    assert all(0 < sum(results) < len(results) for results in passed.values()), passed


@given(st.text())
def test_tokenizer_gives_any_text_back(tokenizer, text):
    text = text.replace("\r", "")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    for special in tokenizer.all_special_tokens:
        assert special not in text
    assert tokenizer.decode(ids) == text


def test_prompts_are_short_and_templates_take_any_switch(tokenizer):
    for problem in HELDOUT:
        for language in ("lua", "python"):
            messages = prompt.messages(problem, languages.load(language))
            text = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
            assert text.endswith("<|im_start|>assistant\n")
            assert messages[0]["content"] in text
            assert len(tokenizer(text)["input_ids"]) < 110


def test_chats_are_rendered_as_training_by_reward_renders_them(samples, tokenizer):
    sample = samples[0]
    messages = prompt.messages(sample.problem, languages.load(sample.language))
    text, answer = tiny.chat(sample)
    assert text == tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert answer == sample.completion + tokenizer.eos_token


def test_only_answers_are_learned(samples, tokenizer):
    ids, answer = tiny.collate(tokenizer, samples[:4])
    for row, sample in enumerate(samples[:4]):
        text, completion = tiny.chat(sample)
        assert tokenizer.decode(ids[row][answer[row]]) == completion
        assert tokenizer.decode(ids[row]).replace(tokenizer.pad_token, "") == text + completion


def test_a_build_is_an_ordinary_model_and_a_function_of_its_seed(tmp_path):
    state = torch.random.get_rng_state()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tiny.build(tmp_path / name, seed, steps=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert weights["a"] == weights["b"] != weights["c"]
    model, tokenizer = (cls.from_pretrained(tmp_path / "a") for cls in (AutoModelForCausalLM, AutoTokenizer))
    assert model.dtype == torch.float32 and model.config.model_type == "qwen3"
    assert 1e6 <= model.num_parameters() <= 3e6
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


def test_two_processes_build_it_once_and_leftovers_are_cleared(tmp_path):
    """`ensure` in two processes at once; a part folder of a build that was killed lies in the way."""
    script = "import sys; from policy.builtin import tiny; tiny.STEPS = 2; print(tiny.ensure(5))"
    part = tmp_path / "models" / f".tiny-{tiny.fingerprint(5)}.part"
    part.mkdir(parents=True)
    (part / "model.safetensors").write_bytes(b"half")
    environment = {"AGNOSTICS_CACHE": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    results = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    folders = {Path(out.decode().strip()) for out, _ in results}
    assert folders == {tmp_path / "models" / f"tiny-{tiny.fingerprint(5)}"}
    assert sum(b"step 2/2" in err for _, err in results) == 1
    folder = folders.pop()
    assert sorted((tmp_path / "models").iterdir()) == [folder, folder.with_name(folder.name + ".lock")]


def test_it_is_fluent_in_python_and_clumsy_in_lua(pool):
    """The picture that the default run starts from; trains the policy, about a minute, if it is not in the cache."""
    policy = Policy.load(toy_model(tiny.ensure()))
    sampler = TransformersSampler(policy, 160)

    def measure(language: str, temperature: float, n: int) -> dict[str, float]:
        sampling = Sampling(temperature, 96)
        worker = RolloutWorker(LocalModel(policy, sampler), pool)
        rollouts, _ = worker.roll_out(HELDOUT, languages.load(language), n, sampling, seed=0)
        passed: dict[str, list[bool]] = defaultdict(list)
        for rollout in rollouts:
            passed[rollout.problem.id.split("-")[1]].append(rollout.verdict.passed)
        return {kind: sum(results) / len(results) for kind, results in passed.items()}

    assert mean(measure("python", 0.2, 2).values()) >= 0.85
    assert mean(measure("lua", 0.2, 4).values()) <= 0.35
    # Of nearly every kind, some programs are there to be reinforced; a rare one is found through other wordings.
    assert sum(rate > 0 for rate in measure("lua", 1.0, 32).values()) >= len(KINDS) - 2
