"""Samplers hand on what they sampled: tokens, their log-probs by the trainer's own measure, ends and cuts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from transformers import GenerationConfig

from base.errors import ConfigError
from policy.model import Policy
from policy.samplers import choose, open_sampler
from policy.samplers.generate import TransformersSampler
from policy.samplers.sampler import Completion, Sampling
from policy.settings import RolloutSettings

PROMPTS = [[40, 50, 60], [70, 80, 90, 100, 110, 120], [40, 50, 60, 61]]


def draw(policy: Policy, sampling: Sampling, seed: int = 0, batch_size: int = 8, n: int = 3) -> dict[int, Completion]:
    seen: dict[int, Completion] = {}

    def done(index: int, completion: Completion) -> None:
        assert index not in seen
        seen[index] = completion

    TransformersSampler(policy, batch_size).sample(PROMPTS, n, sampling, seed, done)
    return seen


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.5])
def test_log_probs_are_the_trainers(policy: Policy, temperature: float) -> None:
    completions = draw(policy, Sampling(temperature, 24))
    assert sorted(completions) == list(range(9))
    for index, completion in completions.items():
        assert completion.prompt == index // 3
        tokens = torch.tensor([completion.tokens])
        with torch.no_grad():
            logp, _ = policy.logprobs(
                [PROMPTS[index // 3]], tokens, torch.ones_like(tokens, dtype=torch.bool), temperature or 1.0
            )
        torch.testing.assert_close(torch.tensor(completion.logprobs), logp[0], rtol=0, atol=2e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_auto_is_transformers_without_a_gpu() -> None:
    config = OmegaConf.create({"rollout": {"engine": "auto", "batch_size": 4, "gpu_memory_utilization": 0.6}})
    OmegaConf.set_struct(config, True)
    assert choose(config) == "rollout=auto: transformers, as no GPU is here"
    assert config.rollout == {"engine": "transformers", "batch_size": 4}
    assert choose(config) == "", "it is chosen once"


def test_a_completion_ends_with_the_end_token_or_is_cut(policy: Policy) -> None:
    completions = draw(policy, Sampling(1.5, 200), n=8).values()
    assert {completion.finished for completion in completions} == {True, False} or all(c.finished for c in completions)
    for completion in completions:
        assert completion.finished == (completion.tokens[-1] in policy.eos)
        assert not set(completion.tokens[:-1]) & set(policy.eos)
        assert completion.finished or len(completion.tokens) == 200


def test_a_seed_decides_the_completions(policy: Policy) -> None:
    one, same, other = (draw(policy, Sampling(1.0, 16), seed) for seed in (1, 1, 2))
    assert one == same != other


def test_the_models_own_settings_for_generation_change_nothing(policy: Policy) -> None:
    model: Any = policy.model
    before, its_own = draw(policy, Sampling(1.0, 16)), model.generation_config
    model.generation_config = GenerationConfig(temperature=0.5, repetition_penalty=1.3, min_p=0.2, top_k=2)
    try:
        assert draw(policy, Sampling(1.0, 16)) == before
        assert model.generation_config.top_k == 2, "a checkpoint keeps them"
    finally:
        model.generation_config = its_own


def test_the_greedy_completion_does_not_depend_on_its_batch(policy: Policy) -> None:
    together, alone = draw(policy, Sampling(0.0, 16)), draw(policy, Sampling(0.0, 16), batch_size=1)
    assert [together[i].tokens for i in range(9)] == [alone[i].tokens for i in range(9)]


def test_completions_are_handed_on_as_they_end(policy: Policy) -> None:
    order: list[tuple[int, int]] = []
    TransformersSampler(policy, 64).sample(
        PROMPTS, 12, Sampling(1.5, 300), 0, lambda i, c: order.append((i, len(c.tokens)))
    )
    lengths = [length for _, length in order]
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]


def test_a_part_is_drawn_as_it_would_be_among_all(policy: Policy) -> None:
    whole = draw(policy, Sampling(1.0, 16), batch_size=2)
    part: dict[int, Completion] = {}
    TransformersSampler(policy, 2).sample(PROMPTS, 3, Sampling(1.0, 16), 0, part.__setitem__, wanted={1, 8})
    assert part == {index: whole[index] for index in (1, 8)}


def test_a_completion_is_seen_as_it_grows(policy: Policy) -> None:
    seen: dict[int, list[list[int]]] = {}
    done: dict[int, Completion] = {}
    sampler = TransformersSampler(policy, 4)
    sampler.sample(
        PROMPTS,
        2,
        Sampling(1.5, 60),
        0,
        done.__setitem__,
        grows=lambda i, tokens: seen.setdefault(i, []).append(tokens),
    )
    assert sorted(seen) == sorted(done) == list(range(6))
    for index, completion in done.items():
        assert seen[index] == [completion.tokens[: length + 1] for length in range(len(completion.tokens))]
    before = draw(policy, Sampling(1.0, 16))

    def enough(index: int, tokens: list[int]) -> None:
        if len(tokens) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampler.sample(PROMPTS, 1, Sampling(1.0, 16), 0, done.__setitem__, grows=enough)
    assert draw(policy, Sampling(1.0, 16)) == before, "what was stopped leaves nothing behind"


def test_a_completion_ends_after_a_stop_text(policy: Policy) -> None:
    whole = draw(policy, Sampling(1.0, 40), n=8)
    stop = next(c.text[5:7] for c in whole.values() if len(c.text) > 20 and c.text[5:7].isascii())
    halted = draw(policy, Sampling(1.0, 40, stop=(stop,)), n=8)
    assert any(completion.text != whole[index].text for index, completion in halted.items())
    for index, completion in halted.items():
        assert whole[index].text.startswith(completion.text.rstrip("\ufffd"))
        if stop in whole[index].text:
            assert completion.finished and completion.text.endswith(stop)
            assert completion.text.index(stop) == len(completion.text) - len(stop)


def test_an_unknown_engine_is_answered_with_the_choices(policy: Policy) -> None:
    with pytest.raises(ConfigError, match=r"rollout.engine is 'tgi'; the choices are transformers, vllm"):
        open_sampler(policy, RolloutSettings.model_construct(engine="tgi", batch_size=1), 0)
