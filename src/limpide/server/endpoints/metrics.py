"""`/metrics`, for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from limpide.core.errors import NotFound
from limpide.server.metrics import CONTENT_TYPE, Metrics

router = APIRouter(tags=["server"])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "All that is measured.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", response_class=Response, responses=_TEXT)
async def metrics(request: Request) -> Response:
    """What is measured, in Prometheus' text format."""
    found: Metrics | None = getattr(request.app.state, "metrics", None)
    if found is None:
        raise NotFound("nothing is measured by this server")
    return Response(found.text(), headers={"content-type": CONTENT_TYPE})
