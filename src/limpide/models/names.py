"""The names that most families give to the same tensors."""

from __future__ import annotations

from limpide.models.family import TensorName, module
from limpide.models.transforms import RopeRows, Transform

OUTER: tuple[TensorName, ...] = (
    *module("embed", "model.embed_tokens", "token_embd"),
    *module("lm_head", "lm_head", "output"),
)


def attention(*, interleaved_gguf: bool = False) -> tuple[TensorName, ...]:
    """Projections. `interleaved_gguf`: the architecture rotates neighbours, so its files have rows in that order."""
    q, k = (RopeRows("q"), RopeRows("k")) if interleaved_gguf else (None, None)
    return (
        *module("blocks.{b}.attn.q", "model.layers.{b}.self_attn.q_proj", "blk.{b}.attn_q", gguf_transform=q),
        *module("blocks.{b}.attn.k", "model.layers.{b}.self_attn.k_proj", "blk.{b}.attn_k", gguf_transform=k),
        *module("blocks.{b}.attn.v", "model.layers.{b}.self_attn.v_proj", "blk.{b}.attn_v"),
        *module("blocks.{b}.attn.o", "model.layers.{b}.self_attn.o_proj", "blk.{b}.attn_output"),
    )


def head_norms(hf: Transform | None = None) -> tuple[TensorName, ...]:
    """Norms of queries and keys."""
    return (
        *module("blocks.{b}.attn.q_norm", "model.layers.{b}.self_attn.q_norm", "blk.{b}.attn_q_norm", hf_transform=hf),
        *module("blocks.{b}.attn.k_norm", "model.layers.{b}.self_attn.k_norm", "blk.{b}.attn_k_norm", hf_transform=hf),
    )


def norms(hf: Transform | None = None) -> tuple[TensorName, ...]:
    """A norm before each sublayer, and one after the last block."""
    return (
        *module("blocks.{b}.attn_norm", "model.layers.{b}.input_layernorm", "blk.{b}.attn_norm", hf_transform=hf),
        *module(
            "blocks.{b}.mlp_norm", "model.layers.{b}.post_attention_layernorm", "blk.{b}.ffn_norm", hf_transform=hf
        ),
        *module("norm", "model.norm", "output_norm", hf_transform=hf),
    )


def sandwich_norms(hf: Transform | None = None) -> tuple[TensorName, ...]:
    """Norms before and after each sublayer, and one after the last block."""
    return (
        *module("blocks.{b}.attn_norm", "model.layers.{b}.input_layernorm", "blk.{b}.attn_norm", hf_transform=hf),
        *module(
            "blocks.{b}.attn_post_norm",
            "model.layers.{b}.post_attention_layernorm",
            "blk.{b}.post_attention_norm",
            hf_transform=hf,
        ),
        *module(
            "blocks.{b}.mlp_norm", "model.layers.{b}.pre_feedforward_layernorm", "blk.{b}.ffn_norm", hf_transform=hf
        ),
        *module(
            "blocks.{b}.mlp_post_norm",
            "model.layers.{b}.post_feedforward_layernorm",
            "blk.{b}.post_ffw_norm",
            hf_transform=hf,
        ),
        *module("norm", "model.norm", "output_norm", hf_transform=hf),
    )


def mlp(hf: str = "model.layers.{b}.mlp") -> tuple[TensorName, ...]:
    """A gated MLP; `hf` is what its projections belong to."""
    return (
        *module("blocks.{b}.mlp.gate", f"{hf}.gate_proj", "blk.{b}.ffn_gate"),
        *module("blocks.{b}.mlp.up", f"{hf}.up_proj", "blk.{b}.ffn_up"),
        *module("blocks.{b}.mlp.down", f"{hf}.down_proj", "blk.{b}.ffn_down"),
    )


MLP: tuple[TensorName, ...] = mlp()
