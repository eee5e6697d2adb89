"""A model of this machine behind the chat interface: transformers' generate on a toy policy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chat.local import LocalChat
from chat.reply import Reply, UnansweredError
from policy.settings import ModelSettings, RolloutSettings

ROLLOUT = RolloutSettings(
    engine="transformers", batch_size=4, temperature=1.0, top_p=1.0, max_new_tokens=96, max_prompt_tokens=20,
    max_sampler_gap=0.5,
)  # fmt: skip


def ask(config: ModelSettings, kept: Path, *texts: str, **keys: Any) -> tuple[list[Any], LocalChat]:
    options = {"temperature": 1.0, "max_tokens": 6, **keys}

    async def main() -> tuple[list[Any], LocalChat]:
        async with LocalChat(config, ROLLOUT, kept / "chat.jsonl", seed=0) as chat:
            asked = (chat.ask([{"role": "user", "content": text}], **options) for text in texts)
            return await asyncio.gather(*asked, return_exceptions=True), chat

    return asyncio.run(main())


def test_answers_are_sampled_in_batches_and_kept(model_config: ModelSettings, tmp_path: Path) -> None:
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    replies, chat = ask(model_config, tmp_path, *texts, n=2, seed=3)
    assert all(isinstance(reply, Reply) and len(reply.answers) == 2 for reply in replies)
    assert [reply.prompt_tokens for reply in replies] == [2, 3, 4, 5, 6]
    assert chat.counts.completion_tokens == sum(reply.completion_tokens for reply in replies) <= 60
    assert {answer.finish_reason for reply in replies for answer in reply.answers} <= {"stop", "length"}
    again, chat = ask(model_config, tmp_path, *texts, n=2, seed=3)
    assert again == replies
    assert (chat.counts.cached, chat.counts.completion_tokens) == (10, 0)


def test_the_same_seed_gives_the_same_answer(model_config: ModelSettings, tmp_path: Path) -> None:
    found = [ask(model_config, tmp_path / str(n), "hello", seed=seed)[0] for n, seed in enumerate((1, 1, 2))]
    assert found[0] == found[1] != found[2]


def test_top_p_leaves_what_is_likely(model_config: ModelSettings, tmp_path: Path) -> None:
    found = [ask(model_config, tmp_path / str(n), "hello", seed=n, top_p=1e-6, temperature=3.0)[0] for n in range(3)]
    assert found[0] == found[1] == found[2] != ask(model_config, tmp_path / "free", "hello", seed=0, temperature=3.0)[0]


def test_stop_cuts_the_text(model_config: ModelSettings, tmp_path: Path) -> None:
    (whole,), _ = ask(model_config, tmp_path, "hello", seed=1, max_tokens=20)
    text = whole.answers[0].text
    word = text[len(text) // 2]
    (cut,), _ = ask(model_config, tmp_path, "hello", seed=1, max_tokens=20, stop=[word])
    assert cut.answers[0].text == text[: text.index(word)]
    assert cut.answers[0].finished


def test_a_prompt_that_is_too_long(model_config: ModelSettings, tmp_path: Path) -> None:
    (long, short), _ = ask(model_config, tmp_path, "x" * 30, "x")
    assert isinstance(long, UnansweredError) and "a prompt of 31 tokens; rollout.max_prompt_tokens is 20" in str(long)
    assert isinstance(short, Reply)


def test_an_engine_that_fails_says_so(
    model_config: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(LocalChat, "_sample", broken)
    replies, _ = ask(model_config, tmp_path, "a", "b")
    assert [str(reply) for reply in replies] == ["out of memory"] * 2
