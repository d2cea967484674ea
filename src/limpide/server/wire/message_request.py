"""A message as it is asked for in Anthropic's dialect, and what the models are asked then."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from limpide.core.errors import InvalidParameter
from limpide.core.messages import conversation
from limpide.core.ports import ChatRequest
from limpide.core.receipt import Outcome
from limpide.core.sampling import MAX_STOPS, Sampling
from limpide.core.shape import JsonSchema
from limpide.core.thinking import Thinking
from limpide.server import thinking_fields as dial
from limpide.server.wire.base import Ask, JsonData, Whole
from limpide.server.wire.content import CACHED_ANYWAY
from limpide.server.wire.message_blocks import TextBlock, TextBlocks, Turn, read_turns, refusing
from limpide.server.wire.message_tools import Choice, CustomTools, read_choice, read_tools
from limpide.server.wire.sampling import MAX_SEED, MAX_TOKEN, Stop, TokenLimit
from limpide.server.wire.thinking import EffortName

TEMPERATURE = 1.0
"""Anthropic's default."""
_BILLING = re.compile(r"x-anthropic-billing-header:[^\n]*\n?")
"""A line that Claude Code puts before its system prompt: version, entry point, and a hash that is new every time."""

NOT_USED: dict[str, str] = {
    "cache_control": CACHED_ANYWAY,
    "context_management": "nothing is left out of a conversation here; send a shorter one",
    "speed": "there is one speed, this machine's",
    "user_profile_id": "nothing depends on it: limits go by key",
    "workspace_id": "there are no workspaces: limits go by key",
}
"""Fields of Anthropic's that are taken and change nothing."""
NOT_USED_TO_ANSWER: dict[str, str] = {
    **NOT_USED,
    "diagnostics": "the usage of every answer says what came from the cache",
    "inference_geo": "there is one place, this machine",
    "service_tier": "there is one tier, on this machine",
}
"""The same, of those that say how to answer."""
REFUSED: dict[str, str] = {
    "container": "nothing is run here; offer a tool that does",
    "mcp_servers": "the server calls nobody; offer the tools of MCP servers as `tools` and call them yourself",
    "output_format": "pass `output_config: {format: …}` in its place",
    "fallbacks": "an answer is the asked model's or an error",
    "max_tokens_to_sample": "pass `max_tokens` in its place",
    "prompt": "pass `messages` in its place",
}
"""Fields that others know and that would change the answer: what to do in their place."""
Display = Literal["summarized", "omitted"]
SUMMARIZED = "the whole thinking is returned, not a summary of it"


class ThinkingOn(Ask):
    """Think for so many tokens at most."""

    type: Literal["enabled"]
    budget_tokens: Annotated[Whole, Field(ge=1, le=dial.MAX_BUDGET)]
    display: Display | None = None


class ThinkingAdaptive(Ask):
    """Think, for as long as `output_config.effort` says."""

    type: Literal["adaptive"]
    display: Display | None = None


class ThinkingOff(Ask):
    """Answer at once."""

    type: Literal["disabled"]


ThinkingConfig = Annotated[
    Annotated[ThinkingOn | ThinkingAdaptive | ThinkingOff, Field(discriminator="type")],
    refusing({"between_tools": "whether to think is one question for the whole answer; enabled, adaptive or disabled"}),
]


class SchemaFormat(Ask):
    """JSON that a schema accepts."""

    type: Literal["json_schema"]
    schema_: JsonData = Field(alias="schema")


class OutputConfig(Ask):
    """How much the model may think, and what form its answer must have."""

    effort: EffortName | None = None
    format: SchemaFormat | None = None


class Metadata(Ask):
    """On whose behalf."""

    UNUSED: ClassVar = {"user_id": "nothing depends on it: limits go by key"}

    user_id: str | None = None


class MessagePrompt(Ask):
    """What a message is an answer to: all that the model is given before its first word."""

    UNUSED: ClassVar = NOT_USED
    UNSUPPORTED: ClassVar = REFUSED

    model: str | None = None
    """Default: the first of `/v1/models`."""
    messages: Annotated[list[Turn], Field(min_length=1)]
    system: str | TextBlocks | None = None
    thinking: ThinkingConfig | None = None
    tools: CustomTools | None = None
    tool_choice: Choice | None = None
    output_config: OutputConfig | None = None

    cache_control: JsonData | None = None
    context_management: JsonData | None = None
    speed: str | None = None
    user_profile_id: str | None = None
    workspace_id: str | None = None


class MessageRequest(MessagePrompt):
    """Anthropic's message, with a seed."""

    UNUSED: ClassVar = NOT_USED_TO_ANSWER

    max_tokens: TokenLimit
    """Limit of thinking and answer together."""
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[Whole, Field(ge=0, le=MAX_TOKEN)] | None = None
    stop_sequences: Annotated[list[Stop], Field(max_length=MAX_STOPS)] | None = None
    seed: Annotated[Whole, Field(ge=0, le=MAX_SEED)] | None = None
    """Ours."""
    stream: bool | None = None
    metadata: Metadata | None = None

    diagnostics: JsonData | None = None
    inference_geo: str | None = None
    service_tier: str | None = None

    @property
    def show_thinking(self) -> bool:
        """Whether the thinking blocks have their text in them."""
        return _display(self.thinking) != "omitted"


