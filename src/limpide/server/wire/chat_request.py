"""A chat completion as it is asked for, and what the models are asked then."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from limpide.core.errors import InvalidParameter
from limpide.core.messages import conversation
from limpide.core.ports import ChatRequest
from limpide.core.receipt import Outcome
from limpide.core.sampling import MAX_LOGPROBS, Sampling
from limpide.core.thinking import Thinking
from limpide.server.wire.base import Ask, JsonData, Whole
from limpide.server.wire.content import AnyMessage, read_messages
from limpide.server.wire.response_format import ResponseFormat, format_outcomes, read_format
from limpide.server.wire.sampling import SamplingFields, TokenLimit
from limpide.server.wire.thinking import ThinkingFields
from limpide.server.wire.tools import Choice, Tools, read_choice, read_tools

NOT_USED: dict[str, str] = {
    "user": "nothing depends on it: limits go by key",
    "metadata": "chat completions are not stored",
    "store": "chat completions are not stored",
    "service_tier": "there is one tier, on this machine",
    "safety_identifier": "nothing depends on it: limits go by key",
    "prompt_cache_key": "prefixes are kept and shared without being asked to",
    "prompt_cache_options": "prefixes are kept and shared without being asked to",
    "prompt_cache_retention": "prefixes are kept as long as there is room",
    "verbosity": "say it in the prompt",
    "prediction": "it would make no difference to the answer, only to its speed",
}
"""Fields of OpenAI's that are taken and change nothing."""
REFUSED: dict[str, str] = {
    "audio": "models here read and write text only",
    "functions": "pass `tools` in its place",
    "function_call": "pass `tool_choice` in its place",
    "moderation": "nothing is moderated here; have a model judge texts, and ask it yourself",
    "web_search_options": "models here have no access to the web; offer a tool that searches",
    "guided_json": 'pass `response_format: {"type": "json_schema", …}` in its place',
    "guided_regex": 'pass `response_format: {"type": "regex", "pattern": …}` in its place',
    "guided_grammar": 'pass `response_format: {"type": "grammar", "grammar": …}` in its place',
    "grammar": 'pass `response_format: {"type": "grammar", "grammar": …}` in its place',
}
"""Fields that others know and that would change the answer: what to do in their place."""


class StreamOptions(Ask):
    """What a stream has beside the answer."""

    UNUSED: ClassVar = {"include_obfuscation": "chunks are not padded; TLS is where sizes could be hidden"}

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCompletionRequest(SamplingFields, ThinkingFields):
    """OpenAI's chat completion, with a few parameters more."""

    UNUSED: ClassVar = NOT_USED
    UNSUPPORTED: ClassVar = REFUSED

    messages: Annotated[list[AnyMessage], Field(min_length=1)]
    max_tokens: TokenLimit | None = None
    """Older name of `max_completion_tokens`."""
    max_completion_tokens: TokenLimit | None = None
    """Limit of thinking and answer together. Default: what the context leaves."""
    logprobs: bool | None = None
    top_logprobs: Annotated[Whole, Field(ge=0, le=MAX_LOGPROBS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Tools | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = None

    user: str | None = None
    metadata: JsonData | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JsonData | None = None
    prompt_cache_retention: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    prediction: JsonData | None = None

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with a chunk of usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def show_thinking(self) -> bool:
        """Whether the response has the thinking in it."""
        return not (self.reasoning and self.reasoning.exclude)

    @property
    def limit(self) -> int | None:
        """Tokens of thinking and answer. Raises InvalidParameter if its two names differ."""
        both = (self.max_tokens, self.max_completion_tokens)
        if None not in both and both[0] != both[1]:
            raise InvalidParameter("max_tokens", both[0], f"what max_completion_tokens says, too ({both[1]})")
        return both[1] if both[0] is None else both[0]


def read_chat(asked: ChatCompletionRequest, default_think: str) -> tuple[ChatRequest, dict[str, Outcome]]:
    """What the model is asked, and what the receipt says beyond the engine's own outcomes.

    default_think: the dial's position where the request has none. Raises BadRequest.
    """
    messages, outcomes = read_messages(asked.messages)
    if asked.stream_options and not asked.stream:
        raise InvalidParameter("stream_options", "given", "nothing, unless stream is true")
    if asked.top_logprobs is not None and not asked.logprobs:
        raise InvalidParameter("top_logprobs", asked.top_logprobs, "nothing, unless logprobs is true")
    thinking = asked.dial()
    if thinking is None:
        thinking = Thinking.parse(default_think)
        outcomes["think"] = Outcome("applied", None, thinking.budget, "none was asked for: the server's default")
    for nested, prefix in ((asked.stream_options, "stream_options."), (asked.reasoning, "reasoning.")):
        outcomes |= nested.unused(prefix) if nested else {}
    request = ChatRequest(
        messages=conversation(messages),
        sampling=read_sampling(asked),
        thinking=thinking,
        tools=read_tools(asked.tools),
        tool_choice=read_choice(asked.tool_choice, asked.tools, asked.parallel_tool_calls),
        shape=read_format(asked.response_format),
    )
    return request, {**outcomes, **asked.defaults(), **asked.unused(), **format_outcomes(asked.response_format)}


def read_sampling(asked: ChatCompletionRequest) -> Sampling:
    """The sampling that was asked for, with OpenAI's defaults."""
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty")
    given: dict[str, Any] = asked.given(*names, "seed", "n", "ignore_eos")
    return Sampling(
        **given,
        logit_bias=asked.biases,
        stop=asked.stops,
        max_tokens=asked.limit,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
    )
