"""What a server is handed: models that answer many people at once, without blocking anybody.

Everything here is called from one event loop and returns to it; what computes has threads of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from limpide.core.events import Event
from limpide.core.ports import ChatRequest, ModelInfo, Scored
from limpide.core.sampling import Sampling
from limpide.core.shape import Shape


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf something is computed, for fairness: clients take turns, whoever asks more often waits longer."""

    client: str = ""
    idle: bool = False
    """Only when nobody else wants the machine: batches."""


ANYBODY = Caller()


class Running(Protocol):
    """An answer in the making. Iterate for its events; an error of the request is raised by the iteration."""

    @property
    def prompt_tokens(self) -> int:
        """How many tokens it is an answer to."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """The events, in order; once."""

    def stop_thinking(self) -> None:
        """Have the model stop thinking at its next token and answer."""

    def abort(self) -> None:
        """End the answer here: what was written so far, then Finished with reason "aborted"."""

    async def aclose(self) -> None:
        """No more events are wanted: computing stops within one step. Safe to call twice."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as the model sees it."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Embedding:
    """A text as a direction: float32 values of length 1, and how many tokens were read."""

    values: tuple[float, ...]
    tokens: int


class ServedModel(Protocol):
    """A loaded model. What is wrong with a request is raised by the call, before anything is queued."""

    @property
    def info(self) -> ModelInfo:
        """The model behind it."""

    async def chat(self, request: ChatRequest, caller: Caller = ANYBODY) -> Running:
        """Answer a conversation."""

    async def complete(
        self, prompt: str | Sequence[int], sampling: Sampling, *, shape: Shape | None = None, caller: Caller = ANYBODY
    ) -> Running:
        """Continue raw text, or tokens, without a template."""

    async def score(self, context: str, continuations: Sequence[str], caller: Caller = ANYBODY) -> list[Scored]:
        """Log-likelihood of each continuation after the context."""

    async def embed(self, texts: Sequence[str | Sequence[int]], caller: Caller = ANYBODY) -> list[Embedding]:
        """Mean of the last layer's normalised hidden states, scaled to length 1, for each text."""

    async def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """Text as tokens. special: whether text that looks like a control token becomes one."""

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Tokens as text. Raises InvalidParameter for an id outside the vocabulary."""

    async def render(self, request: ChatRequest) -> Rendered:
        """A conversation as text and tokens; `len(tokens)` is what its prompt will cost."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be asked for."""

    name: str
    state: Literal["unloaded", "loading", "loaded"]
    info: ModelInfo | None
    """Known once it was loaded."""
    created: int
    """Seconds since 1970 when it came to this machine."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy one loaded model is, for metrics and for admission."""

    running: int
    waiting: int
    max_batch: int
    blocks_used: int
    blocks_total: int
    preemptions: int
    steps: int
    tokens_computed: Mapping[str, int]
    """Since it was loaded: `prompt`, `cached`, `thinking`, `answer`."""


class Host(Protocol):
    """Which models there are, and a loaded one when it is needed."""

    def offers(self) -> Sequence[Offer]:
        """Every model that `use` accepts; the first is the default."""

    def use(self, name: str | None = None) -> AbstractAsyncContextManager[ServedModel]:
        """A loaded model, which stays loaded while the context is held. Loads it if need be.

        Raises UnknownModel, OutOfMemory, Overloaded when all that could make room is in use.
        """

    async def unload(self, name: str) -> bool:
        """Give a model's memory back, if nobody uses it. False if it was not loaded or is in use."""

    def loads(self) -> Mapping[str, Load]:
        """How busy the loaded models are."""

    async def drain(self, seconds: float) -> None:
        """Take nothing new, let what runs come to its end for at most so long, then close everything."""
