"""A raw completion as it is asked for: text goes on, without a template."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from limpide.core.errors import InvalidParameter
from limpide.core.receipt import Outcome
from limpide.core.sampling import MAX_CHOICES, MAX_LOGPROBS, Sampling
from limpide.core.shape import Shape
from limpide.server.wire.base import Whole
from limpide.server.wire.chat_request import StreamOptions
from limpide.server.wire.response_format import ResponseFormat, format_outcomes, read_format
from limpide.server.wire.sampling import SamplingFields, TokenId, TokenLimit

DEFAULT_LIMIT = 16
_NO_TURN = "raw text has no turn in which thinking could be told apart: use /v1/chat/completions"

Tokens = Annotated[list[TokenId], Field(min_length=1)]
Prompt = str | Tokens


class CompletionRequest(SamplingFields):
    """OpenAI's older completion, with a few parameters more. `max_tokens` is 16 unless it is given."""

    UNUSED: ClassVar = {"user": "nothing depends on it: limits go by key"}
    UNSUPPORTED: ClassVar = {
        "suffix": "models here write on from a prompt and don't fill gaps",
        **dict.fromkeys(("reasoning_effort", "reasoning", "think", "thinking", "thinking_token_budget"), _NO_TURN),
        "messages": "use /v1/chat/completions",
    }

    prompt: (
        str
        | Tokens
        | Annotated[list[str], Field(min_length=1, max_length=MAX_CHOICES)]
        | Annotated[list[Tokens], Field(min_length=1, max_length=MAX_CHOICES)]
    )
    max_tokens: TokenLimit | None = None
    best_of: Annotated[Whole, Field(ge=1, le=MAX_CHOICES)] | None = None
    """Write so many, return the `n` whose tokens were the most likely."""
    echo: bool | None = None
    """Put the prompt in front of the answer."""
    logprobs: Annotated[Whole, Field(ge=0, le=MAX_LOGPROBS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    """Ours here: what form the answer must have."""
    user: str | None = None

    @property
    def prompts(self) -> list[Prompt]:
        """One or several, each as text or tokens."""
        if isinstance(self.prompt, str) or isinstance(self.prompt[0], int):
            return [self.prompt]
        return list(self.prompt)

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with a chunk of usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def kept(self) -> int:
        """How many answers to each prompt are returned."""
        return self.n or 1


def read_completion(asked: CompletionRequest) -> tuple[Sampling, Shape | None, dict[str, Outcome]]:
    """How to sample, in what form, and what the receipt says beyond the engine's outcomes. Raises InvalidParameter."""
    written = asked.best_of or asked.kept
    if written < asked.kept:
        raise InvalidParameter("best_of", asked.best_of, f"at least n ({asked.kept})")
    if asked.stream and written > asked.kept:
        raise InvalidParameter("best_of", asked.best_of, "n, when streaming: the best are known at the end")
    if written * len(asked.prompts) > MAX_CHOICES:
        raise InvalidParameter("prompt", f"{len(asked.prompts)} × {written}", f"at most {MAX_CHOICES} answers in all")
    if asked.echo and asked.logprobs is not None:
        raise InvalidParameter(
            "echo", True, "false with logprobs: those of the prompt are not kept", hint="POST /v1/score"
        )
    if asked.stream_options and not asked.stream:
        raise InvalidParameter("stream_options", "given", "nothing, unless stream is true")
    outcomes = asked.defaults()
    if asked.max_tokens is None:
        outcomes["max_tokens"] = Outcome("applied", None, DEFAULT_LIMIT, "none was given: OpenAI's default")
    outcomes |= asked.unused() | format_outcomes(asked.response_format)
    outcomes |= asked.stream_options.unused("stream_options.") if asked.stream_options else {}
    if asked.best_of is not None:
        outcomes["best_of"] = Outcome("applied", asked.best_of, written)
        outcomes["n"] = Outcome("applied", asked.n, asked.kept)
    return _sampling(asked, written), read_format(asked.response_format), outcomes


def _sampling(asked: CompletionRequest, written: int) -> Sampling:
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty")
    given: dict[str, Any] = asked.given(*names, "seed", "ignore_eos")
    return Sampling(
        **given,
        n=written,
        logit_bias=asked.biases,
        stop=asked.stops,
        max_tokens=asked.max_tokens or DEFAULT_LIMIT,
        logprobs=0 if asked.logprobs is None and written > asked.kept else asked.logprobs,
    )
