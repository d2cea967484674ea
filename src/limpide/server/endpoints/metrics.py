"""`/metrics`, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from limpide.core.errors import NotFound
from limpide.server.metrics import CONTENT_TYPE, Metrics

router = APIRouter(tags=["server"])


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> PlainTextResponse:
    """What is measured, in Prometheus' text format."""
    found: Metrics | None = getattr(request.app.state, "metrics", None)
    if found is None:
        raise NotFound("nothing is measured by this server")
    return PlainTextResponse(found.text(), headers={"content-type": CONTENT_TYPE})
