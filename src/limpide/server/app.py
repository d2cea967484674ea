"""The application: a host of models and settings in, ASGI out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from limpide import __version__
from limpide.core.hosting import Host
from limpide.core.stock import Stock
from limpide.server import errors, guards, openapi
from limpide.server.endpoints import ROUTERS
from limpide.server.kept import Kept
from limpide.server.no_stock import NoStock
from limpide.server.page import Page
from limpide.server.running import RunningAnswers
from limpide.server.settings import ServerSettings
from limpide.server.wire.errors import ERROR_RESPONSES


def create_app(
    host: Host,
    settings: ServerSettings | None = None,
    guard: guards.Guards | None = None,
    stock: Stock | None = None,
) -> FastAPI:
    """The whole API over these models. When the application shuts down, pulls are stopped and the host is drained.

    guard: who may ask, and what is measured and written down. Without it nothing stands before the endpoints, which
    is for tests and for an application around this one that sees to all that itself; `limpide serve` always has it.
    stock: what else could be served; without one, nothing.
    """
    settings = settings or ServerSettings()

    @asynccontextmanager
    async def lifespan(served: FastAPI) -> AsyncIterator[None]:
        await kept.start()
        yield
        await kept.pause()
        await served.state.stock.aclose()
        await served.state.host.drain(settings.drain_seconds)
        await kept.close()

    # No page that would load scripts from elsewhere: the OpenAPI document alone.
    app = FastAPI(
        title="Limpide",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=ERROR_RESPONSES,
    )
    page = Page(settings.page) if settings.page else None
    app.state.host = guards.install(app, host, guard, page.paths if page else ()) if guard else host
    app.state.stock = stock or NoStock()
    app.state.settings = settings
    app.state.answers = RunningAnswers()
    app.state.kept = kept = Kept(app, settings)
    errors.install(app)
    openapi.install(app)
    for router in ROUTERS:
        app.include_router(router)
    if page:
        app.include_router(page.router())
    return app
