"""A request as a question to a model, and what of it can't be applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from limpide.core.errors import InvalidParameter
from limpide.core.ports import ChatRequest
from limpide.core.receipt import Outcome
from limpide.core.sampling import Sampling
from limpide.core.shape import JsonObject, JsonSchema, Shape
from limpide.core.thinking import Thinking
from limpide.server.limits import check_schema
from limpide.server.responses.conversation import messages_of
from limpide.server.responses.tools import read_choice, read_tools
from limpide.server.wire.responses import (
    InputItem,
    InputMessage,
    JsonObjectForm,
    JsonSchemaForm,
    ResponseRequest,
)
from limpide.server.wire.sampling import OPENAI_DEFAULTS

_ITEMS: TypeAdapter[list[InputItem]] = TypeAdapter(list[InputItem])
_LOGPROBS = "message.output_text.logprobs"
_INCLUDES = {
    _LOGPROBS: None,
    "reasoning.encrypted_content": "the thinking is returned as it is, not encrypted",
}
"""What `include` may ask for; why it can't be had, if so."""
_PREFIXES = {"message": "msg_", "reasoning": "rs_", "function_call": "fc_", "function_call_output": "fco_"}


@dataclass(frozen=True, slots=True)
class Question:
    """A request, read. items: its input alone, in the API's form; outcomes: for the receipt, beyond the engine's."""

    chat: ChatRequest
    items: Sequence[dict[str, Any]]
    outcomes: Mapping[str, Outcome]


def read_request(
    asked: ResponseRequest, *, earlier: Sequence[Any] = (), new_id: Callable[[str], str], default_think: str = "off"
) -> Question:
    """Translate a request; `earlier` are the items of the responses that it continues. Raises BadRequest."""
    items = [InputMessage(role="user", content=asked.input)] if isinstance(asked.input, str) else list(asked.input)
    outcomes = _outcomes(asked)
    thinking = asked.dial()
    if thinking is None:
        thinking = Thinking.parse(default_think)
        outcomes["think"] = Outcome("applied", None, thinking.budget, "none was asked for: the server's default")
    tools, of_tools = read_tools(asked.tools)
    chat = ChatRequest(
        messages=messages_of([*_ITEMS.validate_python(earlier), *items], asked.instructions),
        sampling=_sampling(asked),
        thinking=thinking,
        tools=tools,
        tool_choice=read_choice(asked.tool_choice, asked.tools, asked.parallel_tool_calls),
        shape=_shape(asked),
    )
    outcomes |= of_tools | _of_items(items)
    return Question(chat, [_listed(item, new_id) for item in items], outcomes)


def _sampling(asked: ResponseRequest) -> Sampling:
    names = ("temperature", "top_p", "top_k", "min_p", "seed")
    values = {name: OPENAI_DEFAULTS.get(name) if (v := getattr(asked, name)) is None else v for name in names}
    given: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    logprobs = asked.top_logprobs
    if logprobs is None and _LOGPROBS in (asked.include or ()):
        logprobs = 0
    return Sampling(max_tokens=asked.max_output_tokens, logprobs=logprobs, **given)


def _shape(asked: ResponseRequest) -> Shape | None:
    match asked.text and asked.text.format:
        case JsonObjectForm():
            return JsonObject()
        case JsonSchemaForm(schema_=schema, name=name):
            check_schema(schema)
            return JsonSchema(schema, name)
        case _:
            return None


def _listed(item: InputItem, new_id: Callable[[str], str]) -> dict[str, Any]:
    """An item as it is stored and listed: with an id, and a message's content as parts."""
    plain: dict[str, Any] = item.model_dump(exclude_none=True)
    if isinstance(item, InputMessage) and isinstance(item.content, str):
        kind = "output_text" if item.role == "assistant" else "input_text"
        plain["content"] = [{"type": kind, "text": item.content}]
    return {"id": new_id(_PREFIXES[item.type]), **plain}


def _of_items(items: Sequence[InputItem]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for number, item in enumerate(items):
        outcomes |= item.unused(f"input[{number}].")
        for name in ("content", "output"):
            parts = getattr(item, name, None)
            for at, part in enumerate(parts if isinstance(parts, list) else ()):
                outcomes |= part.unused(f"input[{number}].{name}[{at}].")
    return outcomes


def _outcomes(asked: ResponseRequest) -> dict[str, Outcome]:
    outcomes = asked.unused()
    nested = ((asked.stream_options, "stream_options."), (asked.reasoning, "reasoning."), (asked.text, "text."))
    for field, prefix in nested:
        outcomes |= field.unused(prefix) if field else {}
    for name in asked.include or ():
        if name not in _INCLUDES:
            raise InvalidParameter("include", name[:80], " or ".join(_INCLUDES))
        if why := _INCLUDES[name]:
            outcomes[f"include {name}"] = Outcome("refused", name, None, why)
    if asked.truncation == "auto":
        why = "nothing is ever left out in silence; an input that is too long is an error"
        outcomes["truncation"] = Outcome("refused", "auto", "disabled", why)
    for name in ("temperature", "top_p"):
        if getattr(asked, name) is None:
            value = OPENAI_DEFAULTS[name]
            outcomes[name] = Outcome("applied", None, value, "none was given: OpenAI's default")
    form = asked.text and asked.text.format
    if isinstance(form, JsonSchemaForm):
        outcomes |= _form_outcomes(form)
    return outcomes


def _form_outcomes(form: JsonSchemaForm) -> dict[str, Outcome]:
    outcomes = {}
    if form.description is not None:
        why = "the model is not shown the schema's description; say it in the prompt"
        outcomes["text.format.description"] = Outcome("refused", form.description, None, why)
    if form.strict is False:
        outcomes["text.format.strict"] = Outcome("clamped", False, True, "a schema is always enforced")
    return outcomes
