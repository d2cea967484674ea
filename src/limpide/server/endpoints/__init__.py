"""One file per endpoint, and the table of them all."""

from __future__ import annotations

from fastapi import APIRouter

from limpide.server.endpoints import (
    batches,
    catalog,
    chat_completions,
    completions,
    embeddings,
    files,
    health,
    loading,
    messages,
    metrics,
    models,
    pulls,
    responses,
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
    responses.router,
    files.router,
    batches.router,
    messages.router,
    catalog.router,
    pulls.router,
    loading.router,
)
