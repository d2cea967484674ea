"""A whole model as one frozen description: its blocks, and what stands before and after them."""

from __future__ import annotations

from dataclasses import dataclass

from limpide.layers.spec import (
    RECURRENT,
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
    MLPSpec,
    MoESpec,
    NormSpec,
    RopeScaling,
    RopeSpec,
    RouterSpec,
    YarnScaling,
    require,
)

__all__ = [
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
    "RopeScaling",
    "RopeSpec",
    "RouterSpec",
    "YarnScaling",
]


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
    """Declared (GPT-2): a learned vector per position is added to the embedding."""
    per_layer_embedding: int = 0
    """Declared (Gemma 3n, 4): width of a second embedding that every block gets a part of."""

    def __post_init__(self) -> None:
        for switch in ("vocab_size", "hidden", "context"):
            require(getattr(self, switch) > 0, switch, getattr(self, switch), "above zero")
        declared = "nothing else is computed yet"
        require(not self.learned_positions, "learned_positions", self.learned_positions, f"False: {declared}")
        require(not self.per_layer_embedding, "per_layer_embedding", self.per_layer_embedding, f"0: {declared}")
        require(len(self.blocks) > 0, "blocks", len(self.blocks), "at least one")
        require(
            self.final_softcap is None or self.final_softcap > 0,
            "final_softcap",
            self.final_softcap,
            "a number above zero",
        )

    @property
    def kv_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Per layer (kv_heads, width of a key, width of a value): what a cache has to hold of each token."""
        return tuple(_kv_shape(block) for block in self.blocks)

    @property
    def state_shapes(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Per layer: shapes of what a recurrent one carries along a sequence."""
        return tuple(b.attention.state_shapes if isinstance(b.attention, RECURRENT) else () for b in self.blocks)


def _kv_shape(block: BlockSpec) -> tuple[int, int, int]:
    attention = block.attention
    if isinstance(attention, RECURRENT):
        return 0, 0, 0
    width = 0 if isinstance(attention, LatentAttentionSpec) else attention.head_dim
    return attention.kv_heads, attention.head_dim, width
