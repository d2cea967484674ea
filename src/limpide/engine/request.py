"""What the engine is asked, in tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from limpide.core.hosting import ANYBODY, Caller
from limpide.core.receipt import Outcome
from limpide.core.sampling import Sampling

if TYPE_CHECKING:
    from limpide.engine.calls import ToolPlan
    from limpide.layers.kv import KVView
    from limpide.text import ThinkingPlan
    from limpide.text.grammar.answer import AnswerGrammar


class Model(Protocol):
    """What the engine computes with: `limpide.models.CausalLM`, or anything that behaves like it."""

    def forward(self, tokens: Tensor, positions: Tensor, kv: KVView, rows: Tensor | None, /) -> Tensor:
        """Hidden states of flat tokens [T] at positions [T]: of those that `rows` (int64 [R]) numbers, or of all."""

    def logits(self, hidden: Tensor, /) -> Tensor:
        """float32 [R, vocab] for hidden states [R, hidden]."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One prompt to go on with."""

    prompt: Sequence[int]
    sampling: Sampling = field(default_factory=Sampling)
    thinking: ThinkingPlan | None = None
    """None: all that comes is the answer."""
    tools: ToolPlan | None = None
    """None: what looks like a tool call is text."""
    turn_ends: Sequence[str] = ()
    """Strings that end the turn, wherever they come; they are not shown."""
    continuation: bool = False
    """The tokens go on from text that the reader has in front of him, so a space at the beginning is kept."""
    grammar: AnswerGrammar | None = None
    """What the answer must follow; the thinking before it is free. None: anything."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """What the caller already knows for the receipt; the engine adds sampling's parameters and may clamp `think`."""
    caller: Caller = ANYBODY
    """On whose behalf: clients take turns."""
