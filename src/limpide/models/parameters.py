"""Which tensors a model consists of, by our names, and their shapes: all from the description alone."""

from __future__ import annotations

from limpide.layers.spec import (
    AttentionSpec,
    BlockSpec,
    DeltaNetSpec,
    LatentAttentionSpec,
    Mamba2Spec,
    MixerSpec,
    MLPSpec,
    MoESpec,
    NormSpec,
)
from limpide.models.spec import ModelSpec

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


def parameters(spec: ModelSpec) -> Shapes:
    """Name to shape of everything that has to be in a checkpoint.

    Matrices are (out, in), those of experts (experts, out, in).
    """
    shapes: Shapes = {"embed.weight": (spec.vocab_size, spec.hidden)}
    if spec.learned_positions:
        shapes["positions.weight"] = (spec.context, spec.hidden)
    if spec.per_layer_embedding:
        shapes |= _at("per_layer", _per_layer_inputs(spec))
    for index, block in enumerate(spec.blocks):
        shapes |= _at(f"blocks.{index}", _block(block, spec.hidden))
    shapes |= _at("norm", _norm(spec.norm, spec.hidden))
    if not spec.tied:
        shapes["lm_head.weight"] = (spec.vocab_size, spec.hidden)
    return shapes


def _at(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def _per_layer_inputs(spec: ModelSpec) -> Shapes:
    width, parts = spec.per_layer_embedding, len(spec.blocks) * spec.per_layer_embedding
    return {
        "embed.weight": (spec.vocab_size, parts),
        "proj.weight": (parts, spec.hidden),
        **_at("norm", _norm(spec.norm, width)),
    }


def _block(spec: BlockSpec, hidden: int) -> Shapes:
    norms = ["attn_norm", "mlp_norm"]
    if spec.placement == "sandwich":
        norms += ["attn_post_norm", "mlp_post_norm"]
    shapes = _at("attn", _mixer(spec.attention, hidden)) | _at("mlp", _feed_forward(spec.feed_forward, hidden))
    for name in norms:
        shapes |= _at(name, _norm(spec.norm, hidden))
    if spec.experts_beside is not None:
        shapes |= _at("beside", _moe(spec.experts_beside, hidden))
        for name in ("norm", "post_norm", "mlp_post_norm"):
            shapes |= _at(f"beside.{name}", _norm(spec.norm, hidden))
    if spec.per_layer_input:
        shapes |= {"per_layer.gate.weight": (spec.per_layer_input, hidden)}
        shapes |= {"per_layer.proj.weight": (hidden, spec.per_layer_input)}
        shapes |= _at("per_layer.norm", _norm(spec.norm, hidden))
    if spec.layer_scalar:
        shapes["scalar"] = (1,)
    return shapes


def _norm(spec: NormSpec, size: int) -> Shapes:
    if not spec.weighted:
        return {}
    return {"weight": (size,), "bias": (size,)} if spec.bias else {"weight": (size,)}


def _linear(rows: int, cols: int, bias: bool) -> Shapes:
    return {"weight": (rows, cols), "bias": (rows,)} if bias else {"weight": (rows, cols)}


def _mixer(spec: MixerSpec, hidden: int) -> Shapes:
    if isinstance(spec, LatentAttentionSpec):
        return _latent(spec, hidden)
    if isinstance(spec, Mamba2Spec):
        return _mamba(spec, hidden)
    return _deltanet(spec, hidden) if isinstance(spec, DeltaNetSpec) else _attention(spec, hidden)


def _attention(spec: AttentionSpec, hidden: int) -> Shapes:
    queries, keys = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim
    projected = 2 * queries if spec.out_gate else queries
    shapes = _at("q", _linear(projected, hidden, spec.qkv_bias)) | _at("o", _linear(hidden, queries, spec.out_bias))
    norms = {"q_norm": spec.qk_norm}
    if spec.kv_source_layer is None:
        for name in ("k",) if spec.k_eq_v else ("k", "v"):
            shapes |= _at(name, _linear(keys, hidden, spec.qkv_bias))
        norms |= {"k_norm": spec.qk_norm, "v_norm": spec.v_norm}
    for name, norm in norms.items():
        shapes |= {} if norm is None else _at(name, _norm(norm, spec.head_dim))
    if spec.sinks:
        shapes["sinks"] = (spec.heads,)
    return shapes


def _feed_forward(spec: MLPSpec | MoESpec, hidden: int) -> Shapes:
    return _moe(spec, hidden) if isinstance(spec, MoESpec) else _mlp(spec, hidden)


def _moe(spec: MoESpec, hidden: int) -> Shapes:
    router, experts = spec.router, spec.router.experts
    shapes = _at("router", _linear(experts, hidden, router.bias))
    if router.choice_bias:
        shapes["router.choice_bias"] = (experts,)
    if router.expert_scale:
        shapes["router.expert_scale"] = (experts,)
    if router.norm is not None:
        shapes |= _at("router.norm", _norm(router.norm, hidden))
    shapes |= {f"experts.{name}": (experts, *shape) for name, shape in _mlp(spec.expert, hidden).items()}
    if spec.shared is not None:
        shapes |= _at("shared", _mlp(spec.shared, hidden))
    return shapes | _at("shared_gate", _linear(1, hidden, False)) if spec.shared_gate else shapes


def _latent(spec: LatentAttentionSpec, hidden: int) -> Shapes:
    queries, latent = spec.heads * (spec.nope_dim + spec.rope.dims), spec.kv_latent
    shapes = (
        _at("kv_down", _linear(latent + spec.rope.dims, hidden, spec.bias))
        | _at("kv_norm", _norm(spec.latent_norm, latent))
        | _at("o", _linear(hidden, spec.heads * spec.value_dim, spec.bias))
    )
    if spec.q_latent is None:
        shapes |= _at("q", _linear(queries, hidden, False))
    else:
        shapes |= (
            _at("q_down", _linear(spec.q_latent, hidden, spec.bias))
            | _at("q_norm", _norm(spec.latent_norm, spec.q_latent))
            | _at("q_up", _linear(queries, spec.q_latent, False))
        )
    if spec.joint_up:
        return shapes | {"kv_up.weight": (spec.heads * (spec.nope_dim + spec.value_dim), latent)}
    return shapes | {
        "k_up.weight": (spec.heads, latent, spec.nope_dim),
        "v_up.weight": (spec.heads, spec.value_dim, latent),
    }


def _mamba(spec: Mamba2Spec, hidden: int) -> Shapes:
    vectors = dict.fromkeys(("dt_bias", "decay", "skip"), (spec.heads,))
    return (
        _at("input", _linear(spec.inner + spec.channels + spec.heads, hidden, spec.bias))
        | _at("conv", _linear(spec.channels, spec.kernel, spec.conv_bias))
        | vectors
        | {"norm.weight": (spec.groups, spec.inner // spec.groups)}
        | _at("o", _linear(hidden, spec.inner, spec.bias))
    )


def _deltanet(spec: DeltaNetSpec, hidden: int) -> Shapes:
    values = spec.value_heads * spec.value_dim
    return {
        "qkv.weight": (spec.channels, hidden),
        "gate.weight": (values, hidden),
        "rate.weight": (spec.value_heads, hidden),
        "dt.weight": (spec.value_heads, hidden),
        "conv.weight": (spec.channels, spec.kernel),
        "dt_bias": (spec.value_heads,),
        "decay": (spec.value_heads,),
        "norm.weight": (spec.value_dim,),
        "o.weight": (hidden, values),
    }


def _mlp(spec: MLPSpec, hidden: int) -> Shapes:
    shapes = _at("up", _linear(spec.width, hidden, spec.bias)) | _at("down", _linear(hidden, spec.width, spec.bias))
    return shapes | _at("gate", _linear(spec.width, hidden, spec.bias)) if spec.gated else shapes
