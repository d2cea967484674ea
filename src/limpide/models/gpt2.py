"""GPT-2: layer norms, learned positions, biases everywhere, and an MLP without a gate."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.sizes import Sizes
from limpide.models.spec import Activation, AttentionSpec, BlockSpec, MLPSpec, ModelSpec, NormSpec
from limpide.models.transforms import Chain, Rows, Transform, Transposed

_ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
}

_SUMMARY = tuple(f"summary_{key}" for key in ("type", "use_proj", "activation", "proj_to_labels", "first_dropout"))
"""A head that takes no part in generating."""


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    hidden, heads = config.integer("n_embd", 768), config.integer("n_head", 12)
    context = config.integer("n_positions", 1024)
    config.only("n_ctx", (context,), f"{context}, like n_positions")
    config.only("scale_attn_weights", (True,), "true")
    config.only("scale_attn_by_inverse_layer_idx", (False,), "false")
    config.only("add_cross_attention", (False,), "false")
    config.harmless("reorder_and_upcast_attn")  # the same in full precision
    config.harmless("n_special", "predict_special_tokens", *_SUMMARY)
    name = config.string("activation_function", "gelu_new")
    if name not in _ACTIVATIONS:
        raise config.refusal("activation_function", name, " or ".join(_ACTIVATIONS))
    sizes = Sizes(
        vocab_size=config.integer("vocab_size", 50257),
        hidden=hidden,
        context=context,
        layers=config.layers("n_layer"),
        width=config.integer("n_inner", 4 * hidden),
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // max(1, heads),
        eps=config.number("layer_norm_epsilon", 1e-5),
        tied=config.boolean("tie_word_embeddings", True),
    )
    return _spec(sizes, _ACTIVATIONS[name])


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    hidden, heads = config.integer("embedding_length"), config.integer("attention.head_count")
    config.only("attention.head_count_kv", (heads,), f"{heads}, like attention.head_count")
    config.only("attention.causal", (True,), "true")
    vocabulary = checkpoint.tensors.get("token_embd.weight")
    sizes = Sizes(
        vocab_size=config.integer("vocab_size", vocabulary.shape[0] if vocabulary else 0),
        hidden=hidden,
        context=config.integer("context_length"),
        layers=config.layers("block_count"),
        width=config.integer("feed_forward_length"),
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // max(1, heads),
        eps=config.number("attention.layer_norm_epsilon"),
        tied="output.weight" not in checkpoint.tensors,
    )
    return _spec(sizes, "gelu_tanh")


def _spec(sizes: Sizes, activation: Activation) -> ModelSpec:
    norm = NormSpec(sizes.eps, kind="layer", bias=True)
    attention = AttentionSpec(
        heads=sizes.heads,
        kv_heads=sizes.kv_heads,
        head_dim=sizes.head_dim,
        scale=max(1, sizes.head_dim) ** -0.5,
        qkv_bias=True,
        out_bias=True,
    )
    block = BlockSpec(attention, MLPSpec(sizes.width, activation, gated=False, bias=True), norm)
    return replace(sizes.model("gpt2", (block,) * sizes.layers, norm), learned_positions=True)


def _block(ours: str, hf: str, gguf: str, *, turned: bool = False, rows: Rows | None = None) -> tuple[TensorName, ...]:
    """A module of a block. Hugging Face files store GPT-2's matrices as [in, out]."""
    hf_steps: tuple[Transform, ...] = ((Transposed(),) if turned else ()) + ((rows,) if rows else ())
    return module(
        f"blocks.{{b}}.{ours}",
        f"transformer.h.{{b}}.{hf}",
        f"blk.{{b}}.{gguf}",
        hf_transform=Chain(hf_steps) if hf_steps else None,
        gguf_transform=rows,
    )


FAMILY = Family(
    name="gpt2",
    gguf_architectures=("gpt2",),
    hf_model_types=("gpt2",),
    hf_architectures=("GPT2LMHeadModel",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=(
        *module("embed", "transformer.wte", "token_embd"),
        *module("positions", "transformer.wpe", "position_embd"),
        *_block("attn_norm", "ln_1", "attn_norm"),
        *_block("attn.q", "attn.c_attn", "attn_qkv", turned=True, rows=Rows("q")),
        *_block("attn.k", "attn.c_attn", "attn_qkv", turned=True, rows=Rows("k")),
        *_block("attn.v", "attn.c_attn", "attn_qkv", turned=True, rows=Rows("v")),
        *_block("attn.o", "attn.c_proj", "attn_output", turned=True),
        *_block("mlp_norm", "ln_2", "ffn_norm"),
        *_block("mlp.up", "mlp.c_fc", "ffn_up", turned=True),
        *_block("mlp.down", "mlp.c_proj", "ffn_down", turned=True),
        *module("norm", "transformer.ln_f", "output_norm"),
        *module("lm_head", "lm_head", "output"),
    ),
    # the causal mask, which early files store beside the weights
    unused_tensors=("transformer.h.*.attn.bias", "transformer.h.*.attn.masked_bias"),
    hf_prefixes=tuple((f"{part}.", f"transformer.{part}.") for part in ("h", "wte", "wpe", "ln_f")),
)
