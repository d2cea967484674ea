"""The two real models, for every test that needs one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from limpide.core.errors import DownloadFailed, OfflineError
from limpide.hub import Acceptances, resolve

os.environ["LIMPIDE_HERE"] = "1"
"""A server that the person runs beside the tests is none of theirs; those that are about it say so."""


def _real_model(name: str, state: Path) -> Path:
    """A model in the user's own cache, so that it is fetched once per machine and not once per run.

    The tests use Gemma under its terms (see `limpide models show gemma3-270m`), and that they do is not remembered as
    the user's own acceptance.
    """
    try:
        return resolve(name, accept_licences={"gemma"}, acceptances=Acceptances(state / "accepted.json")).path
    except (OfflineError, DownloadFailed) as error:
        pytest.skip(f"{name} is not here and can't be fetched: {error.what}")


@pytest.fixture(scope="session")
def smollm2_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct, Q4_1."""
    return _real_model("smollm2-135m", tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def gemma3_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gemma 3 270M, the base model, Q4_K_M."""
    return _real_model("gemma3-270m", tmp_path_factory.mktemp("state"))
