"""Llama 2 and 3.x, and every model that is one by another name: SmolLM2, Reka Flash 3, R1-Distill-Llama."""

from __future__ import annotations

from limpide.formats import Checkpoint
from limpide.models import names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName
from limpide.models.rope_config import ROPE_DIVISORS, gguf_scaling, hf_rope
from limpide.models.spec import AttentionSpec, BlockSpec, MLPSpec, ModelSpec, NormSpec, RopeScaling, RopeSpec


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    context = config.integer("max_position_embeddings", 2048)
    theta, scaling = hf_rope(config, theta=10000.0, context=context)
    config.only("hidden_act", ("silu",), "silu")
    config.only("rope_interleaved", (False,), "false (halves of a head rotate against each other)")
    return _spec(
        vocab_size=config.integer("vocab_size"),
        hidden=hidden,
        context=context,
        layers=config.layers("num_hidden_layers"),
        width=config.integer("intermediate_size"),
        heads=heads,
        kv_heads=config.integer("num_key_value_heads", heads),
        head_dim=config.integer("head_dim", hidden // max(1, heads)),
        eps=config.number("rms_norm_eps", 1e-6),
        theta=theta,
        scaling=scaling,
        qkv_bias=(attention_bias := config.boolean("attention_bias", False)),
        out_bias=attention_bias,
        mlp_bias=config.boolean("mlp_bias", False),
        tied=config.boolean("tie_word_embeddings", False),
    )


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata. Biases and tied embeddings show only in which tensors there are."""
    hidden, heads = config.integer("embedding_length"), config.integer("attention.head_count")
    context, head_dim = (
        config.integer("context_length"),
        config.integer("attention.key_length", hidden // max(1, heads)),
    )
    config.only("attention.value_length", (head_dim,), f"{head_dim}, like attention.key_length")
    config.only("rope.dimension_count", (head_dim,), f"{head_dim}, like attention.key_length")
    config.only("expert_count", (0,), "0 (no mixture of experts)")
    config.only("expert_used_count", (0,), "0 (no mixture of experts)")
    config.only("attention.causal", (True,), "true")
    config.harmless("tensor_data_layout")
    vocabulary = checkpoint.tensors.get("token_embd.weight")
    vocab_size = config.integer("vocab_size", vocabulary.shape[0] if vocabulary else 0)
    return _spec(
        vocab_size=vocab_size,
        hidden=hidden,
        context=context,
        layers=config.layers("block_count"),
        width=config.integer("feed_forward_length"),
        heads=heads,
        kv_heads=config.integer("attention.head_count_kv", heads),
        head_dim=head_dim,
        eps=config.number("attention.layer_norm_rms_epsilon"),
        theta=config.number("rope.freq_base", 10000.0),
        scaling=gguf_scaling(config, checkpoint, context=context),
        qkv_bias="blk.0.attn_q.bias" in checkpoint.tensors,
        out_bias="blk.0.attn_output.bias" in checkpoint.tensors,
        mlp_bias="blk.0.ffn_up.bias" in checkpoint.tensors,
        tied="output.weight" not in checkpoint.tensors,
    )


def _spec(
    *,
    vocab_size: int,
    hidden: int,
    context: int,
    layers: int,
    width: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    eps: float,
    theta: float,
    scaling: RopeScaling | None,
    qkv_bias: bool,
    out_bias: bool,
    mlp_bias: bool,
    tied: bool,
) -> ModelSpec:
    norm = NormSpec(eps)
    block = BlockSpec(
        attention=AttentionSpec(
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            scale=head_dim**-0.5,
            rope=RopeSpec(theta, head_dim, scaling=scaling),
            qkv_bias=qkv_bias,
            out_bias=out_bias,
        ),
        feed_forward=MLPSpec(width, bias=mlp_bias),
        norm=norm,
    )
    return ModelSpec("llama", vocab_size, hidden, context, blocks=(block,) * layers, norm=norm, tied=tied)


TENSORS: tuple[TensorName, ...] = (*names.OUTER, *names.attention(interleaved_gguf=True), *names.MLP, *names.norms())

FAMILY = Family(
    name="llama",
    gguf_architectures=("llama",),
    hf_model_types=("llama",),
    hf_architectures=("LlamaForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=TENSORS,
    unused_tensors=(ROPE_DIVISORS, "model.layers.*.self_attn.rotary_emb.inv_freq"),
)
