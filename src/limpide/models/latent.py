"""What families with latent attention have in common: sizes, scale, experts after the first layers, tensors."""

from __future__ import annotations

import math
from typing import Literal

from limpide.formats import Checkpoint
from limpide.models import experts, names
from limpide.models.config import ConfigReader
from limpide.models.family import TensorName, module
from limpide.models.spec import (
    BlockSpec,
    LatentAttentionSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    QueryTemperature,
    RopeScaling,
    RopeSpec,
    RouterSpec,
    YarnScaling,
)

Score = Literal["softmax", "sigmoid"]

_LATENT_EPS = 1e-6
"""Of the norms of the latents in folders, whatever `rms_norm_eps` says."""
_GATING = {"softmax": 1, "sigmoid": 2}
"""GGUF's numbers for the ways to make scores."""
_V3_EXPERTS, _GROUPS = 256, (8, 4)
"""Older GGUF files of DeepSeek V3 and R1 don't say that experts are chosen from the best 4 of 8 groups."""


def hf_attention(
    config: ConfigReader, theta: float, scaling: RopeScaling | None, temperature: QueryTemperature | None = None
) -> LatentAttentionSpec:
    """Attention in a config.json, whose rope has been read."""
    heads = config.integer("num_attention_heads")
    config.only("num_key_value_heads", (heads,), f"{heads}, like num_attention_heads")
    nope, rope = config.integer("qk_nope_head_dim"), config.integer("qk_rope_head_dim")
    config.only("qk_head_dim", (nope + rope,), f"{nope + rope}, the sum of its two parts")
    config.only("head_dim", (rope, nope + rope), f"{rope}, like qk_rope_head_dim")
    interleaved = config.boolean("rope_interleave", True)
    return LatentAttentionSpec(
        heads=heads,
        kv_latent=config.integer("kv_lora_rank"),
        nope_dim=nope,
        value_dim=config.integer("v_head_dim"),
        scale=_scale(nope + rope, scaling),
        rope=RopeSpec(theta, rope, "interleaved" if interleaved else "half", scaling),
        latent_norm=NormSpec(_LATENT_EPS),
        q_latent=config.integer("q_lora_rank", None),
        bias=config.boolean("attention_bias", False),
        q_temperature=temperature,
    )


def gguf_attention(
    config: ConfigReader,
    checkpoint: Checkpoint,
    scaling: RopeScaling | None,
    temperature: QueryTemperature | None = None,
) -> LatentAttentionSpec:
    """Attention in GGUF metadata. Which generation of files it is shows only in which tensors there are."""
    heads = config.integer("attention.head_count")
    joint = "blk.0.attn_kv_b.weight" in checkpoint.tensors
    latent, rope = config.integer("attention.kv_lora_rank"), config.integer("rope.dimension_count")
    if joint:
        key, value = config.integer("attention.key_length"), config.integer("attention.value_length")
        config.only("attention.head_count_kv", (heads,), f"{heads}, like attention.head_count")
    else:
        key, value = config.integer("attention.key_length_mla"), config.integer("attention.value_length_mla")
        config.only("attention.head_count_kv", (1,), "1: all heads share a latent")
        config.only("attention.key_length", (latent + rope,), f"{latent + rope}, what is kept of a token")
        config.only("attention.value_length", (latent,), f"{latent}, like attention.kv_lora_rank")
    if key <= rope:
        raise config.refusal("rope.dimension_count", rope, f"less than a key's width of {key}")
    return LatentAttentionSpec(
        heads=heads,
        kv_latent=latent,
        nope_dim=key - rope,
        value_dim=value,
        scale=_scale(key, scaling),
        rope=RopeSpec(config.number("rope.freq_base", 10000.0), rope, "interleaved", scaling),
        latent_norm=NormSpec(config.number("attention.layer_norm_rms_epsilon")),
        q_latent=config.integer("attention.q_lora_rank", 0) or None,
        bias="blk.0.attn_kv_a_mqa.bias" in checkpoint.tensors,
        joint_up=joint,
        q_temperature=temperature,
    )


def _scale(width: int, scaling: RopeScaling | None) -> float:
    """1/√width, and YaRN's magnitude once for the queries and once for the keys."""
    magnitude = 1.0
    if isinstance(scaling, YarnScaling) and scaling.mscale_all_dim and scaling.factor > 1:
        magnitude = 0.1 * scaling.mscale_all_dim * math.log(scaling.factor) + 1.0
    return magnitude * magnitude / math.sqrt(max(1, width))


