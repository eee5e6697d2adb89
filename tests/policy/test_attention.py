"""The shared prompt goes through the model once; values and gradients are compared in test_model.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Qwen3Config, Qwen3ForCausalLM

from policy.attention import hidden_states
from policy.model import Policy

PROMPT = torch.tensor([5, 6, 7, 8, 9])
COMPLETIONS = torch.tensor([[1, 2, 3], [4, 5, 0], [7, 0, 0]])
LENGTHS = [3, 2, 1]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_prompt_is_computed_once(policy: Policy, checkpointing: bool) -> None:
    policy.model.train()
    if checkpointing:
        policy.model.gradient_checkpointing_enable({"use_reentrant": False})
    seen: list[tuple[int, int]] = []
    body: Any = policy.model.get_decoder()
    body.layers[0].mlp.register_forward_hook(lambda _, args, __: seen.append(args[0].shape[:2]))
    hidden_states(policy.model, [PROMPT], [3], COMPLETIONS, LENGTHS)
    assert seen == [(1, len(PROMPT) + sum(LENGTHS) - len(LENGTHS))], "no padding either"


def test_ordinary_calls_are_as_before(policy: Policy) -> None:
    ids = torch.randint(2, 250, (2, 9))
    attention = torch.ones_like(ids)
    attention[0, :4] = 0  # padded on the left, as for generate
    with torch.no_grad():
        before = policy.model(ids, attention_mask=attention).logits[:, -1]
        hidden_states(policy.model, [PROMPT], [3], COMPLETIONS, LENGTHS)
        after = policy.model(ids, attention_mask=attention).logits[:, -1]
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_a_row_sees_neither_the_others_nor_its_padding(policy: Policy) -> None:
    changed = COMPLETIONS.clone()
    changed[1] = torch.tensor([9, 9, 9])
    changed[2, 1] = 9
    with torch.no_grad():
        before, after = (
            hidden_states(policy.model, [PROMPT], [3], rows, [3, 3, 2]).split([3, 3, 2])
            for rows in (COMPLETIONS, changed)
        )
    torch.testing.assert_close(after[0], before[0])
    torch.testing.assert_close(after[2], before[2])
    assert not torch.allclose(after[1][1:], before[1][1:])


class Summed(TorchDispatchMode):
    """Counts the operations that add at indices, in an order that threads decide: CPU threads add atomically there."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        accumulates = any(a.name == "accumulate" for a in func._schema.arguments) and True in args[3:4]
        self.count += accumulates or "scatter_add" in func.name()
        return func(*args, **(kwargs or {}))


def test_no_gradient_depends_on_the_order_of_threads(policy: Policy) -> None:
    """All rows begin at the prompt's last state, whose gradient is a sum over them."""
    with Summed() as summed:
        mask = torch.arange(3) < torch.tensor(LENGTHS)[:, None]  # [rows, tokens]
        policy.logprobs([PROMPT.tolist()] * 3, COMPLETIONS, mask, 1.0)[0].sum().backward()
    assert summed.count == 0
    states = torch.ones(4, 2, requires_grad=True)  # what is counted is what an indexing does
    with Summed() as summed:
        states[torch.tensor([0, 0, 1])].sum().backward()
    assert summed.count == 1


def test_a_sliding_window_that_cuts_cannot_share_a_prompt() -> None:
    config = Qwen3Config(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        use_sliding_window=True,
        sliding_window=4,
        max_window_layers=0,
    )
    model = Qwen3ForCausalLM(config)
    with pytest.raises(ValueError, match="7 tokens is longer than the model's sliding window"):
        hidden_states(model, [PROMPT], [3], COMPLETIONS, LENGTHS)


def test_a_model_that_sees_everything_has_no_bound(policy: Policy) -> None:
    policy.check_length(1_000_000)
    assert policy.shares_prompt(1_000_000)
