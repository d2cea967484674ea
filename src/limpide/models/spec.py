"""A whole model as one frozen description: its blocks, and what stands before and after them."""

from __future__ import annotations

from dataclasses import dataclass

from limpide.layers.spec import (
    RECURRENT,
    Activation,
    AttentionSpec,
    BlockSpec,
    DeltaNetSpec,
    DivisorScaling,
    GateClamp,
    LatentAttentionSpec,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Mamba2Spec,
    MaskSpec,
    MixerSpec,
    MLPSpec,
    MoESpec,
    NormSpec,
    QueryTemperature,
    RopeScaling,
    RopeSpec,
    RouterSpec,
    YarnScaling,
    require,
)

__all__ = [
    "Activation",
    "AttentionSpec",
    "BlockSpec",
    "DeltaNetSpec",
    "DivisorScaling",
    "GateClamp",
    "LatentAttentionSpec",
    "LinearScaling",
    "Llama3Scaling",
    "LongRopeScaling",
    "MLPSpec",
    "Mamba2Spec",
    "MaskSpec",
    "MoESpec",
    "ModelSpec",
    "NormSpec",
    "QueryTemperature",
    "RopeScaling",
    "RopeSpec",
    "RouterSpec",
    "YarnScaling",
]


MAX_EXPERTS_OF_A_MODEL = 1 << 17
"""In all layers together. Bounded like those of one: a file of a few bytes could ask for millions of names."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A decoder-only language model. Nothing outside this description and the weights decides what it computes."""

    family: str
    vocab_size: int
    hidden: int
    context: int
    """Positions it was made for."""
    blocks: tuple[BlockSpec, ...]
    norm: NormSpec
    """After the last block."""
    tied: bool
    """The output matrix is the embedding matrix."""
    embed_scale: float = 1.0
    logit_scale: float = 1.0
    final_softcap: float | None = None
    """Logits become softcap · tanh(logits / softcap)."""
    learned_positions: bool = False
    """A learned vector per position, `context` of them, is added to the embedding (GPT-2)."""
    per_layer_embedding: int = 0
    """Width of the part that each block gets of a second embedding (Gemma 3n, 4). 0: there is none."""

    def __post_init__(self) -> None:
        for switch in ("vocab_size", "hidden", "context"):
            require(getattr(self, switch) > 0, switch, getattr(self, switch), "above zero")
        require(len(self.blocks) > 0, "blocks", len(self.blocks), "at least one")
        require(
            self.final_softcap is None or self.final_softcap > 0,
            "final_softcap",
            self.final_softcap,
            "a number above zero",
        )
        experts = sum(block.mixture.router.experts for block in self.blocks if block.mixture is not None)
        require(experts <= MAX_EXPERTS_OF_A_MODEL, "experts of all layers", experts, f"up to {MAX_EXPERTS_OF_A_MODEL}")
        for index, block in enumerate(self.blocks):
            parts = block.per_layer_input
            require(parts == self.per_layer_embedding, "per_layer_input", parts, f"{self.per_layer_embedding}")
            if isinstance(block.attention, AttentionSpec):
                self._check_source(index, block.attention)

    def _check_source(self, index: int, attention: AttentionSpec) -> None:
        """A layer can only use keys and values that an earlier one wrote, of its own shape."""
        source = attention.kv_source_layer
        if source is None:
            return
        require(source < index, f"blocks.{index}.attention.kv_source_layer", source, "an earlier layer")
        shape = (attention.kv_heads, attention.head_dim, attention.head_dim)
        fits = _kv_shape(self.blocks[source].attention) == shape
        require(fits, f"blocks.{index}.attention.kv_source_layer", source, f"a layer with keys of its own, {shape}")

    @property
    def kv_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Per layer (kv_heads, width of a key, width of a value): what a cache has to hold of each token."""
        return tuple(_kv_shape(block.attention) for block in self.blocks)

    @property
    def state_shapes(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Per layer: shapes of what a recurrent one carries along a sequence."""
        return tuple(b.attention.state_shapes if isinstance(b.attention, RECURRENT) else () for b in self.blocks)


def _kv_shape(mixer: MixerSpec) -> tuple[int, int, int]:
    if isinstance(mixer, LatentAttentionSpec):
        return mixer.kv_heads, mixer.head_dim, 0
    if not isinstance(mixer, AttentionSpec) or mixer.kv_source_layer is not None:
        return 0, 0, 0  # it carries a state, or uses another layer's
    return mixer.kv_heads, mixer.head_dim, mixer.head_dim
