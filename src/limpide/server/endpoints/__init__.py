"""One file per endpoint, and the table of them all."""

from __future__ import annotations

from fastapi import APIRouter

from limpide.server.endpoints import chat_completions, health, models

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    models.router,
    chat_completions.router,
)
