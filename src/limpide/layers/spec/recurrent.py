"""Layers that carry a state along a sequence."""

from __future__ import annotations

from dataclasses import dataclass

from limpide.layers.spec.checks import positive, require
from limpide.layers.spec.norm import NormSpec

RUN = 16
"""Positions that a recurrent layer computes together; runs begin at multiples of it."""


@dataclass(frozen=True, slots=True)
class Mamba2Spec:
    """A selective state space (Mamba-2, arXiv:2405.21060): each head keeps head_dim × state numbers."""

    heads: int
    head_dim: int
    groups: int
    """Heads of a group share what is written to the state and how it is read."""
    state: int
    kernel: int
    """Tokens that the convolution before it sees."""
    norm: NormSpec
    """Of the gated result, per group."""
    bias: bool = False
    """On the input and output projections."""
    conv_bias: bool = True
    rope: None = None

    def __post_init__(self) -> None:
        positive("mamba", self, "heads", "head_dim", "groups", "state")
        require(self.heads % self.groups == 0, "mamba.groups", self.groups, f"a divisor of {self.heads} heads")
        require(self.kernel > 1, "mamba.kernel", self.kernel, "two tokens or more")

    @property
    def inner(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_dim

    @property
    def channels(self) -> int:
        """Width of what the convolution works on: the heads' input, what is written, how it is read."""
        return self.inner + 2 * self.groups * self.state

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Inputs of the convolution, inputs of an unfinished run, and the state itself."""
        rows = self.channels + self.heads
        return (self.kernel - 1, self.channels), (RUN, rows), (self.heads, self.head_dim, self.state)


@dataclass(frozen=True, slots=True)
class DeltaNetSpec:
    """Linear attention by the gated delta rule (arXiv:2412.06464): each head keeps a key_dim × value_dim matrix."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    """Tokens that the convolution before it sees."""
    norm: NormSpec
    """Of each head's result, before its gate."""
    tiled: bool = False
    """Value head v uses key head v mod key_heads, as some files are ordered; else neighbours share a key head."""
    rope: None = None

    def __post_init__(self) -> None:
        positive("deltanet", self, "key_heads", "value_heads", "key_dim", "value_dim")
        shared = self.value_heads % self.key_heads == 0
        require(shared, "deltanet.value_heads", self.value_heads, f"a multiple of {self.key_heads} key heads")
        require(self.kernel > 1, "deltanet.kernel", self.kernel, "two tokens or more")

    @property
    def channels(self) -> int:
        """Width of what the convolution works on: queries, keys and values."""
        return 2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Inputs of the convolution, inputs of an unfinished run, and the state itself."""
        rows = self.channels + 2 * self.value_heads
        return (self.kernel - 1, self.channels), (RUN, rows), (self.value_heads, self.key_dim, self.value_dim)


RECURRENT = (Mamba2Spec, DeltaNetSpec)
"""Layers that carry a state along a sequence and keep nothing of single tokens."""
