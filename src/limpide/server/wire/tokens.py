"""Tokens and texts, as they are asked for and returned."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limpide.server.wire.base import Ask, Reply
from limpide.server.wire.sampling import TokenId

MAX_TOKENS = 1 << 20
MAX_CONTINUATIONS = 256


class TokenizeRequest(Ask):
    """A text."""

    model: str | None = None
    """Default: the first of `/v1/models`."""
    text: str
    special: bool | None = None
    """Whether text that looks like a control token becomes one. Default: no, it stays the characters it consists of."""
    bos: bool | None = None
    """Whether the token that begins a text is put in front, where the model has one. Default: no."""


class TokensReply(Reply):
    """Its tokens."""

    model: str
    tokens: list[int]
    count: int


class DetokenizeRequest(Ask):
    """Tokens."""

    model: str | None = None
    """Default: the first of `/v1/models`."""
    tokens: Annotated[list[TokenId], Field(max_length=MAX_TOKENS)]


class TextReply(Reply):
    """Their text."""

    model: str
    text: str


class PromptReply(Reply):
    """A conversation as the model sees it."""

    model: str
    prompt: str
    tokens: list[int]
    count: int


class ScoreRequest(Ask):
    """What might follow a context."""

    model: str | None = None
    """Default: the first of `/v1/models`."""
    context: str
    continuations: Annotated[list[str], Field(min_length=1, max_length=MAX_CONTINUATIONS)]


class ScoreReply(Reply):
    """How likely a continuation is."""

    index: int
    logprob: float
    """Natural logarithm of the probability of the whole continuation."""
    token_logprobs: list[float]
    greedy: bool
    """Whether each of its tokens was the most likely one."""


class ScoreList(Reply):
    """The continuations, in their order."""

    model: str
    data: list[ScoreReply]
