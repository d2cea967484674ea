"""`/health`: whether anybody is there."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from limpide.server.wire.base import Reply

router = APIRouter(tags=["server"])


class Health(Reply):
    """The server takes requests."""

    status: Literal["ok"] = "ok"


@router.get("/health")
async def health() -> Health:
    """Answers as soon as requests are taken; models are loaded when they are needed."""
    return Health()
