"""Granite 4: hybrids of Mamba-2 and a few attention layers, with or without experts; and dense models of the kind.

GGUF files without Mamba layers call themselves `granite` or `granitemoe` and are read there.
"""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import experts, granite, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.recurrent import mamba
from limpide.models.rope_config import hf_rope
from limpide.models.sizes import Sizes, gguf_sizes, hf_sizes
from limpide.models.spec import (
    BlockSpec,
    Mamba2Spec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    RopeSpec,
    RouterSpec,
)
from limpide.models.transforms import Rows

_ATTENTION, _MAMBA = ("attention", "full_attention"), ("mamba", "linear_attention")
_NO_LIMIT = ([0.0, {"__float__": "Infinity"}], [0.0, float("inf")])
"""Both ways to write that time steps have none."""


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=2048)
    theta, scaling = hf_rope(config, theta=granite.THETA, context=sizes.context)
    config.only("hidden_act", ("silu",), "silu")
    config.only("normalization_function", ("rmsnorm",), "rmsnorm")
    config.only("time_step_limit", _NO_LIMIT, "none: 0 to infinity")
    config.only("position_embedding_type", ("rope", "nope"), "rope or nope")
    config.harmless("init_method", "mamba_chunk_size", *experts.HF_TRAINING)
    rope = RopeSpec(theta, sizes.head_dim, scaling=scaling)
    types = config.strings("layer_types") or (_MAMBA[1],) * sizes.layers
    if len(types) != sizes.layers or not set(types) <= {*_ATTENTION, *_MAMBA}:
        raise config.refusal("layer_types", list(types), f"{sizes.layers} times attention or mamba")
    return _spec(
        sizes,
        tuple(kind in _MAMBA for kind in types),
        _hf_mamba(config, sizes),
        rope if config.string("position_embedding_type", None) == "rope" else None,
        granite.hf_multipliers(config),
        feed_forward=_feed_forward(
            count=config.integer("num_local_experts", 8),
            chosen=config.integer("num_experts_per_tok", 2),
            width=sizes.width,
            shared=config.integer("shared_intermediate_size", 1024),
        ),
        attention_bias=config.boolean("attention_bias", False),
    )


def _hf_mamba(config: ConfigReader, sizes: Sizes) -> Mamba2Spec:
    heads = config.integer("mamba_n_heads", 128)
    head_dim = config.integer("mamba_expand", 2) * sizes.hidden // max(1, heads)
    config.only("mamba_d_head", (head_dim, "auto"), f"{head_dim}, mamba_expand · hidden_size / mamba_n_heads")
    return Mamba2Spec(
        heads=heads,
        head_dim=head_dim,
        groups=config.integer("mamba_n_groups", 1),
        state=config.integer("mamba_d_state", 256),
        kernel=config.integer("mamba_d_conv", 4),
        norm=NormSpec(sizes.eps),
        bias=config.boolean("mamba_proj_bias", False),
        conv_bias=config.boolean("mamba_conv_bias", True),
    )


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata. A layer without heads for keys is a Mamba layer."""
    kv_heads = config.per_layer("attention.head_count_kv", config.layers("block_count"), 0)
    some = set(kv_heads) - {0}
    if len(some) > 1:
        raise config.refusal("attention.head_count_kv", kv_heads, "0 or one number for all layers")
    sizes = gguf_sizes(config, checkpoint, experts=True, kv_heads=max(some, default=1))
    experts.refuse_gguf_variations(config, renormalise=True)
    heads, inner = config.integer("ssm.time_step_rank"), config.integer("ssm.inner_size")
    recurrent = tuple(number == 0 for number in kv_heads)
    first = recurrent.index(True) if True in recurrent else 0
    return _spec(
        sizes,
        recurrent,
        Mamba2Spec(
            heads=heads,
            head_dim=inner // max(1, heads),
            groups=config.integer("ssm.group_count"),
            state=config.integer("ssm.state_size"),
            kernel=config.integer("ssm.conv_kernel"),
            norm=NormSpec(sizes.eps),
            bias=f"blk.{first}.ssm_in.bias" in checkpoint.tensors,
            conv_bias=f"blk.{first}.ssm_conv1d.bias" in checkpoint.tensors,
        ),
        granite.gguf_rope(config, checkpoint, sizes),
        granite.gguf_multipliers(config, sizes),
        feed_forward=_feed_forward(
            count=config.integer("expert_count", 0),
            chosen=config.integer("expert_used_count", 0),
            width=sizes.width,
            shared=config.integer("expert_shared_feed_forward_length", sizes.width),
        ),
        attention_bias=any(name.endswith("attn_q.bias") for name in checkpoint.tensors),
    )


def _feed_forward(*, count: int, chosen: int, width: int, shared: int) -> MLPSpec | MoESpec:
    """What every token uses, and experts beside it where there are any."""
    if count == 0:
        return MLPSpec(shared)
    return MoESpec(RouterSpec(count, chosen, order="topk_then_score"), MLPSpec(width), shared=MLPSpec(shared))


def _spec(
    sizes: Sizes,
    recurrent: tuple[bool, ...],
    mixer: Mamba2Spec,
    rope: RopeSpec | None,
    multipliers: granite.Multipliers,
    *,
    feed_forward: MLPSpec | MoESpec,
    attention_bias: bool,
) -> ModelSpec:
    norm = NormSpec(sizes.eps)
    attention = replace(
        sizes.attention(rope), scale=multipliers.attention, qkv_bias=attention_bias, out_bias=attention_bias
    )
    block = BlockSpec(attention, feed_forward, norm, residual_scale=multipliers.residual)
    return sizes.model(
        "granitemoehybrid",
        (replace(block, attention=mixer) if carries else block for carries in recurrent),
        norm,
        embed_scale=multipliers.embedding,
        logit_scale=1.0 / multipliers.logits,
    )


_LAYER = "model.layers.{b}"


def _mlp(ours: str, hf: str, gguf: str, rows: Rows | None = None) -> tuple[TensorName, ...]:
    return module(f"blocks.{{b}}.mlp.{ours}", f"{_LAYER}.shared_mlp.{hf}", gguf, hf_transform=rows)


FAMILY = Family(
    name="granitemoehybrid",
    gguf_architectures=("granitehybrid",),
    hf_model_types=("granitemoehybrid",),
    hf_architectures=("GraniteMoeHybridForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *mamba(f"{_LAYER}.mamba"),
        *names.attention(interleaved_gguf=True),
        *_mlp("gate", "input_linear", "blk.{b}.ffn_gate", Rows("gate")),
        *_mlp("up", "input_linear", "blk.{b}.ffn_up", Rows("up")),
        *_mlp("down", "output_linear", "blk.{b}.ffn_down"),
        *experts.router(f"{_LAYER}.block_sparse_moe.router.layer"),
        *experts.joined(
            f"{_LAYER}.block_sparse_moe.input_linear.weight", f"{_LAYER}.block_sparse_moe.output_linear.weight"
        ),
        *experts.shared_joined(f"{_LAYER}.shared_mlp.input_linear", f"{_LAYER}.shared_mlp.output_linear"),
        *names.norms(),
    ),
)
