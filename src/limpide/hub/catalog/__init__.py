"""The models that Limpide knows by name: one file per publisher, one entry per model."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from limpide.hub.catalog import deepseek, google, huggingface, ibm, meta, microsoft, mistral, openai, qwen, reka
from limpide.hub.catalog.entry import CatalogEntry, HubEntry, PinnedEntry

__all__ = ["CATALOG", "DEFAULT_MODEL", "CatalogEntry", "HubEntry", "PinnedEntry", "nearest"]

DEFAULT_MODEL = "smollm2-135m"

_ALL: tuple[CatalogEntry, ...] = (
    *huggingface.MODELS,
    *google.MODELS,
    *qwen.MODELS,
    *meta.MODELS,
    *mistral.MODELS,
    *deepseek.MODELS,
    *openai.MODELS,
    *ibm.MODELS,
    *microsoft.MODELS,
    *reka.MODELS,
)

CATALOG: dict[str, CatalogEntry] = {entry.name: entry for entry in _ALL}


def nearest(name: str, names: Iterable[str] = CATALOG) -> list[str]:
    """Up to three catalog names most like `name`, the best first; a part of a name counts as like it."""
    wanted = name.lower()
    known = list(names)
    within = [k for k in known if wanted and (wanted in k or k in wanted)]
    alike = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
    return list(dict.fromkeys([*within, *alike]))[:3]
