"""Tiny random models made by transformers, as folders and as GGUF files, and ways to run ours on them.

Names, permutations and constants of the GGUF files come from gguf-py and from this file, not from the product's tables.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tiny_dense import DENSE
from tiny_moe import MOE
from tiny_own import OWN
from tiny_row import (
    BASE,
    LENGTH,
    Tiny,
    gemma3_metadata,
    head_dim,
    llama3_divisors,
    toy_vocabulary,
    with_one,
)
from torch import Tensor
from transformers import Gemma3TextConfig, LlamaConfig, PreTrainedConfig

from limpide.cache import PagedCache, PlainKV
from limpide.models import CausalLM, Taps


def _llama(**changes: Any) -> Callable[[], PreTrainedConfig]:
    return lambda: LlamaConfig(**(BASE | {"max_position_embeddings": 64} | changes))


def _gemma3(**changes: Any) -> Callable[[], PreTrainedConfig]:
    settings = {"head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16, "num_hidden_layers": 7}
    return lambda: Gemma3TextConfig(**(BASE | {"max_position_embeddings": 64} | settings | changes))


_LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e3, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16}

TINY: tuple[Tiny, ...] = (
    Tiny("llama", _llama(), gguf.MODEL_ARCH.LLAMA),
    Tiny("llama-tied-mha", _llama(tie_word_embeddings=True, num_key_value_heads=4), gguf.MODEL_ARCH.LLAMA),
    Tiny("llama-biases-head-dim", _llama(attention_bias=True, mlp_bias=True, head_dim=24), gguf.MODEL_ARCH.LLAMA),
    Tiny(
        "llama3-scaling",
        _llama(rope_parameters=_LLAMA3 | {"original_max_position_embeddings": 32}, head_dim=16),
        gguf.MODEL_ARCH.LLAMA,
        extra=llama3_divisors,
    ),
    Tiny(
        "llama-yarn",
        _llama(rope_parameters=_YARN, head_dim=16),
        gguf.MODEL_ARCH.LLAMA,
        {"type": "yarn", "factor": 4.0, "original_context_length": 16},
    ),
    Tiny(
        "llama-linear",
        _llama(rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}),
        gguf.MODEL_ARCH.LLAMA,
        {"type": "linear", "factor": 4.0},
    ),
    Tiny("gemma3", _gemma3(), gguf.MODEL_ARCH.GEMMA3, metadata=gemma3_metadata, convert=with_one),
    Tiny(
        "gemma3-linear-on-full-layers",
        _gemma3(
            rope_parameters={
                "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            }
        ),
        gguf.MODEL_ARCH.GEMMA3,
        {"type": "linear", "factor": 8.0},
        gemma3_metadata,
        with_one,
    ),
    Tiny(
        "gemma3-softcap",
        _gemma3(final_logit_softcapping=2.0, attention_bias=True),
        gguf.MODEL_ARCH.GEMMA3,
        metadata=gemma3_metadata,
        convert=with_one,
    ),
    *DENSE,
    *MOE,
    *OWN,
)


def make_reference(tiny: Tiny, seed: int = 0) -> Any:
    """A transformers model whose every parameter matters: default weights hide bugs."""
    torch.manual_seed(seed)
    model = tiny.auto.from_config(tiny.config(), attn_implementation="eager").float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(12)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.3)
        tiny.prepare(model)
    return model


def reference_logits(model: Any, tokens: Tensor) -> Tensor:
    """[T, vocab] of one plain forward pass."""
    with torch.inference_mode():
        logits: Tensor = model(tokens[None]).logits[0]
    return logits


def some_tokens(count: int = LENGTH, seed: int = 1) -> Tensor:
    return torch.randint(0, BASE["vocab_size"], (count,), generator=torch.Generator().manual_seed(seed))


def plain_logits(model: CausalLM, tokens: Tensor, taps: Taps | None = None) -> Tensor:
    """[T, vocab] of one plain forward pass of ours."""
    with torch.inference_mode():
        hidden = model(tokens, torch.arange(len(tokens)), PlainKV([len(tokens)]), taps=taps)
        return model.logits(hidden, taps=taps)


def stepped_logits(
    model: CausalLM, sequences: list[Tensor], counts: list[list[int]], dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """Logits of every token when each step computes `counts[step][sequence]` tokens of each sequence, paged."""
    cache = PagedCache(model.spec.kv_shapes, num_blocks=64, block_size=4, dtype=dtype, states=model.spec.state_shapes)
    model.settle(LENGTH)
    leases = [cache.open() for _ in sequences]
    for lease, tokens in zip(leases, sequences, strict=True):
        assert cache.reserve(lease, len(tokens))
    done = [0] * len(sequences)
    logits: list[list[Tensor]] = [[] for _ in sequences]
    for step in counts:
        items, tokens, positions, owners = [], [], [], []
        for index, count in enumerate(step):
            if count:
                items.append((leases[index], done[index], count))
                tokens.append(sequences[index][done[index] : done[index] + count])
                positions.append(torch.arange(done[index], done[index] + count))
                owners.append((index, count))
                done[index] += count
        with torch.inference_mode():
            hidden = model(torch.cat(tokens), torch.cat(positions), cache.view(items))
            rows = model.logits(hidden)
        for index, count in owners:
            logits[index].append(rows[:count])
            rows = rows[count:]
    assert done == [len(tokens) for tokens in sequences]
    return [torch.cat(rows) for rows in logits]


def distance(ours: Tensor, reference: Tensor) -> float:
    """Largest difference, relative to the spread of the reference's logits."""
    return float((ours - reference).abs().max() / reference.std())