def read_prompt(asked: MessagePrompt, default_think: str) -> tuple[ChatRequest, dict[str, Outcome]]:
    """What the model is asked, without the sampling, and what the receipt says beyond the engine's own outcomes.

    default_think: the dial's position where the request has none. Raises BadRequest.
    """
    messages, outcomes = read_turns(asked.messages)
    system, of_system = read_system(asked.system)
    tools, of_tools = read_tools(asked.tools)
    thinking, of_thinking = read_thinking(asked, default_think)
    form = asked.output_config and asked.output_config.format
    request = ChatRequest(
        messages=conversation(messages, system=system),
        thinking=thinking,
        tools=tools,
        tool_choice=read_choice(asked.tool_choice, asked.tools),
        shape=JsonSchema(form.schema_) if form else None,
    )
    return request, {**outcomes, **of_system, **of_tools, **of_thinking, **asked.unused()}


def read_message(
    asked: MessageRequest, default_think: str, betas: Sequence[str] = ()
) -> tuple[ChatRequest, dict[str, Outcome]]:
    """As `read_prompt`, and how to answer. betas: the values of the `anthropic-beta` header."""
    request, outcomes = read_prompt(asked, default_think)
    if isinstance(asked.thinking, ThinkingOn) and asked.thinking.budget_tokens >= asked.max_tokens:
        expected = f"less than max_tokens, which is {asked.max_tokens}: the answer needs room, too"
        raise InvalidParameter("thinking.budget_tokens", asked.thinking.budget_tokens, expected)
    if asked.temperature is None:
        outcomes["temperature"] = Outcome("applied", None, TEMPERATURE, "none was given: Anthropic's default")
    if asked.metadata:
        outcomes |= asked.metadata.unused("metadata.")
    if betas:
        why = "what a request may hold and what it means does not depend on it here"
        outcomes["anthropic-beta"] = Outcome("refused", ", ".join(betas), None, why)
    return replace(request, sampling=_sampling(asked)), outcomes


def read_system(system: str | Sequence[TextBlock] | None) -> tuple[str | None, dict[str, Outcome]]:
    """The system prompt, and what the receipt says of it.

    A billing header stands before it in requests of Claude Code and is new in each; left where it is, no prefix would
    ever be found in the cache again. It says nothing to a model.
    """
    if system is None:
        return None, {}
    if isinstance(system, str):
        return _without_billing(system, "system")
    texts: list[str] = []
    outcomes: dict[str, Outcome] = {}
    for number, block in enumerate(system):
        text, billing = _without_billing(block.text, f"system[{number}].text")
        outcomes |= billing | block.unused(f"system[{number}].")
        if text or not billing:
            texts.append(text)
    return "\n".join(texts), outcomes


def read_thinking(asked: MessagePrompt, default_think: str) -> tuple[Thinking, dict[str, Outcome]]:
    """The dial's position, and what the receipt says of it."""
    outcomes: dict[str, Outcome] = {}
    effort = asked.output_config.effort if asked.output_config else None
    config = asked.thinking
    if isinstance(config, ThinkingOff):
        if effort:
            why = "it says how long to think, and thinking is off"
            outcomes["output_config.effort"] = Outcome("refused", effort, None, why)
        return Thinking.parse("off"), outcomes
    if _display(config) == "summarized":
        outcomes["thinking.display"] = Outcome("refused", "summarized", None, SUMMARIZED)
    wishes = dial.effort("output_config.effort", effort)
    if config is not None:
        wishes += dial.switch("thinking.type", True)
    if isinstance(config, ThinkingOn):
        wishes += dial.budget("thinking.budget_tokens", config.budget_tokens)
    thinking = dial.combine(wishes)
    if thinking is None:
        thinking = Thinking.parse(default_think)
        outcomes["think"] = Outcome("applied", None, thinking.budget, "none was asked for: the server's default")
    return thinking, outcomes


def _display(config: ThinkingOn | ThinkingAdaptive | ThinkingOff | None) -> Display | None:
    return config.display if isinstance(config, ThinkingOn | ThinkingAdaptive) else None


def _without_billing(text: str, place: str) -> tuple[str, dict[str, Outcome]]:
    found = _BILLING.match(text)
    if not found:
        return text, {}
    why = "it is new in every request, so that no prefix would be found in the cache again, and says nothing to a model"
    return text[found.end() :], {f"{place} billing header": Outcome("refused", found[0].strip(), None, why)}


def _sampling(asked: MessageRequest) -> Sampling:
    names = ("top_p", "top_k", "seed")
    given: dict[str, Any] = {name: value for name in names if (value := getattr(asked, name)) is not None}
    return Sampling(
        temperature=TEMPERATURE if asked.temperature is None else asked.temperature,
        stop=tuple(asked.stop_sequences or ()),
        max_tokens=asked.max_tokens,
        **given,
    )
