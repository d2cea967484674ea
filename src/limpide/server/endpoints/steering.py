"""What can be told to an answer while it is being written, by the id that its stream begins with."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request

from limpide.server.context import answers_of, caller_of
from limpide.server.wire.base import Reply
from limpide.server.wire.message_errors import MESSAGE_ERROR_RESPONSES

router = APIRouter()

_Kind = Literal["chat.completion.told", "message.told", "response.told"]


class Told(Reply):
    """The answer was told; what follows from it comes in its stream."""

    id: str
    object: _Kind
    told: Literal["stop-thinking", "cancel"]


@router.post("/v1/chat/completions/{id}/stop-thinking", tags=["chat"])
async def stop_chat_thinking(request: Request, id: str) -> Told:  # noqa: A002 - the name in the path
    """Have the model stop thinking at its next token and answer."""
    return _stop_thinking(request, id, "chat.completion.told")


@router.post("/v1/messages/{id}/stop-thinking", tags=["messages"], responses=MESSAGE_ERROR_RESPONSES)
async def stop_message_thinking(request: Request, id: str) -> Told:  # noqa: A002
    """Have the model stop thinking at its next token and answer."""
    return _stop_thinking(request, id, "message.told")


@router.post("/v1/responses/{id}/stop-thinking", tags=["responses"])
async def stop_response_thinking(request: Request, id: str) -> Told:  # noqa: A002
    """Have the model stop thinking at its next token and answer; in the background, too."""
    return _stop_thinking(request, id, "response.told")


@router.post("/v1/chat/completions/{id}/cancel", tags=["chat"])
async def cancel_chat(request: Request, id: str) -> Told:  # noqa: A002
    """End the answer where it is. Its stream ends in the usual way, with what was written so far."""
    return _cancel(request, id, "chat.completion.told")


@router.post("/v1/messages/{id}/cancel", tags=["messages"], responses=MESSAGE_ERROR_RESPONSES)
async def cancel_message(request: Request, id: str) -> Told:  # noqa: A002
    """End the message where it is. Its stream ends in the usual way, with what was written so far."""
    return _cancel(request, id, "message.told")


def _stop_thinking(request: Request, name: str, kind: _Kind) -> Told:
    answers_of(request).find(name, caller_of(request)).stop_thinking()
    return Told(id=name, object=kind, told="stop-thinking")


def _cancel(request: Request, name: str, kind: _Kind) -> Told:
    answers_of(request).find(name, caller_of(request)).abort()
    return Told(id=name, object=kind, told="cancel")
