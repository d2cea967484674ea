"""Which tensors a model consists of, by our names, and their shapes: all from the description alone."""

from __future__ import annotations

from limpide.layers.spec import AttentionSpec, BlockSpec, MLPSpec, MoESpec, NormSpec
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
    shapes = _at("attn", _attention(spec.attention, hidden)) | _at("mlp", _feed_forward(spec.feed_forward, hidden))
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


def _attention(spec: AttentionSpec, hidden: int) -> Shapes:
    queries, keys = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim
    shapes = _at("q", _linear(queries, hidden, spec.qkv_bias)) | _at("o", _linear(hidden, queries, spec.out_bias))
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


def _mlp(spec: MLPSpec, hidden: int) -> Shapes:
    shapes = _at("up", _linear(spec.width, hidden, spec.bias)) | _at("down", _linear(hidden, spec.width, spec.bias))
    return shapes | _at("gate", _linear(spec.width, hidden, spec.bias)) if spec.gated else shapes
