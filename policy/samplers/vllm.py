"""Sampling by vLLM inside the training process: sleep while the trainer works, then wake, take the weights, go on.

The same code runs on GPUs and on vLLM's CPU build, which has no sleep mode. Weights travel through vLLM's own
`reload_weights`, every one of them by its name in a checkpoint, LoRA merged in out of place. `lm_head.weight` is passed
even where it is tied to the embedding: left out, vLLM keeps the old head and says nothing.
"""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from base.errors import ModelError, RunError
from policy.model import Policy
from policy.ranks import ALONE, Ranks
from policy.samplers import int8
from policy.samplers.sampler import Completion, Sampling
from policy.samplers.weights import repack_experts
from policy.settings import RolloutSettings

MOMENTS = "optimizer.safetensors"  # a trainer's state, which lay beside the weights before 2026-11-28


class VllmSampler:
    """One vLLM engine on the policy's device: in this process or, on a rank that only samples, in one of its own.

    In a process of its own it shares no group of torch's with the ranks, which train meanwhile, and it never sleeps.
    """

    def __init__(self, policy: Policy, config: RolloutSettings, seed: int, ranks: Ranks = ALONE) -> None:
        """`config` is the config group `rollout`."""
        self.ranks = ranks
        # One process: the engine is called, not messaged, and its failures are ours.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", str(int(ranks.samplers > 0)))
        # A fork would hold locks of this process's threads.
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(config.cpu_kv_cache_gib))
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        from vllm import LLM  # slow to import, and only this engine wants it

        self.policy, self.quantize = policy, config.quantize
        self.can_sleep = policy.device.type == "cuda" and not policy.outline  # beside a trainer
        state = torch.get_rng_state()
        longest = config.max_prompt_tokens + config.max_new_tokens
        options: dict[str, Any] = dict(
            dtype=policy.config.compute_dtype,
            seed=seed % 2**32,
            max_model_len=longest,
            gpu_memory_utilization=config.gpu_memory_utilization,
            max_num_seqs=config.batch_size,
            enable_sleep_mode=self.can_sleep,
            enforce_eager=policy.device.type == "cpu",
            # On a CPU, a prompt cut in two kills a request with a seed: its generator cannot be set back (vLLM 0.32).
            enable_chunked_prefill=policy.device.type != "cpu",
            logprobs_mode="processed_logprobs",  # under the sampling temperature, as the trainer's
            disable_log_stats=True,
        )
        if policy.device.type == "cpu":  # a completion computes what its prompt has beyond whole blocks (of 128) anew
            options["block_size"] = 32
        if config.quantize:  # the weights of 8 bits come with `sync`
            int8.keep_scales()
            options |= {"load_format": "dummy", "hf_overrides": {"quantization_config": int8.CONFIG}}
        if ranks.samplers:
            options["distributed_executor_backend"] = "policy.samplers.apart.Apart"
            options["worker_extension_cls"] = "policy.samplers.weights.Receiver"
        elif ranks.world > 1:  # one engine per rank, in the process group that is there already
            options["distributed_executor_backend"] = "external_launcher"
        try:
            with _readable(policy.source) as source:
                self.engine = LLM(model=source, **options)
        except (ValueError, AssertionError, torch.OutOfMemoryError) as error:  # pydantic's is a ValueError
            raise _refusal(error, policy.source, longest) from error
        torch.set_rng_state(state)  # the engine seeds the global generator
        if ranks.samplers:  # a rank's process waits for its children at its end, before it lets go of anything
            Finalize(None, self.engine.llm_engine.engine_core.shutdown, exitpriority=1)
        self.requests = 0
        self.sleeping_bytes = 0
        stale = isinstance(policy.model, PeftModel) or ranks.samplers  # it read no adapters, or untrained weights
        if config.quantize or stale:
            self.sync()

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seed: int,
        done: Callable[[int, Completion], None],
        wanted: Container[int] | None = None,
        grows: Callable[[int, list[int]], None] | None = None,
    ) -> None:
        from vllm import RequestOutput, SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self.engine.llm_engine
        # Keys and values that are there from an earlier call, or not after a resume, differ in the last bit.
        self._forget()
        indices: dict[str, int] = {}
        for index in range(len(prompts) * n):
            if wanted is not None and index not in wanted:
                continue
            parameters = SamplingParams(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=sampling.max_new_tokens,
                logprobs=0,  # of the sampled token alone
                seed=(seed + index) % 2**63,
                ignore_eos=True,  # vLLM's own notion of the end; a completion ends where transformers' does
                stop_token_ids=self.policy.eos,
                detokenize=bool(sampling.stop),  # for stop texts only: an id without a text would be an error there
                stop=list(sampling.stop),
                output_kind=RequestOutputKind.CUMULATIVE if grows else RequestOutputKind.FINAL_ONLY,
            )
            self.requests += 1
            name = str(self.requests)
            indices[name] = index
            # A request of its own for each completion, so that each is handed on as it finishes; the prefix cache
            # encodes their common prompt once.
            engine.add_request(name, {"prompt_token_ids": list(prompts[index // n])}, parameters)
        try:
            while engine.has_unfinished_requests():
                for request in engine.step():
                    if not isinstance(request, RequestOutput):
                        continue
                    if request.finished:
                        index = indices.pop(request.request_id)
                        done(index, _completion(index // n, request.outputs[0], self.policy))
                    elif grows:
                        grows(indices[request.request_id], list(request.outputs[0].token_ids))
        except BaseException:
            engine.abort_request(list(indices))  # they would go on with the next call
            raise
        if indices:
            raise RuntimeError(f"vLLM ended without answering {len(indices)} of its requests")

    def _forget(self) -> None:
        """Empties the prefix cache. Raises RunError where vLLM cannot, for then old keys and values would be used."""
        if not self.engine.reset_prefix_cache():
            raise RunError("vLLM cannot empty its prefix cache (some of its blocks are in use still), so that it would "
                           "sample with keys and values of old weights; please report this as a bug")  # fmt: skip

    def sleep(self) -> None:
        """Gives the GPU to the trainer: weights and KV cache are dropped, `sync` brings both back."""
        if self.can_sleep:
            from vllm.device_allocator.cumem import CuMemAllocator

            self.sleeping_bytes = CuMemAllocator.get_instance().get_current_usage()
            self.engine.sleep(level=2)
            torch.cuda.reset_peak_memory_stats()  # the peak is that of the update: awake, the engine takes its share
        elif self.policy.device.type == "cpu":
            return_freed_memory()

    def sync(self) -> None:
        """Wakes the engine if it sleeps and loads the policy's present weights."""
        if self.can_sleep:
            torch.cuda.empty_cache()
            self.engine.wake_up(["weights"])
        elif self.policy.device.type == "cpu":
            return_freed_memory()
        if self.ranks.samplers:
            number = 1 + self.ranks.rank - self.ranks.trainers
            self.engine.collective_rpc("receive_weights", args=(number, 1 + self.ranks.samplers))
        else:
            if self.policy.device.type == "cpu":
                self.engine.apply_model(repack_experts)
            weights = int8.weights(self.policy) if self.quantize else self.policy.weights()
            self.engine.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
        self._forget()  # keys and values of the old weights
        if self.can_sleep:
            self.engine.wake_up(["kv_cache"])


def return_freed_memory() -> None:
    """Gives the machine what was freed: the C library keeps it in pieces, which sampling and update cannot share."""
    ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def _readable(source: str) -> Iterator[str]:
    """`source`, or where a trainer's state lies beside its weights, as it did once: links to all that is a model's.

    vLLM loads every *.safetensors file of a folder.
    """
    if not (Path(source) / MOMENTS).is_file():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="agnostics-weights-") as folder:
        for path in Path(source).iterdir():
            if path.name != MOMENTS:
                (Path(folder) / path.name).symlink_to(path.resolve())
        yield folder


def _refusal(error: Exception, source: str, longest: int) -> ModelError:
    reason = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError):
        return ModelError("rollout=vllm: no memory for the engine: set rollout.gpu_memory_utilization lower")
    if "max_model_len" in reason:
        limits = [int(limit) for limit in re.findall(r"(?:max_position_embeddings|model_max_length)=(\d+)", reason)]
        limit = f"at most {min(limits)}" if limits else "smaller"
        return ModelError(
            f"rollout.max_prompt_tokens + rollout.max_new_tokens is {longest}, and {source!r} reads less; "
            f"set both so that it is {limit}"
        )
    return ModelError(f"rollout=vllm: the engine refuses {source!r} ({reason[:300]})")


def _completion(prompt: int, output: Any, policy: Policy) -> Completion:
    tokens = list(output.token_ids)
    logprobs = [step[token].logprob for token, step in zip(tokens, output.logprobs, strict=True)]
    finished = output.finish_reason == "stop"
    text = policy.decode(tokens)
    return Completion(prompt, tokens, logprobs, text, finished)
