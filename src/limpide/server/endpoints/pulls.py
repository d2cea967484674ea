"""`/pulls`: models on their way here."""

from __future__ import annotations

from fastapi import APIRouter, Request

from limpide.core.errors import NotFound
from limpide.core.stock import Pull
from limpide.server.context import allow_model, stock_of
from limpide.server.wire.stock import PullList, PullReply, PullRequest, pull_reply

router = APIRouter(tags=["models"])


@router.post("/pulls")
async def start_pull(request: Request, body: PullRequest) -> PullReply:
    """Have a model fetched, if it is not here, and served from then on. A pull of the same model is joined.

    It goes on when the client leaves; `/pulls/{pull_id}` tells how far it is.
    """
    allow_model(request, body.model)
    return pull_reply(await stock_of(request).pull(body.model, body.accept_licences or ()))


@router.get("/pulls")
async def list_pulls(request: Request) -> PullList:
    """Those on their way, and the last of each model that came to an end."""
    return PullList(data=[pull_reply(pull) for pull in stock_of(request).pulls()])


@router.get("/pulls/{pull_id}")
async def get_pull(request: Request, pull_id: str) -> PullReply:
    """How far a pull is."""
    return pull_reply(_found(request, pull_id))


@router.post("/pulls/{pull_id}/cancel")
async def cancel_pull(request: Request, pull_id: str) -> PullReply:
    """Stop a pull. Nothing that is not whole counts as here; a later pull goes on from what has come, if it can."""
    allow_model(request, _found(request, pull_id).model)
    return pull_reply(stock_of(request).cancel(pull_id))


def _found(request: Request, pull_id: str) -> Pull:
    for pull in stock_of(request).pulls():
        if pull.id == pull_id:
            return pull
    raise NotFound(f"no pull is called {pull_id[:80]!r}", hint="the last pull of each model is remembered")
