"""From what a person calls a model to a file or folder on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from limpide.core.errors import ModelFileMissing, UnknownModel
from limpide.core.places import offline_requested
from limpide.hub.acceptance import Acceptances, known, require_accepted
from limpide.hub.catalog import CATALOG, CatalogEntry, HubEntry, PinnedEntry, nearest
from limpide.hub.progress import Progress, Silent
from limpide.hub.reference import PREFIX, HubReference, cached, obtain
from limpide.hub.store import Store

_SHOWN = 5
"""Names of models that a message lists."""


@dataclass(frozen=True, slots=True)
class LocatedModel:
    """A model that is on this machine."""

    name: str
    path: Path
    """A .gguf file, a .safetensors file or a Hugging Face folder."""
    entry: CatalogEntry | None = field(default=None, repr=False)
    sha256: str | None = None
    """Of the file, where it was checked."""
    licence: str | None = None
    """SPDX identifier, or what its publisher calls it."""


def resolve(
    reference: str,
    *,
    offline: bool = False,
    accept_licences: Iterable[str] = frozenset(),
    progress: Progress | None = None,
    refresh: bool = False,
    store: Store | None = None,
    acceptances: Acceptances | None = None,
) -> LocatedModel:
    """Find a model, and download it if it is not here.

    `reference` is a name of the catalog, the path of a .gguf file or of a Hugging Face folder (used in place), or
    `hf:org/name[:file]`. A catalog name wins over a file of the same name in the current directory; write `./name` for
    that. `offline`, LIMPIDE_OFFLINE and HF_HUB_OFFLINE each forbid all network use. `refresh` asks the hub for a newer
    revision of an `hf:` reference.

    Raises UnknownModel, ModelFileMissing, LicenceNotAccepted, OfflineError, DownloadFailed, ChecksumMismatch, DiskFull
    or InvalidParameter.
    """
    offline = offline or offline_requested()
    progress = progress or Silent()
    accepting = accepted_here(accept_licences)
    if entry := CATALOG.get(reference):
        check_terms(entry, accepting, acceptances)
        if isinstance(entry, PinnedEntry):
            found = (store or Store()).pull(entry, offline=offline, progress=progress)
            return LocatedModel(entry.name, found.path, entry, found.sha256, entry.licence.spdx)
        if isinstance(entry, HubEntry):
            model = obtain(entry.weights, offline=offline, progress=progress, refresh=refresh)
            return LocatedModel(entry.name, model.path, entry, model.sha256, entry.licence.spdx)
    if reference.startswith(PREFIX):
        hub_reference = HubReference.parse(reference)
        model = obtain(hub_reference, offline=offline, progress=progress, refresh=refresh)
        return LocatedModel(str(hub_reference), model.path, None, model.sha256, model.licence)
    path = local_model(reference)
    return LocatedModel(path.stem if path.is_file() else path.resolve().name, path)


def check_terms(entry: CatalogEntry, accepting: frozenset[str], acceptances: Acceptances | None = None) -> None:
    """Pass if all terms of a model were accepted before, or are accepted now. Raises LicenceNotAccepted."""
    for licence in entry.licences:
        require_accepted(licence, entry.name, accepting, acceptances or Acceptances())


def accepted_here(keys: Iterable[str] = ()) -> frozenset[str]:
    """Keys of licences, with those that LIMPIDE_ACCEPT_LICENCE accepts. Raises InvalidParameter for an unknown one."""
    return known((*keys, *os.environ.get("LIMPIDE_ACCEPT_LICENCE", "").replace(",", " ").split()))


def where_is(entry: CatalogEntry, store: Store) -> Path | None:
    """A model's file or folder, if it is on this machine. Sends nothing and reads no weights."""
    if isinstance(entry, PinnedEntry):
        found = store.lookup(entry)
        return found.path if found else None
    if isinstance(entry, HubEntry):
        model = cached(entry.weights)
        return model.path if model else None
    return None


def local_model(reference: str) -> Path:
    """The path that a reference means. Raises ModelFileMissing, or UnknownModel if it looks like a name."""
    if "\0" in reference or not reference.strip():
        raise unknown_model(reference)
    path = Path(reference).expanduser()
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError:  # a name too long for the system, for example
        is_file = is_folder = False
    if is_file:
        return path
    if is_folder:
        if (path / "config.json").is_file() or any(path.glob("*.gguf")) or any(path.glob("*.safetensors")):
            return path
        raise ModelFileMissing(
            f"the folder {path} holds no model", expected="config.json with .safetensors files, or a .gguf file"
        )
    if looks_like_path(reference):
        raise ModelFileMissing(
            f"there is no file {path}", expected="the path of a .gguf file or of a Hugging Face folder", hint=_names()
        )
    raise unknown_model(reference)


def looks_like_path(reference: str) -> bool:
    """Whether somebody meant a path rather than a name."""
    separators = ("/", "\\") if os.altsep or os.sep == "\\" else ("/",)
    return (
        reference.startswith(("~", "."))
        or any(s in reference for s in separators)
        or reference.lower().endswith((".gguf", ".safetensors"))
    )


def unknown_model(name: str) -> UnknownModel:
    """The error for a name that nobody knows, with the nearest ones."""
    alike = nearest(name)
    return UnknownModel(
        f"no model is called {name!r}",
        expected="a name that `limpide models list` shows, the path of a .gguf file or folder, or hf:org/name",
        hint=", ".join(alike) if alike else _names(),
    )


def _names() -> str:
    smallest = sorted(CATALOG.values(), key=lambda entry: entry.size_bytes)[:_SHOWN]
    return f"{', '.join(entry.name for entry in smallest)}, or another of `limpide models list`"
