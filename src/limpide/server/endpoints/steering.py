"""What can be told to a chat completion while it is being written, by the id in its chunks."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request

from limpide.server.context import answers_of, caller_of
from limpide.server.wire.base import Reply

router = APIRouter(tags=["chat"])


class Told(Reply):
    """The answer was told; what follows from it comes in its stream."""

    id: str
    object: Literal["chat.completion.told"] = "chat.completion.told"
    told: Literal["stop-thinking", "cancel"]


@router.post("/v1/chat/completions/{id}/stop-thinking")
async def stop_thinking(request: Request, id: str) -> Told:  # noqa: A002 - the name in the path
    """Have the model stop thinking at its next token and answer."""
    answers_of(request).find(id, caller_of(request)).stop_thinking()
    return Told(id=id, told="stop-thinking")


@router.post("/v1/chat/completions/{id}/cancel")
async def cancel(request: Request, id: str) -> Told:  # noqa: A002
    """End the answer where it is. Its stream ends in the usual way, with what was written so far."""
    answers_of(request).find(id, caller_of(request)).abort()
    return Told(id=id, told="cancel")