def write_gguf(
    tiny: Tiny, model: Any, path: Path, stored: gguf.GGMLQuantizationType | None = None
) -> dict[str, Tensor]:
    """Write a model as llama.cpp's converter would. Returns its state as it is after rounding to `stored`."""
    if tiny.written is not None:
        return tiny.written(model, path, stored)
    assert tiny.gguf is not None
    config = model.config
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[tiny.gguf])
    _write_metadata(tiny, config, writer)
    toy_vocabulary(writer, config.vocab_size)
    names = gguf.get_tensor_name_map(tiny.gguf, config.num_hidden_layers)
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        turn = name.endswith(tiny.transposed) if tiny.transposed else False
        values = np.ascontiguousarray(tensor.numpy().T) if turn else tensor.numpy()
        kind = gguf.GGMLQuantizationType.F32
        state[name] = tensor
        if stored is not None and values.ndim == 2 and values.shape[1] % 32 == 0:
            kind = stored
            rounded = torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind).copy())
            state[name] = rounded.T.contiguous() if turn else rounded
        converted = tiny.convert(name, values, config)
        for part, rows in (converted if isinstance(converted, dict) else {name: converted}).items():
            theirs = names.get_name(part, try_suffixes=(".weight", ".bias"))
            assert theirs is not None, part
            writer.add_tensor(theirs, gguf.quants.quantize(rows, kind), raw_dtype=kind)
    for name, values in tiny.extra(config).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if config.tie_word_embeddings:
        embedding = next(name for name in state if name.endswith(("embed_tokens.weight", "wte.weight")))
        state["lm_head.weight"] = state[embedding]
    return state


def _write_metadata(tiny: Tiny, config: Any, writer: gguf.GGUFWriter) -> None:
    """What all architectures say."""
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    if hasattr(config, "rms_norm_eps"):
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_head_count_kv(config.to_dict()["num_key_value_heads"])
        writer.add_key_length(head_dim(config))
        writer.add_value_length(head_dim(config))
    tiny.metadata(writer, config)
    if tiny.gguf_rope:
        writer.add_rope_scaling_type(gguf.RopeScalingType(tiny.gguf_rope["type"]))
        writer.add_rope_scaling_factor(tiny.gguf_rope["factor"])
        if "original_context_length" in tiny.gguf_rope:
            writer.add_rope_scaling_orig_ctx_len(tiny.gguf_rope["original_context_length"])
