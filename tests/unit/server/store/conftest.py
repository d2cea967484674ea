from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from limpide.server.store import Database

T = TypeVar("T")


class Loop:
    """Runs coroutines of a test one after another on one loop."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __call__(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def close(self) -> None:
        self._runner.close()


@pytest.fixture
def run() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "server.db"


@pytest.fixture
def database(path: Path, run: Loop) -> Iterator[Database]:
    database = Database(path, busy_seconds=0.2)
    yield database
    run(database.close())
