"""An app that echoes, and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from asgi_client import Echo

from limpide.server.access import Key, KeyRules, KeyStore, new_key


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def store(tmp_path: Path) -> Iterable[KeyStore]:
    with KeyStore(tmp_path / "config" / "keys.sqlite") as opened:
        yield opened


@pytest.fixture
def make_key(store: KeyStore) -> Callable[..., tuple[str, Key]]:
    """A key in the store: its text and what is stored."""

    def make(name: str = "alice", **rules: Any) -> tuple[str, Key]:
        text, key = new_key(name, KeyRules(**rules))
        store.add(key)
        return text, key

    return make
