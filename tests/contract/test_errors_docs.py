"""Every error has a page, every page has its error, and what the page states is true."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpide.cli.explain import pages
from limpide.core import errors
from limpide.core.errors import LimpideError

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "errors"


def subclasses(of: type[LimpideError]) -> Iterator[type[LimpideError]]:
    for cls in of.__subclasses__():
        yield cls
        yield from subclasses(cls)


ERRORS = sorted(
    {cls for cls in subclasses(LimpideError) if cls.__module__.startswith("limpide.")}, key=lambda c: c.__name__
)


def slug_of(cls: type[LimpideError]) -> str:
    return cls.__new__(cls).slug


def test_pages_and_errors_match_both_ways() -> None:
    assert {page.stem for page in FOLDER.glob("*.md")} - {"index"} == {slug_of(cls) for cls in ERRORS}


def test_errors_live_in_core() -> None:
    assert {cls.__module__ for cls in ERRORS} == {errors.__name__}


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_page(cls: type[LimpideError]) -> None:
    text = (FOLDER / f"{slug_of(cls)}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {cls.__name__}\n")
    assert (
        f"Exit code {cls.exit_code} · HTTP status {cls.http_status} · Python `{cls.__module__}.{cls.__name__}`" in text
    )
    assert "\n## Why\n" in text
    assert re.search(r"\n## What to do\n\n- ", text)
    assert inspect.getdoc(cls), "the class says what it is"
    assert cls.exit_code not in (0, 130)


def test_index_lists_every_page() -> None:
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    for cls in ERRORS:
        assert f"| [{slug_of(cls)}]({slug_of(cls)}.md) | {cls.exit_code} |" in index


def test_explain_finds_the_pages() -> None:
    assert pages().keys() == {slug_of(cls) for cls in ERRORS}
