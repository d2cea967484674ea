"""`/catalog`: what is on this machine, what it could have, and what would fit."""

from __future__ import annotations

from fastapi import APIRouter, Request

from limpide.server.context import stock_of
from limpide.server.wire.stock import CatalogReply, catalog_reply

router = APIRouter(tags=["models"])


@router.get("/catalog")
async def catalog(request: Request) -> CatalogReply:
    """Every model that is here or can be fetched, with predicted memory and speed, and licences in plain words.

    The first time, the machine is measured for half a second.
    """
    stock = stock_of(request)
    models = await stock.models()
    return catalog_reply(stock.room(), models)
