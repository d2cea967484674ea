"""What every family's configuration says in the same words: how big the model is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from limpide.formats import Checkpoint
from limpide.layers.spec import require
from limpide.models.config import ConfigReader
from limpide.models.spec import AttentionSpec, BlockSpec, ModelSpec, NormSpec, RopeSpec


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of a dense decoder. `head_dim` is that of every layer unless the family says more."""

    vocab_size: int
    hidden: int
    context: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    tied: bool

    def __post_init__(self) -> None:
        for size in ("hidden", "head_dim"):
            require(getattr(self, size) > 0, size, getattr(self, size), "above zero")

    def attention(self, rope: RopeSpec | None) -> AttentionSpec:
        """Grouped-query attention without additions: a family says how its own differs."""
        return AttentionSpec(self.heads, self.kv_heads, self.head_dim, self.head_dim**-0.5, rope)

    def model(
        self,
        family: str,
        blocks: Iterable[BlockSpec],
        norm: NormSpec,
        *,
        embed_scale: float = 1.0,
        logit_scale: float = 1.0,
        final_softcap: float | None = None,
        per_layer_embedding: int = 0,
    ) -> ModelSpec:
        """A whole model of this size."""
        return ModelSpec(
            family,
            self.vocab_size,
            self.hidden,
            self.context,
            blocks=tuple(blocks),
            norm=norm,
            tied=self.tied,
            embed_scale=embed_scale,
            logit_scale=logit_scale,
            final_softcap=final_softcap,
            per_layer_embedding=per_layer_embedding,
        )


@dataclass(frozen=True, slots=True)
class Defaults:
    """Sizes that a config.json of a family may leave out; None: it says them."""

    vocab_size: int | None = None
    hidden: int | None = None
    width: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    """None: as many as heads."""


def hf_sizes(
    config: ConfigReader,
    *,
    context: int,
    eps: float = 1e-6,
    tied: bool = False,
    head_dim: int | None = None,
    defaults: Defaults = Defaults(),
) -> Sizes:
    """Sizes in a config.json. The arguments are what the family means by leaving a key out."""
    hidden = _size(config, "hidden_size", defaults.hidden)
    heads = _size(config, "num_attention_heads", defaults.heads)
    return Sizes(
        vocab_size=_size(config, "vocab_size", defaults.vocab_size),
        hidden=hidden,
        context=config.integer("max_position_embeddings", context),
        layers=config.layers("num_hidden_layers"),
        width=_size(config, "intermediate_size", defaults.width),
        heads=heads,
        kv_heads=config.integer("num_key_value_heads", heads if defaults.kv_heads is None else defaults.kv_heads),
        head_dim=config.integer("head_dim", hidden // max(1, heads) if head_dim is None else head_dim),
        eps=config.number("rms_norm_eps", eps),
        tied=config.boolean("tie_word_embeddings", tied),
    )


def _size(config: ConfigReader, key: str, default: int | None) -> int:
    return config.integer(key) if default is None else config.integer(key, default)


def gguf_sizes(
    config: ConfigReader,
    checkpoint: Checkpoint,
    *,
    whole_head_rope: bool = True,
    experts: bool = False,
    kv_heads: int | None = None,
    head_dim: int | None = None,
) -> Sizes:
    """Sizes in GGUF metadata. Tied embeddings show only in that there is no output matrix.

    `whole_head_rope`: refuse rope on a part of the head, since the family has none. `experts`: the family reads the
    keys of mixtures of experts itself. `kv_heads`: the family has read them, since its layers differ. `head_dim`: what
    the family means by leaving it out.
    """
    hidden, heads = config.integer("embedding_length"), config.integer("attention.head_count")
    layers = config.layers("block_count")
    head_dim = config.integer("attention.key_length", hidden // max(1, heads) if head_dim is None else head_dim)
    config.only("attention.value_length", (head_dim,), f"{head_dim}, like attention.key_length")
    if whole_head_rope:
        config.only("rope.dimension_count", (head_dim,), f"{head_dim}, like attention.key_length")
    if not experts:
        config.only("expert_count", (0,), "0 (no mixture of experts)")
        config.only("expert_used_count", (0,), "0 (no mixture of experts)")
    config.only("attention.causal", (True,), "true")
    config.harmless("tensor_data_layout")
    vocabulary = checkpoint.tensors.get("token_embd.weight")
    return Sizes(
        vocab_size=config.integer("vocab_size", vocabulary.shape[0] if vocabulary else 0),
        hidden=hidden,
        context=config.integer("context_length"),
        layers=layers,
        width=config.integer("feed_forward_length", 0) if experts else config.integer("feed_forward_length"),
        heads=heads,
        kv_heads=_same(config, "attention.head_count_kv", layers, heads) if kv_heads is None else kv_heads,
        head_dim=head_dim,
        eps=config.number("attention.layer_norm_rms_epsilon"),
        tied="output.weight" not in checkpoint.tensors,
    )


def _same(config: ConfigReader, key: str, layers: int, default: int) -> int:
    """A number that some files repeat for each layer."""
    first, *others = config.per_layer(key, layers, default)
    if set(others) - {first}:
        raise config.refusal(key, [first, *others], "the same for every layer")
    return first
