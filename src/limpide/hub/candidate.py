"""What is known of a model before it is loaded: from the catalog, or from the header of a checkpoint that is here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpide.hub.catalog import CATALOG, CatalogEntry, HubEntry
from limpide.hub.reference import PREFIX, HubReference, cached, describe
from limpide.hub.resolve import local_model, where_is
from limpide.hub.shape import ModelShape, context_from_config, shape_from_config, text_config
from limpide.hub.speed import KERNEL_TYPES, MODEL_TYPES, Work, expanding, slowed_by, stored_slowly
from limpide.hub.store import Store

_LEGACY_EXPERT = re.compile(r"blk\.\d+\.ffn_(gate|up|down)\.\d+\.weight")
_MATTERS = 0.02
"""Share of the weights below which a type without a kernel is not worth a word: routers, convolutions."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a model before it is loaded, perhaps before it is fetched."""

    name: str
    file_bytes: int
    work: Work
    """What one generated token needs."""
    shape: ModelShape | None
    """None if only the size is known; then the cache and the prompt's speed can't be predicted."""
    context: int | None
    download_bytes: int
    """0 if it is here."""
    slowed: tuple[str, ...] = ()
    """Why the kernels can't do all of it."""
    size_is_estimate: bool = False


def look_at(reference: str, *, offline: bool = False, store: Store | None = None) -> Candidate:
    """What can be known of a model without fetching it."""
    if entry := CATALOG.get(reference):
        here = where_is(entry, store or Store())
        if here is not None and isinstance(entry, HubEntry):
            return _look_into(entry.name, here)
        return of_catalog(entry, download=here is None)
    if reference.startswith(PREFIX):
        hub_reference = HubReference.parse(reference)
        if found := cached(hub_reference):
            return _look_into(str(hub_reference), found.path)
        remote = describe(hub_reference, offline=offline)
        return Candidate(str(hub_reference), remote.size_bytes, Work(remote.size_bytes), None, None, remote.size_bytes)
    path = local_model(reference)
    return _look_into(path.name, path)


def of_catalog(entry: CatalogEntry, *, download: bool = True) -> Candidate:
    """What the catalog alone says of a model."""
    size, shape = entry.size_bytes, entry.shape
    idle = shape.idle_parameters if shape else 0
    read = round(size * (1 - idle / entry.parameters))
    slowed = slowed_by(entry.architecture, experts=shape.experts if shape else 0)
    work = Work(read)
    if entry.dominant_type not in KERNEL_TYPES:
        slowed = (*slowed, stored_slowly(entry.dominant_type))
        work = Work(read, read, expanding(entry.parameters - idle, entry.dominant_type))
    return Candidate(
        name=entry.name,
        file_bytes=size,
        work=work,
        shape=shape,
        context=entry.context,
        download_bytes=size if download else 0,
        slowed=slowed,
        size_is_estimate=isinstance(entry, HubEntry),
    )


def _look_into(name: str, path: Path) -> Candidate:
    """Read the header of a checkpoint that is here."""
    from limpide.formats import open_checkpoint

    with open_checkpoint(path) as checkpoint:
        config, tensors = checkpoint.config, checkpoint.tensors
        numbers = {t.name: _count(t.shape) * _numbers_each(t.name, config) for t in tensors.values()}
        shape = shape_from_config(config, sum(numbers.values()))
        used = shape.experts_used / shape.experts if shape and shape.experts and shape.experts_used else 1.0
        untied = "output.weight" in tensors or "lm_head.weight" in tensors
        looked_up = ("token_embd.weight", "model.embed_tokens.weight") if untied else ()
        read = slow = cost = 0.0
        types = set()
        for tensor in tensors.values():
            share = 0.0 if tensor.name in looked_up else used if _of_experts(tensor.name) else 1.0
            read += share * tensor.nbytes
            if share and len(tensor.shape) > 1 and tensor.format not in KERNEL_TYPES:
                types.add(tensor.format)
                slow += share * tensor.nbytes
                cost += expanding(share * numbers[tensor.name], tensor.format)
        total = sum(t.nbytes for t in tensors.values())
        slowed = (*_slowed(config, shape), *_slow_types(types, slow / max(1.0, read)))
        context = context_from_config(config)
    return Candidate(name, total, Work(round(read), round(slow), cost), shape, context, 0, slowed)


def _slow_types(types: set[str], share: float) -> tuple[str, ...]:
    return tuple(stored_slowly(name) for name in sorted(types)) if share > _MATTERS else ()


def _slowed(config: Mapping[str, Any], shape: ModelShape | None) -> tuple[str, ...]:
    """What of a checkpoint's blocks the kernels don't know."""
    architecture = config.get("general.architecture")
    if architecture is None:
        model_type = text_config(config).get("model_type")
        architecture = MODEL_TYPES.get(model_type, "") if isinstance(model_type, str) else ""
    slowed = slowed_by(str(architecture), experts=shape.experts if shape else 0)
    turned = config.get(f"{architecture}.rope.dimension_count")
    if not slowed and shape and isinstance(turned, int) and turned < shape.head_dim:
        slowed = ("positions on a part of each head",)
    return slowed


def _of_experts(name: str) -> bool:
    """Whether a tensor belongs to some experts only, in any way that files name them."""
    return "_exps" in name or ".experts." in name or _LEGACY_EXPERT.fullmatch(name) is not None


def _numbers_each(name: str, config: Mapping[str, Any]) -> int:
    """How many of a matrix's numbers one stored element of a tensor holds."""
    settings = config.get("quantization_config")
    bits = settings.get("bits") if isinstance(settings, Mapping) else None
    if name.endswith(".qweight"):
        return 32 // bits if bits in (4, 8) else 8
    return 2 if name.endswith("_blocks") else 1


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total
