"""What the parts promise one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from limpide.core.errors import LimpideError
from limpide.core.events import Event, Finished
from limpide.core.evidence import Fingerprint
from limpide.core.messages import Message, Tool, ToolCall
from limpide.core.receipt import Numerics
from limpide.core.sampling import Sampling
from limpide.core.scoring import ScoringWork
from limpide.core.shape import Shape, ToolChoice
from limpide.core.thinking import Capability, Thinking


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model."""

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    thinking: Thinking = field(default_factory=lambda: Thinking.parse("off"))
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    shape: Shape | None = None
    """What form the answer must have; the thinking before it is free."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a backend says of its model."""

    name: str
    architecture: str
    context: int | None
    """Tokens of prompt and answer together; None if an endpoint does not say."""
    thinking: Capability
    chat: bool
    """Whether it has a chat template; a base model only continues text."""
    licence: str | None
    numerics: Numerics | None
    """None if an endpoint does not say."""
    tools: str | None = None
    """The dialect in which it calls tools, "prompted" if it was not tuned for them; None if it can't."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: what the events of one choice add up to."""

    text: str
    thinking: str
    finished: Finished
    tool_calls: tuple[ToolCall, ...] = ()

    @property
    def message(self) -> Message:
        """The answer as a turn of the conversation, to go on with."""
        return Message("assistant", self.text, self.thinking or None, self.tool_calls)


@dataclass(frozen=True, slots=True)
class Scored:
    """Log-likelihood of a continuation: `logprobs` has one natural logarithm per continuation token."""

    logprobs: tuple[float, ...]
    greedy: bool
    """Whether each token was the most likely one."""

    @property
    def total(self) -> float:
        """Log-likelihood of the whole continuation."""
        return sum(self.logprobs)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A continuation whose likelihood is asked for. Without a context it is a whole text."""

    context: str
    continuation: str


class Scores(Iterable[tuple[int, Scored]], Protocol):
    """Scores as they are computed: (index of the request, its score), in no particular order."""

    @property
    def work(self) -> ScoringWork:
        """What all of them take, known from the beginning."""


class Backend(Protocol):
    """Anything that can answer."""

    @property
    def info(self) -> ModelInfo:
        """The model behind it."""

    def stream(self, request: ChatRequest) -> Iterator[Event]:
        """Answer as events. Closing the iterator aborts it. Errors raise before the first event if they can."""

    def answer_all(self, requests: Iterable[ChatRequest]) -> Iterator[tuple[int, Answer | LimpideError]]:
        """Answer many requests together, of one choice each: number and answer, in the order in which they end.

        A request that can't be answered has its error in place of an answer. Requests are taken as there is room;
        closing the iterator aborts what runs.
        """

    def fingerprint(self) -> Fingerprint:
        """What answers, for evidence. Waits for hashes that are still being computed."""

    def score(self, context: str, continuations: Sequence[str]) -> list[Scored]:
        """Log-likelihood of each continuation after the context."""

    def score_all(self, requests: Sequence[ScoreRequest]) -> Scores:
        """What `score` gives for each request of a whole run, computing what they share once."""

    def score_rolling(self, texts: Sequence[str], *, window: int | None = None, stride: int | None = None) -> Scores:
        """Log-likelihood of each text as a whole, of which a window of tokens is read at a time."""

    def close(self) -> None:
        """Give back what it holds. Safe to call twice."""
