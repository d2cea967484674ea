"""`/load` and `/unload`: models into memory and out of it, without a question."""

from __future__ import annotations

from fastapi import APIRouter, Request

from limpide.core.errors import UnknownModel
from limpide.server.context import allow_model, host_of, stock_of
from limpide.server.wire.stock import LoadReply, LoadRequest

router = APIRouter(tags=["models"])


@router.post("/load")
async def load(request: Request, body: LoadRequest) -> LoadReply:
    """Load a model, and say what that did to the server's memory. Models that nobody uses make room for it."""
    allow_model(request, body.model)
    before = _resident(request)
    async with host_of(request).use(body.model):
        pass
    return _reply(request, body.model, before)


@router.post("/unload")
async def unload(request: Request, body: LoadRequest) -> LoadReply:
    """Give a model's memory back. One that is in use stays; it is loaded again when somebody asks for it."""
    allow_model(request, body.model)
    before = _resident(request)
    await host_of(request).unload(body.model)
    return _reply(request, body.model, before)


def _reply(request: Request, model: str, before: int | None) -> LoadReply:
    state = next((offer.state for offer in host_of(request).offers() if offer.name == model), None)
    if state is None:
        raise UnknownModel(f"no model here is called {model[:80]!r}")
    return LoadReply(model=model, state=state, resident_before=before, resident_after=_resident(request))


def _resident(request: Request) -> int | None:
    room = stock_of(request).room()
    return room.resident if room else None
