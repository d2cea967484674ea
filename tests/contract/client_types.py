"""The official clients' own types of requests, walked beside our schemas of the same requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from anthropic.types import message_count_tokens_params, message_create_params
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params
from pydantic import BaseModel
from typing_extensions import is_typeddict

from limpide.server.wire.base import Ask
from limpide.server.wire.chat_request import ChatCompletionRequest
from limpide.server.wire.completion_request import CompletionRequest
from limpide.server.wire.embeddings import EmbeddingRequest
from limpide.server.wire.message_request import MessagePrompt, MessageRequest
from limpide.server.wire.responses import ResponseRequest

REQUESTS: tuple[tuple[Any, type[Ask]], ...] = (
    (chat_create_params.CompletionCreateParamsBase, ChatCompletionRequest),
    (completion_create_params.CompletionCreateParamsBase, CompletionRequest),
    (embedding_create_params.EmbeddingCreateParams, EmbeddingRequest),
    (response_create_params.ResponseCreateParamsBase, ResponseRequest),
    (message_create_params.MessageCreateParamsBase, MessageRequest),
    (message_count_tokens_params.MessageCountTokensParams, MessagePrompt),
)
"""What the clients say can be sent, and what says so here."""
_TAGS = ("type", "role")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that a client may send in a field, for which there is no schema here."""

    owner: type[BaseModel]
    field: str
    value: dict[str, str]
    """As much of such an object as says its kind."""


def walk() -> Iterator[str | Kind]:
    """Paths of fields that the clients know and we don't, and kinds of objects that they know and we have no schema of.

    Where a field is plain JSON here, what is in it is not walked.
    """
    seen: set[tuple[Any, type[BaseModel]]] = set()
    for theirs, ours in REQUESTS:
        yield from _walk(ours.__name__, theirs, ours, seen)


def _walk(path: str, theirs: Any, ours: type[BaseModel], seen: set[tuple[Any, Any]]) -> Iterator[str | Kind]:
    if (theirs, ours) in seen or ours.model_config.get("extra") == "allow":
        return
    seen.add((theirs, ours))
    hints = get_type_hints(theirs)
    names = {field.alias or name: name for name, field in ours.model_fields.items()}
    for name, hint in hints.items():
        if name in names:
            here = [each for each in _leaves(get_type_hints(ours)[names[name]]) if _is_schema(each)]
            for kind in _leaves(hint):
                if is_typeddict(kind) and here:
                    yield from _kind(f"{path}.{name}", kind, (ours, name), here, seen)
        elif name not in getattr(ours, "UNSUPPORTED", {}):
            yield f"{path}.{name}"


def _kind(path: str, theirs: Any, at: tuple[type, str], here: list[Any], seen: set[Any]) -> Iterator[str | Kind]:
    tag = next((tag for tag in _TAGS if tag in theirs.__annotations__ or tag in get_type_hints(theirs)), None)
    if tag is None:
        for schema in here:
            yield from _walk(path, theirs, schema, seen)
        return
    values = _literals(get_type_hints(theirs)[tag])
    found = [s for s in here if tag not in s.model_fields or values & _literals(get_type_hints(s)[tag])]
    for schema in found:
        yield from _walk(path, theirs, schema, seen)
    if not found:
        yield from (Kind(*at, {tag: value}) for value in sorted(values))


def _leaves(hint: Any) -> Iterator[Any]:
    if is_typeddict(hint) or _is_schema(hint):
        yield hint
    for argument in get_args(hint):
        yield from _leaves(argument)


def _literals(hint: Any) -> set[str]:
    if isinstance(hint, str):
        return set()
    found = {argument for argument in get_args(hint) if isinstance(argument, str)}
    return found.union(*(_literals(argument) for argument in get_args(hint)))


def _is_schema(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)
