"""The page in a real browser (see ../conftest.py), against the real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from page_server import serving
from reader import Reader

from limpide.backends.fake import FakeBackend
from limpide.backends.pool import ModelPool, Source
from limpide.server.guards import Guards


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serves scripted models with the page, and gives the URL: `serve(fake=FakeBackend(…))`."""
    with ExitStack() as running:

        def start(*, guards: Guards | None = None, port: int = 0, **backends: FakeBackend) -> str:
            sources = [Source(name, lambda b=b: b, lambda: 0) for name, b in backends.items()]  # type: ignore[misc]
            return running.enter_context(serving(ModelPool(sources, memory=1), guards or Guards(), port))

        yield start


@pytest.fixture
def read(driver: Any) -> Iterator[Callable[[str], Reader]]:
    """Opens the page at a URL. In the end nothing may have gone wrong in it, and no policy been broken."""
    opened: list[Reader] = []

    def open_page(url: str) -> Reader:
        driver.get_log("browser")
        opened.append(Reader(driver, url))
        return opened[-1]

    yield open_page
    for reader in opened:
        reader.check_log()
    driver.get("about:blank")
