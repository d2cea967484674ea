"""A request as a question to a model, and what of it can't be applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from limpide.core.errors import BadRequest
from limpide.core.messages import Tool
from limpide.core.ports import ChatRequest
from limpide.core.receipt import Outcome
from limpide.core.sampling import Sampling
from limpide.core.shape import JsonObject, JsonSchema, Shape, ToolChoice
from limpide.core.thinking import Thinking
from limpide.server.responses.conversation import messages_of
from limpide.server.wire.responses import (
    InputItem,
    JsonObjectFormat,
    JsonSchemaFormat,
    MessageItem,
    NamedChoice,
    ResponsesRequest,
)

_ITEMS: TypeAdapter[list[InputItem]] = TypeAdapter(list[InputItem])
_EFFORTS = {"none": "off", "xhigh": "max"}
_WHY = {
    "max_tool_calls": "it counts calls of tools that the server runs; here the client runs them all",
    "prompt_cache_key": "prefixes are shared among all requests of a model, whatever their key",
    "prompt_cache_retention": "the cache keeps what fits in memory",
    "safety_identifier": "nothing is done with it",
    "service_tier": "there is one tier",
    "stream_options": "nothing is obfuscated",
    "user": "nothing is done with it",
}
"""Fields that clients send and that are not applied."""
_INCLUDES = {
    "message.output_text.logprobs": None,
    "reasoning.encrypted_content": "the thinking is returned as it is, not encrypted",
}
"""What `include` may ask for, and why it can't be had if so."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request, read. items: the input alone, in the API's form; refused: for the receipt."""

    chat: ChatRequest
    items: Sequence[dict[str, Any]]
    refused: dict[str, Outcome] = field(default_factory=dict)


def read_request(
    body: ResponsesRequest, *, earlier: Sequence[Any] = (), new_item_id: Any, default_think: str = "off"
) -> Question:
    """Translate a request; `earlier` are the items of the responses that it continues. Raises BadRequest."""
    items = [MessageItem(role="user", content=body.input)] if isinstance(body.input, str) else list(body.input)
    chat = ChatRequest(
        messages=messages_of([*_ITEMS.validate_python(earlier), *items], body.instructions),
        sampling=_sampling(body),
        thinking=_thinking(body, default_think),
        tools=tuple(Tool(t.name, t.description or "", t.parameters or {}) for t in body.tools or ()),
        tool_choice=_tool_choice(body),
        shape=_shape(body),
    )
    plain = [_stored(item, new_item_id) for item in items]
    return Question(chat, plain, _refused(body))


def _sampling(body: ResponsesRequest) -> Sampling:
    wanted = {"temperature": body.temperature, "top_p": body.top_p, "max_tokens": body.max_output_tokens}
    logprobs = body.top_logprobs
    if logprobs is None and "message.output_text.logprobs" in (body.include or ()):
        logprobs = 0
    return Sampling(logprobs=logprobs, **{name: value for name, value in wanted.items() if value is not None})  # type: ignore[arg-type]


def _thinking(body: ResponsesRequest, default: str) -> Thinking:
    effort = body.reasoning.effort if body.reasoning else None
    return Thinking.parse(default if effort is None else _EFFORTS.get(effort, effort))


def _tool_choice(body: ResponsesRequest) -> ToolChoice:
    names = {tool.name for tool in body.tools or ()}
    parallel = body.parallel_tool_calls is not False
    strict = frozenset(tool.name for tool in body.tools or () if tool.strict)
    choice = body.tool_choice
    if isinstance(choice, NamedChoice):
        if choice.name not in names:
            raise BadRequest(f"tool_choice names {choice.name[:100]!r}, which is not among the tools")
        return ToolChoice("required", choice.name, parallel, strict)
    if choice == "required" and not names:
        raise BadRequest("tool_choice is 'required', and there are no tools", expected="at least one tool")
    return ToolChoice(choice or "auto", None, parallel, strict)


def _shape(body: ResponsesRequest) -> Shape | None:
    match body.text and body.text.format:
        case JsonObjectFormat():
            return JsonObject()
        case JsonSchemaFormat(schema_=schema, name=name):
            return JsonSchema(schema, name)
        case _:
            return None


def _stored(item: InputItem, new_item_id: Any) -> dict[str, Any]:
    """An item as it is stored and listed: with an id, message content as parts."""
    plain: dict[str, Any] = item.model_dump(exclude_none=True, by_alias=True)
    if isinstance(item, MessageItem) and isinstance(item.content, str):
        kind = "output_text" if item.role == "assistant" else "input_text"
        plain["content"] = [{"type": kind, "text": item.content}]
    prefix = {"message": "msg_", "reasoning": "rs_", "function_call": "fc_"}.get(item.type, "fco_")
    return {"id": new_item_id(prefix), **plain}


def _refused(body: ResponsesRequest) -> dict[str, Outcome]:
    refused = {
        name: Outcome("refused", _plain(value), why=why)
        for name, why in _WHY.items()
        if (value := getattr(body, name)) is not None
    }
    for name in body.include or ():
        if name not in _INCLUDES:
            raise BadRequest(f"include can't be {name[:100]!r}", expected=" or ".join(_INCLUDES))
        if why := _INCLUDES[name]:
            refused[f"include {name}"] = Outcome("refused", name, why=why)
    if body.truncation == "auto":
        why = "nothing is ever cut off in silence; an input that is too long is an error"
        refused["truncation"] = Outcome("refused", "auto", "disabled", why)
    if body.reasoning and (summary := body.reasoning.summary or body.reasoning.generate_summary):
        refused["reasoning.summary"] = Outcome("refused", summary, why="the thinking itself is returned instead")
    if body.text and body.text.verbosity:
        refused["text.verbosity"] = Outcome("refused", body.text.verbosity, why="no model here has such a switch")
    return refused


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else value
