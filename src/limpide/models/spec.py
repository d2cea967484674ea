"""A whole model as one frozen description: its blocks, and what stands before and after them."""

from __future__ import annotations

from dataclasses import dataclass

from limpide.layers.spec import (
    Activation,
    AttentionSpec,
    BlockSpec,
    DivisorScaling,
    GateClamp,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    MaskSpec,
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
    "DivisorScaling",
    "GateClamp",
    "LinearScaling",
    "Llama3Scaling",
    "LongRopeScaling",
    "MLPSpec",
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

        for index, block in enumerate(self.blocks):
            parts = block.per_layer_input
            require(parts == self.per_layer_embedding, "per_layer_input", parts, f"{self.per_layer_embedding}")
            self._check_source(index, block.attention)

    def _check_source(self, index: int, attention: AttentionSpec) -> None:
        """A layer can only use keys and values that an earlier one wrote, of its own shape."""
        source = attention.kv_source_layer
        if source is None:
            return
        require(source < index, f"blocks.{index}.attention.kv_source_layer", source, "an earlier layer")
        written, shape = self.blocks[source].attention, (attention.kv_heads, attention.head_dim)
        fits = written.kv_source_layer is None and (written.kv_heads, written.head_dim) == shape
        require(fits, f"blocks.{index}.attention.kv_source_layer", source, f"a layer with keys of its own, {shape}")

    @property
    def kv_shapes(self) -> tuple[tuple[int, int], ...]:
        """Per layer (kv_heads, head_dim): what a cache has to hold. (0, 0) for a layer that uses another's."""
        attentions = [block.attention for block in self.blocks]
        return tuple((0, 0) if a.kv_source_layer is not None else (a.kv_heads, a.head_dim) for a in attentions)
