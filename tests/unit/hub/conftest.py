"""A machine of its own for each test: empty caches, and a package index in a directory."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from limpide.hub import Store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("LIMPIDE_", "HF_", "HUGGINGFACE_", "XDG_", "PIP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIMPIDE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "home"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which pip, and nowhere else, finds its wheels."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


@pytest.fixture
def store(home: Path) -> Store:
    return Store()


@pytest.fixture(scope="session")
def data() -> bytes:
    """What stands for a model file: 300 kB that don't compress."""
    return b"GGUF" + random.Random(1).randbytes(300_000)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a socket or starts a program fails the test."""
    import socket
    import subprocess

    def forbidden(*args: object, **options: object) -> None:
        pytest.fail("offline, and yet something went out")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
