"""DeepSeek V3 and R1: latent attention and a mixture of experts after the first layers."""

from __future__ import annotations

import math
from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import experts, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.rope_config import gguf_scaling, hf_rope
from limpide.models.spec import (
    BlockSpec,
    LatentAttentionSpec,
    MLPSpec,
    ModelSpec,
    MoESpec,
    NormSpec,
    RopeScaling,
    RopeSpec,
    RouterSpec,
    YarnScaling,
)

_LATENT_EPS = 1e-6
"""Of the norms of the latents, whatever `rms_norm_eps` says."""
_SIGMOID = 2
"""GGUF's number for the way that scores are made."""
_V3_EXPERTS, _GROUPS = 256, (8, 4)
"""Older GGUF files of V3 and R1 don't say that experts are chosen from the best 4 of 8 groups."""


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    context, heads = config.integer("max_position_embeddings", 4096), config.integer("num_attention_heads")
    theta, scaling = hf_rope(config, theta=10000.0, context=context)
    config.only("hidden_act", ("silu",), "silu")
    config.only("num_key_value_heads", (heads,), f"{heads}, like num_attention_heads")
    nope, rope = config.integer("qk_nope_head_dim"), config.integer("qk_rope_head_dim")
    config.only("qk_head_dim", (nope + rope,), f"{nope + rope}, the sum of its two parts")
    config.only("head_dim", (rope, nope + rope), f"{rope}, like qk_rope_head_dim")
    config.only("num_nextn_predict_layers", (0, 1), "0 or 1: one layer that is left out")
    interleaved = config.boolean("rope_interleave", True)
    attention = LatentAttentionSpec(
        heads=heads,
        kv_latent=config.integer("kv_lora_rank"),
        nope_dim=nope,
        value_dim=config.integer("v_head_dim"),
        scale=_scale(nope + rope, scaling),
        rope=RopeSpec(theta, rope, "interleaved" if interleaved else "half", scaling),
        latent_norm=NormSpec(_LATENT_EPS),
        q_latent=config.integer("q_lora_rank", None),
        bias=config.boolean("attention_bias", False),
    )
    return _spec(
        vocab_size=config.integer("vocab_size"),
        hidden=config.integer("hidden_size"),
        context=context,
        attention=attention,
        feed_forward=_dense_first(
            MLPSpec(config.integer("intermediate_size")),
            _hf_experts(config),
            layers=config.layers("num_hidden_layers"),
            dense=config.integer("first_k_dense_replace", 0),
        ),
        eps=config.number("rms_norm_eps", 1e-6),
        tied=config.boolean("tie_word_embeddings", False),
    )


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata. Which generation of files it is shows only in which tensors there are."""
    context, heads = config.integer("context_length"), config.integer("attention.head_count")
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
    config.only("nextn_predict_layers", (0,), "0")
    scaling = _gguf_scaling(config, checkpoint, context)
    eps = config.number("attention.layer_norm_rms_epsilon")
    layers, dense = config.layers("block_count"), config.integer("leading_dense_block_count", 0)
    attention = LatentAttentionSpec(
        heads=heads,
        kv_latent=latent,
        nope_dim=key - rope,
        value_dim=value,
        scale=_scale(key, scaling),
        rope=RopeSpec(config.number("rope.freq_base", 10000.0), rope, "interleaved", scaling),
        latent_norm=NormSpec(eps),
        q_latent=config.integer("attention.q_lora_rank", 0) or None,
        bias="blk.0.attn_kv_a_mqa.bias" in checkpoint.tensors,
        joint_up=joint,
    )
    vocabulary = checkpoint.tensors.get("token_embd.weight")
    return _spec(
        vocab_size=config.integer("vocab_size", vocabulary.shape[0] if vocabulary else 0),
        hidden=config.integer("embedding_length"),
        context=context,
        attention=attention,
        feed_forward=_dense_first(
            MLPSpec(config.integer("feed_forward_length")),
            _gguf_experts(config, choice_bias=f"blk.{dense}.exp_probs_b.bias" in checkpoint.tensors),
            layers=layers,
            dense=dense,
        ),
        eps=eps,
        tied="output.weight" not in checkpoint.tensors,
    )


def _hf_experts(config: ConfigReader) -> MoESpec:
    config.only("scoring_func", ("sigmoid",), "sigmoid")
    config.only("topk_method", ("noaux_tc",), "noaux_tc")
    config.only("moe_layer_freq", (1,), "1")
    config.harmless("ep_size", "aux_loss_alpha", "seq_aux", *experts.HF_TRAINING)
    router = RouterSpec(
        experts=config.integer("n_routed_experts"),
        chosen=config.integer("num_experts_per_tok"),
        score="sigmoid",
        renormalise=config.boolean("norm_topk_prob", True),
        scale=config.positive("routed_scaling_factor", 1.0),
        choice_bias=True,
        groups=config.integer("n_group", 1),
        groups_kept=config.integer("topk_group", 1),
    )
    return _experts(router, config.integer("moe_intermediate_size"), config.integer("n_shared_experts", 0))


def _gguf_experts(config: ConfigReader, *, choice_bias: bool) -> MoESpec:
    config.only("expert_gating_func", (_SIGMOID,), f"{_SIGMOID}, a sigmoid")
    count = config.integer("expert_count")
    groups, kept = _GROUPS if count == _V3_EXPERTS else (1, 1)
    router = RouterSpec(
        experts=count,
        chosen=config.integer("expert_used_count"),
        score="sigmoid",
        renormalise=config.boolean("expert_weights_norm", False),
        scale=config.positive("expert_weights_scale", 1.0),
        choice_bias=choice_bias,
        groups=config.integer("expert_group_count", groups),
        groups_kept=config.integer("expert_group_used_count", kept),
    )
    return _experts(router, config.integer("expert_feed_forward_length"), config.integer("expert_shared_count", 0))


def _experts(router: RouterSpec, width: int, shared: int) -> MoESpec:
    return MoESpec(router, MLPSpec(width), shared=MLPSpec(width * shared) if shared else None)


def _dense_first(mlp: MLPSpec, moe: MoESpec, *, layers: int, dense: int) -> tuple[MLPSpec | MoESpec, ...]:
    dense = min(dense, layers)
    return (mlp,) * dense + (moe,) * (layers - dense)


def _gguf_scaling(config: ConfigReader, checkpoint: Checkpoint, context: int) -> RopeScaling | None:
    """YaRN with its magnitude on the scores alone: files hold a tenth of `mscale_all_dim`, and no `mscale`."""
    scaling = gguf_scaling(config, checkpoint, context=context)
    if not isinstance(scaling, YarnScaling):
        config.only("rope.scaling.yarn_log_multiplier", (), "nothing, without YaRN")
        return scaling
    magnitude = config.positive("rope.scaling.yarn_log_multiplier") * 10
    return replace(scaling, mscale=magnitude, mscale_all_dim=magnitude)


def _scale(width: int, scaling: RopeScaling | None) -> float:
    """1/√width, and YaRN's magnitude once for the queries and once for the keys."""
    scale = 1 / math.sqrt(width)
    if isinstance(scaling, YarnScaling) and scaling.mscale_all_dim and scaling.factor > 1:
        scale *= (0.1 * scaling.mscale_all_dim * math.log(scaling.factor) + 1.0) ** 2
    return scale


def _spec(
    *,
    vocab_size: int,
    hidden: int,
    context: int,
    attention: LatentAttentionSpec,
    feed_forward: tuple[MLPSpec | MoESpec, ...],
    eps: float,
    tied: bool,
) -> ModelSpec:
    norm = NormSpec(eps)
    blocks = tuple(BlockSpec(attention, each, norm) for each in feed_forward)
    return ModelSpec("deepseek3", vocab_size, hidden, context, blocks=blocks, norm=norm, tied=tied)


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
    *experts.shared(f"{_LAYER}.mlp.shared_experts"),
)

FAMILY = Family(
    name="deepseek3",
    gguf_architectures=("deepseek2",),
    hf_model_types=("deepseek_v3",),
    hf_architectures=("DeepseekV3ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=TENSORS,
    unused_tensors=("model.layers.{n}.*", "model.layers.*.self_attn.rotary_emb.inv_freq"),
)
