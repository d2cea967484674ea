"""Qwen2 and 2.5, QwQ, R1-Distill-Qwen: Llama with biases on queries, keys and values."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.layer_types import FULL, SLIDING, hf_layer_types, masks
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import BlockSpec, MaskSpec, MLPSpec, ModelSpec, NormSpec, RopeSpec

_THETA = 10000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=32768)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    config.only("use_mrope", (False,), "false (text has one axis of positions)")
    return _spec(sizes, RopeSpec(theta, sizes.head_dim, scaling=scaling), hf_masks(config, sizes.layers), bias=True)


def hf_masks(config: ConfigReader, layers: int) -> tuple[MaskSpec, ...]:
    """What each layer sees: all, unless `use_sliding_window` puts a window on those from `max_window_layers` on."""
    first = config.integer("max_window_layers", 28)
    window = None if config.is_null("sliding_window") else config.integer("sliding_window", 4096)
    if not config.boolean("use_sliding_window", False):
        window = None
    default = tuple(SLIDING if window is not None and index >= first else FULL for index in range(layers))
    return masks(hf_layer_types(config, layers, default), window)


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    rope = RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling)
    bias = "blk.0.attn_q.bias" in checkpoint.tensors
    return _spec(sizes, rope, (MaskSpec(),) * sizes.layers, bias=bias)


def _spec(sizes: Sizes, rope: RopeSpec, masks: tuple[MaskSpec, ...], *, bias: bool) -> ModelSpec:
    norm = NormSpec(sizes.eps)

    def block(mask: MaskSpec) -> BlockSpec:
        attention = replace(sizes.attention(rope), mask=mask, qkv_bias=bias)
        return BlockSpec(attention, MLPSpec(sizes.width), norm)

    return sizes.model("qwen2", map(block, masks), norm)


FAMILY = Family(
    name="qwen2",
    gguf_architectures=("qwen2",),
    hf_model_types=("qwen2",),
    hf_architectures=("Qwen2ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*names.OUTER, *names.attention(), *names.MLP, *names.norms()),
    unused_tensors=(ROPE_DIVISORS,),
)
