"""What the weights' own metadata and the catalog say of a model, for its card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limpide import __version__
from limpide.cards import LicenceFacts, ModelFacts, StoredFormat
from limpide.formats import open_checkpoint
from limpide.formats.base import TensorInfo
from limpide.hub import resolve
from limpide.hub.candidate import look_at
from limpide.hub.licences import Licence


def facts_of(reference: str, *, offline: bool, accept_licence: Sequence[str]) -> ModelFacts:
    """Find a model and read its header; every byte is read once where its hash is not known. Raises LimpideError."""
    from limpide.cli.progress import watch

    with watch() as progress:
        located = resolve(reference, offline=offline, accept_licences=accept_licence, progress=progress)
    known = look_at(str(located.path), offline=True)  # the file itself, not what the catalog says of it
    shape, entry = known.shape, located.entry
    with open_checkpoint(located.path) as checkpoint:
        config = checkpoint.config
        return ModelFacts(
            name=located.name,
            title=entry.title if entry else _text(config.get("general.name")) or located.name,
            publisher=entry.publisher if entry else None,
            container=checkpoint.kind,
            architecture=_text(config.get("general.architecture") or config.get("model_type")) or "not stated",
            layers=shape.layers if shape else None,
            hidden=shape.hidden if shape else None,
            vocabulary=shape.vocabulary if shape else None,
            experts=(shape.experts or None) if shape else None,
            parameters=shape.parameters if shape else None,
            context=known.context,
            formats=_formats(list(checkpoint.tensors.values())),
            weights_sha256=located.sha256 or checkpoint.sha256,
            licences=tuple(map(_licence, entry.licences)) if entry else (),
            stated_licence=_text(config.get("general.license")) or (None if entry else located.licence),
            made_with=f"limpide {__version__}",
        )


def _formats(tensors: Sequence[TensorInfo]) -> tuple[StoredFormat, ...]:
    names = {tensor.format for tensor in tensors}
    found = [[tensor.nbytes for tensor in tensors if tensor.format == name] for name in sorted(names)]
    made = [StoredFormat(name, len(each), sum(each)) for name, each in zip(sorted(names), found, strict=True)]
    return tuple(sorted(made, key=lambda each: -each.bytes))


def _licence(licence: Licence) -> LicenceFacts:
    return LicenceFacts(
        spdx=licence.spdx,
        name=licence.name,
        terms=licence.terms,
        permissive=licence.permissive,
        commercial=licence.commercial,
        obligations=licence.plainly(),
    )


def _text(value: Any) -> str | None:
    """A header's word, if it is one."""
    return value[:200] if isinstance(value, str) and value.strip() else None