def hf_model(
    family: str, config: ConfigReader, attention: LatentAttentionSpec, *, score: Score, choice_bias: bool
) -> ModelSpec:
    """A whole model from a config.json. `score` and `choice_bias` are how the family chooses experts."""
    config.only("hidden_act", ("silu",), "silu")
    config.only("scoring_func", (score,), score)
    config.only("moe_layer_freq", (1,), "1")
    config.harmless("ep_size", "aux_loss_alpha", "seq_aux", *experts.HF_TRAINING)
    router = RouterSpec(
        experts=config.integer("n_routed_experts"),
        chosen=config.integer("num_experts_per_tok"),
        score=score,
        renormalise=config.boolean("norm_topk_prob", True),
        scale=config.positive("routed_scaling_factor", 1.0),
        choice_bias=choice_bias,
        groups=config.integer("n_group", 1),
        groups_kept=config.integer("topk_group", 1),
    )
    moe = _experts(router, config.integer("moe_intermediate_size"), config.integer("n_shared_experts", 0))
    norm, layers = NormSpec(config.number("rms_norm_eps", 1e-6)), config.layers("num_hidden_layers")
    dense = min(layers, config.integer("first_k_dense_replace", 0))
    return ModelSpec(
        family,
        config.integer("vocab_size"),
        config.integer("hidden_size"),
        config.integer("max_position_embeddings", 4096),
        blocks=_blocks(attention, MLPSpec(config.integer("intermediate_size")), moe, norm, dense=dense, layers=layers),
        norm=norm,
        tied=config.boolean("tie_word_embeddings", False),
    )


def gguf_model(
    family: str, config: ConfigReader, checkpoint: Checkpoint, attention: LatentAttentionSpec, *, score: Score
) -> ModelSpec:
    """A whole model from GGUF metadata."""
    config.only("nextn_predict_layers", (0,), "0")
    config.only("expert_gating_func", (_GATING[score],), f"{_GATING[score]}, {score}")
    layers, dense = config.layers("block_count"), config.integer("leading_dense_block_count", 0)
    count = config.integer("expert_count")
    groups, kept = _GROUPS if count == _V3_EXPERTS else (1, 1)
    router = RouterSpec(
        experts=count,
        chosen=config.integer("expert_used_count"),
        score=score,
        renormalise=config.boolean("expert_weights_norm", False),
        scale=config.positive("expert_weights_scale", 1.0),
        choice_bias=f"blk.{dense}.exp_probs_b.bias" in checkpoint.tensors,
        groups=config.integer("expert_group_count", groups),
        groups_kept=config.integer("expert_group_used_count", kept),
    )
    moe = _experts(router, config.integer("expert_feed_forward_length"), config.integer("expert_shared_count", 0))
    norm, vocabulary = NormSpec(attention.latent_norm.eps), checkpoint.tensors.get("token_embd.weight")
    mlp = MLPSpec(config.integer("feed_forward_length"))
    return ModelSpec(
        family,
        config.integer("vocab_size", vocabulary.shape[0] if vocabulary else 0),
        config.integer("embedding_length"),
        config.integer("context_length"),
        blocks=_blocks(attention, mlp, moe, norm, dense=min(dense, layers), layers=layers),
        norm=norm,
        tied="output.weight" not in checkpoint.tensors,
    )


def _experts(router: RouterSpec, width: int, shared: int) -> MoESpec:
    return MoESpec(router, MLPSpec(width), shared=MLPSpec(width * shared) if shared else None)


def _blocks(
    attention: LatentAttentionSpec, mlp: MLPSpec, moe: MoESpec, norm: NormSpec, *, dense: int, layers: int
) -> tuple[BlockSpec, ...]:
    """`dense` blocks with an MLP, then blocks with experts."""
    return (BlockSpec(attention, mlp, norm),) * dense + (BlockSpec(attention, moe, norm),) * (layers - dense)


_LAYER, _ATTENTION = "model.layers.{b}", "model.layers.{b}.self_attn"

TENSORS: tuple[TensorName, ...] = (
    *names.OUTER,
    *names.norms(),
    *module("blocks.{b}.attn.q", f"{_ATTENTION}.q_proj", "blk.{b}.attn_q"),
    *module("blocks.{b}.attn.q_down", f"{_ATTENTION}.q_a_proj", "blk.{b}.attn_q_a"),
    *module("blocks.{b}.attn.q_norm", f"{_ATTENTION}.q_a_layernorm", "blk.{b}.attn_q_a_norm"),
    *module("blocks.{b}.attn.q_up", f"{_ATTENTION}.q_b_proj", "blk.{b}.attn_q_b"),
    *module("blocks.{b}.attn.kv_down", f"{_ATTENTION}.kv_a_proj_with_mqa", "blk.{b}.attn_kv_a_mqa"),
    *module("blocks.{b}.attn.kv_norm", f"{_ATTENTION}.kv_a_layernorm", "blk.{b}.attn_kv_a_norm"),
    *module("blocks.{b}.attn.kv_up", f"{_ATTENTION}.kv_b_proj", "blk.{b}.attn_kv_b"),
    *module("blocks.{b}.attn.k_up", f"{_ATTENTION}.k_b_proj", "blk.{b}.attn_k_b"),
    *module("blocks.{b}.attn.v_up", f"{_ATTENTION}.v_b_proj", "blk.{b}.attn_v_b"),
    *module("blocks.{b}.attn.o", f"{_ATTENTION}.o_proj", "blk.{b}.attn_output"),
    *names.MLP,
    *experts.router(f"{_LAYER}.mlp.gate"),
    TensorName(
        "blocks.{b}.mlp.router.choice_bias", f"{_LAYER}.mlp.gate.e_score_correction_bias", "blk.{b}.exp_probs_b.bias"
    ),
    *experts.apart(f"{_LAYER}.mlp.experts"),
    *experts.joined(f"{_LAYER}.mlp.experts.gate_up_proj", f"{_LAYER}.mlp.experts.down_proj"),
    *experts.shared(f"{_LAYER}.mlp.shared_experts"),
)
