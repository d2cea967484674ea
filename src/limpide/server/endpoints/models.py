"""`/v1/models`: what can be asked for, and what it can do."""

from __future__ import annotations

from difflib import get_close_matches

from fastapi import APIRouter, Request

from limpide.core.errors import UnknownModel
from limpide.server.context import host_of
from limpide.server.wire.models import ModelList, ModelReply, model_list, model_reply

router = APIRouter(tags=["models"])


@router.get("/v1/models")
async def list_models(request: Request) -> ModelList:
    """Every model that can be asked for; the first answers requests that name none."""
    return model_list(host_of(request).offers())


@router.get("/v1/models/{model:path}")
async def retrieve_model(request: Request, model: str) -> ModelReply:
    """One model."""
    offers = {offer.name: offer for offer in host_of(request).offers()}
    if model not in offers:
        near = get_close_matches(model, offers, n=3) or list(offers)[:3]
        raise UnknownModel(f"no model here is called {model[:80]!r}", hint=", ".join(near))
    return model_reply(offers[model])
