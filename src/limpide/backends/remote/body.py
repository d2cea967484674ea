"""Requests of the core as bodies of OpenAI's dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limpide.core.errors import InvalidParameter
from limpide.core.messages import Message
from limpide.core.ports import ChatRequest
from limpide.core.receipt import Outcome
from limpide.core.sampling import Sampling
from limpide.core.shape import Grammar, JsonObject, JsonSchema, Regex, Shape, ToolChoice
from limpide.core.thinking import Effort, Thinking

_OWN = ("top_k", "min_p", "repetition_penalty", "ignore_eos")
"""Not OpenAI's; most others take them. Sent only if they differ from what they are without being sent."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, and what a receipt says of what could not be."""

    fields: Mapping[str, Any]
    outcomes: Mapping[str, Outcome]


def chat_body(request: ChatRequest, model: str, *, limpide: bool) -> Body:
    """A conversation. limpide: whether the endpoint is one of ours and knows all that we know.

    Raises InvalidParameter for what the endpoint has no field for.
    """
    outcomes: dict[str, Outcome] = {}
    fields: dict[str, Any] = {"model": model, "messages": [_message(message) for message in request.messages]}
    fields |= _sampling(request.sampling)
    if request.sampling.logprobs is not None:
        fields["logprobs"] = True
        if request.sampling.logprobs:
            fields["top_logprobs"] = request.sampling.logprobs
    fields |= _own_dial(request.thinking) if limpide else _their_dial(request.thinking, outcomes)
    fields |= _tools(request, request.tool_choice)
    if request.shape is not None:
        fields["response_format"] = _format(request.shape, limpide=limpide)
    return Body({**fields, **_streamed()}, outcomes)


def completion_body(text: str, sampling: Sampling, shape: Shape | None, model: str, *, limit: int) -> Body:
    """Raw text. limit: how many tokens are asked for where the sampling has no limit; the dialect's own is 16."""
    if shape is not None:
        raise InvalidParameter("shape", type(shape).__name__, "nothing for raw text at an endpoint")
    fields: dict[str, Any] = {"model": model, "prompt": text, **_sampling(sampling), **_streamed()}
    fields.setdefault("max_tokens", limit)
    if sampling.logprobs is not None:
        fields["logprobs"] = sampling.logprobs
    return Body(fields, {})


def _streamed() -> dict[str, Any]:
    return {"stream": True, "stream_options": {"include_usage": True}}


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "content": message.content, "tool_call_id": message.tool_call_id or ""}
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.role == "assistant":
        if message.thinking:
            fields["reasoning_content"] = message.thinking
        if message.tool_calls:
            fields["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.tool_calls
            ]
    return fields


def _sampling(sampling: Sampling) -> dict[str, Any]:
    if sampling.n != 1:
        raise InvalidParameter("n", sampling.n, "1 through an address", hint="ask several times")
    fields: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p}
    default = Sampling()
    for name in (*_OWN, "frequency_penalty", "presence_penalty", "max_tokens", "seed"):
        if (value := getattr(sampling, name)) != getattr(default, name):
            fields[name] = value
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        fields["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    return fields


def _own_dial(thinking: Thinking) -> dict[str, Any]:
    if thinking.effort is not None:
        return {"reasoning_effort": str(thinking)}
    return {"thinking_token_budget": thinking.budget}


def _their_dial(thinking: Thinking, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """OpenAI's dial has names only, and none that every endpoint knows for off: there it is left out, and said so."""
    if not thinking.enabled:
        outcomes["think"] = Outcome("refused", "off", None, "the endpoint was not told: its model does what it does")
        return {}
    if thinking.effort is None:
        raise InvalidParameter(
            "think", thinking.budget, "a name: this endpoint has no budgets", hint="low, medium, high"
        )
    if thinking.effort is Effort.MAX:
        outcomes["think"] = Outcome("clamped", "max", "high", "the endpoint's dial ends there")
        return {"reasoning_effort": "high"}
    return {"reasoning_effort": str(thinking)}


def _tools(request: ChatRequest, choice: ToolChoice) -> dict[str, Any]:
    if not request.tools:
        return {}
    tools = []
    for tool in request.tools:
        function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters}
        if tool.description:
            function["description"] = tool.description
        if tool.name in choice.strict:
            function["strict"] = True
        tools.append({"type": "function", "function": function})
    chosen: Any = choice.mode
    if choice.name is not None:
        chosen = {"type": "function", "function": {"name": choice.name}}
    fields: dict[str, Any] = {"tools": tools, "tool_choice": chosen}
    return fields if choice.parallel else {**fields, "parallel_tool_calls": False}


def _format(shape: Shape, *, limpide: bool) -> dict[str, Any]:
    match shape:
        case JsonObject():
            return {"type": "json_object"}
        case JsonSchema(schema, name):
            named = {"name": name or "answer", "schema": schema, "strict": True}
            return {"type": "json_schema", "json_schema": named}
        case Regex(pattern) if limpide:
            return {"type": "regex", "pattern": pattern}
        case Grammar(text) if limpide:
            return {"type": "grammar", "grammar": text}
    raise InvalidParameter("shape", type(shape).__name__, "a JSON schema: this endpoint has no field for others")
