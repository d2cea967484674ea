"""One file per endpoint, and the table of them all."""

from __future__ import annotations

from fastapi import APIRouter

from limpide.server.endpoints import (
    chat_completions,
    completions,
    embeddings,
    health,
    metrics,
    models,
    score,
    steering,
    tokens,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    models.router,
    chat_completions.router,
    steering.router,
    completions.router,
    embeddings.router,
    tokens.router,
    score.router,
    metrics.router,
)
