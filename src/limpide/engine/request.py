"""What the engine is asked, in tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from limpide.core.receipt import Outcome
from limpide.core.sampling import Sampling

if TYPE_CHECKING:
    from limpide.layers.kv import KVView
    from limpide.text.thinking import ThinkingPlan


class Model(Protocol):
    """What the engine computes with: `limpide.models.CausalLM`, or anything that behaves like it."""

    def forward(self, tokens: Tensor, positions: Tensor, kv: KVView, /) -> Tensor:
        """Hidden states [T, hidden] of flat tokens [T] at positions [T]."""

    def logits(self, hidden: Tensor, /) -> Tensor:
        """float32 [R, vocab] for hidden states [R, hidden]."""


class Vocabulary(Protocol):
    """What the engine needs of a tokenizer: `limpide.text.Tokenizer`, or anything that behaves like it."""

    @property
    def vocab_size(self) -> int: ...  # noqa: D102
    @property
    def eos_ids(self) -> frozenset[int]: ...  # noqa: D102
    @property
    def special_tokens(self) -> Mapping[str, int]: ...  # noqa: D102
    def encode(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]: ...  # noqa: D102
    def token_bytes(self, token: int) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One prompt to go on with."""

    prompt: Sequence[int]
    sampling: Sampling = field(default_factory=Sampling)
    thinking: ThinkingPlan | None = None
    """None: all that comes is the answer."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """What the caller already knows for the receipt; the engine adds sampling's parameters and may clamp `think`."""
