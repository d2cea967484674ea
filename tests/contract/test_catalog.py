"""The catalog names what other parts know: dialects, and architectures that have a family."""

from __future__ import annotations

import pytest

from limpide.hub import CATALOG, CatalogEntry
from limpide.models.registry import FAMILIES
from limpide.text.thinking_dialects import DIALECTS

ENTRIES = pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG.keys())
COMPUTED = {name for family in FAMILIES for name in family.gguf_architectures}


@ENTRIES
def test_the_dialect_can_do_what_the_catalog_says(entry: CatalogEntry) -> None:
    assert DIALECTS[entry.dialect].capability is entry.thinking


@ENTRIES
def test_the_architecture_is_computed(entry: CatalogEntry) -> None:
    assert entry.architecture in COMPUTED
