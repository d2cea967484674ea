"""SmolLM3: Llama in which every fourth layer has no positions."""

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

_STEP = 4
"""Every fourth layer has no rope. GGUF files don't say so."""
_THETA = 2000000.0


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=32768, tied=True)
    theta, scaling = hf_rope(config, theta=_THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    with_rope = _hf_rope_layers(config, sizes.layers)
    return _spec(
        sizes,
        [RopeSpec(theta, sizes.head_dim, scaling=scaling) if rope else None for rope in with_rope],
        _hf_masks(config, with_rope),
        attention_bias=config.boolean("attention_bias", False),
        mlp_bias=config.boolean("mlp_bias", False),
    )


def _hf_rope_layers(config: ConfigReader, layers: int) -> tuple[bool, ...]:
    """Which layers have rope: `no_rope_layers` holds, whatever its name says, a 1 for each that has."""
    step = config.integer("no_rope_layer_interval", _STEP)
    if "no_rope_layers" not in config:
        return tuple((index + 1) % max(1, step) != 0 for index in range(layers))
    listed = config.numbers("no_rope_layers")
    if len(listed) != layers or not set(listed) <= {0.0, 1.0}:
        raise config.refusal("no_rope_layers", listed, f"{layers} times 0 or 1")
    return tuple(map(bool, listed))


def _hf_masks(config: ConfigReader, with_rope: tuple[bool, ...]) -> tuple[MaskSpec, ...]:
    config.harmless("max_window_layers")  # the layers without rope have the window, if any
    window = config.integer("sliding_window", None)
    if not config.boolean("use_sliding_window", False):
        window = None
    default = tuple(SLIDING if window is not None and not rope else FULL for rope in with_rope)
    return masks(hf_layer_types(config, len(with_rope), default), window)


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    sizes = gguf_sizes(config, checkpoint)
    scaling = gguf_scaling(config, checkpoint, context=sizes.context)
    rope = RopeSpec(config.number("rope.freq_base", _THETA), sizes.head_dim, scaling=scaling)
    return _spec(
        sizes,
        [None if (index + 1) % _STEP == 0 else rope for index in range(sizes.layers)],
        (MaskSpec(),) * sizes.layers,
        attention_bias="blk.0.attn_q.bias" in checkpoint.tensors,
        mlp_bias="blk.0.ffn_up.bias" in checkpoint.tensors,
    )


def _spec(
    sizes: Sizes,
    ropes: list[RopeSpec | None],
    masks: tuple[MaskSpec, ...],
    *,
    attention_bias: bool,
    mlp_bias: bool,
) -> ModelSpec:
    norm = NormSpec(sizes.eps)

    def block(rope: RopeSpec | None, mask: MaskSpec) -> BlockSpec:
        attention = replace(sizes.attention(rope), mask=mask, qkv_bias=attention_bias, out_bias=attention_bias)
        return BlockSpec(attention, MLPSpec(sizes.width, bias=mlp_bias), norm)

    return sizes.model("smollm3", map(block, ropes, masks), norm)


FAMILY = Family(
    name="smollm3",
    gguf_architectures=("smollm3",),
    hf_model_types=("smollm3",),
    hf_architectures=("SmolLM3ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(*names.OUTER, *names.attention(interleaved_gguf=True), *names.MLP, *names.norms()),
    unused_tensors=(ROPE_DIVISORS,),
)
