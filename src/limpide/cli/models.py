"""`limpide models`: what can be had, what is here, and getting rid of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from limpide.cli.progress import watch
from limpide.cli.tables import print_fields, print_table
from limpide.cli.terminal import note
from limpide.core.errors import InvalidParameter, ModelFileMissing
from limpide.core.places import offline_requested
from limpide.hub import (
    CATALOG,
    DEFAULT_MODEL,
    Acceptances,
    CatalogEntry,
    HubEntry,
    Licence,
    LocatedModel,
    PinnedEntry,
    Store,
    resolve,
)
from limpide.hub.candidate import of_catalog
from limpide.hub.fit import DEFAULT_CONTEXT, memory_of, verdict
from limpide.hub.huggingface import repo_dir
from limpide.hub.machine import memory
from limpide.hub.reference import PREFIX
from limpide.hub.resolve import unknown_model, where_is

app = typer.Typer(
    help="The models that this machine has, and those it can get.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Reference = Annotated[str, typer.Argument(help="A catalog name, a path, or hf:org/name[:file].", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
Offline = Annotated[bool, typer.Option("--offline", help="Send nothing; fail if something would have to be fetched.")]
AcceptLicence = Annotated[
    list[str] | None,
    typer.Option("--accept-licence", metavar="NAME", help="Accept these terms, once and for all (for example gemma)."),
]


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models that Limpide knows, the smallest first, with what fits in memory and what is here. Sends nothing.

    \b
    FITS: with a context of 4096 tokens in the memory that is free now; "tight" would push other programs out; a star
    means slow, because the kernels don't know its blocks or its numbers. `limpide fit NAME` tells why, and how slow.
    Sizes with ≈ are estimates, or those of a file that its publisher may exchange.

    \b
    Examples:
      limpide models list
    """
    store, (_, available) = Store(), memory()
    entries = sorted(CATALOG.values(), key=lambda entry: entry.size_bytes)
    rows = [_summary(entry, where_is(entry, store), available) for entry in entries]
    if as_json:
        _print_json(rows)
        return
    table = [("NAME", "SIZE", "FITS", "CONTEXT", "THINKING", "LICENCE", "HERE")]
    for entry, row in zip(entries, rows, strict=True):
        here_now = "yes" if row["installed"] else "no"
        fits = f"{row['fits']}{'*' if row['slowed'] and row['fits'] != 'no' else ''}"
        cells = (entry.name, _size(entry), fits, _thousands(entry.context), entry.thinking.value)
        table.append((*cells, _licence_keys(entry), here_now))
    print_table(table)
    note(f"{megabytes(available)} of memory are free; * is slow: `limpide fit NAME` says why, and how slow")


@app.command()
def pull(
    model: Reference = DEFAULT_MODEL,
    accept_licence: AcceptLicence = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Fetch a model, or go on where an earlier try stopped. A model that is here is read and checked again.

    \b
    Examples:
      limpide models pull smollm2-135m
      limpide models pull gemma3-270m --accept-licence gemma
    """
    entry = CATALOG.get(model)
    with watch() as progress:
        if isinstance(entry, PinnedEntry) and Store().lookup(entry) and not Store().verify(entry):
            progress.message(f"{model} on this machine is damaged; fetching it again")
        found = resolve(model, offline=offline, accept_licences=accept_licence or (), progress=progress, refresh=True)
    if as_json:
        _print_json(_located(found))
    else:
        print(found.path)


@app.command()
def show(model: Reference, as_json: Json = False) -> None:
    """Say what is known of a model: size, licence and its obligations, sources, and where it is. Sends nothing.

    \b
    Examples:
      limpide models show smollm2-135m
    """
    entry = CATALOG.get(model)
    if entry is None:
        found = resolve(model, offline=True)
        if as_json:
            _print_json(_located(found))
        else:
            print_table([("name", found.name), ("path", str(found.path)), ("size", megabytes(_bytes(found.path)))])
        return
    path = where_is(entry, Store())
    if as_json:
        _print_json(_details(entry, path))
    else:
        print_fields(_fields(entry, path))


@app.command("rm")
def remove(model: Reference, as_json: Json = False) -> None:
    """Remove a model from Limpide's store. Files that are only used in place are never touched.

    \b
    Examples:
      limpide models rm gemma3-270m
    """
    entry = CATALOG.get(model)
    if entry is None:
        if model.startswith(PREFIX) or Path(model).exists():
            raise InvalidParameter(
                "model", model, "a model in Limpide's own store", hint="remove what is used in place where it lies"
            )
        raise unknown_model(model)
    if not isinstance(entry, PinnedEntry):
        raise InvalidParameter(
            "model",
            model,
            "a model in Limpide's own store",
            hint=f"it is kept by the Hugging Face cache: {_cache_folder(entry)}",
        )
    removed = Store().remove(entry)
    if removed is None:
        raise ModelFileMissing(f"{model} is not in the store", hint=f"limpide models pull {model}")
    if as_json:
        _print_json({"name": model, "removed": not removed.in_place, "path": str(removed.path)})
    elif removed.in_place:
        print(f"forgot {model}; its file stays in the cache that keeps it: {removed.path}")
    else:
        print(f"removed {model}, {megabytes(removed.size_bytes)}")


def megabytes(size: float) -> str:
    """A size for people: powers of ten, as disks are sold."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _size(entry: CatalogEntry) -> str:
    return megabytes(entry.size_bytes) if isinstance(entry, PinnedEntry) else f"≈{megabytes(entry.size_bytes)}"


def _how_known(entry: CatalogEntry) -> str:
    if isinstance(entry, HubEntry):
        return "; the file's, as public sources list it" if entry.listed else "; estimated from its shape"
    return ""


def _speed(entry: CatalogEntry) -> str:
    slowed = of_catalog(entry).slowed
    return f"slow, through torch: {', '.join(slowed)}" if slowed else "full: the kernels compute all of it"


def _licence_keys(entry: CatalogEntry) -> str:
    """The model's licence, and those of its bases that ask for more than attribution."""
    return "+".join([entry.licence.key, *(base.key for base in entry.base_licences if not base.permissive)])


def _thousands(tokens: int) -> str:
    """A context in the round numbers that people know it by."""
    return f"{tokens >> 20}M" if tokens >= 1 << 20 else f"{tokens >> 10}k"


def _fields(entry: CatalogEntry, path: Path | None) -> list[tuple[str, str]]:
    chat = "yes" if entry.chat else "no, it only continues text"
    return [
        ("name", entry.name),
        ("title", f"{entry.title}, by {entry.publisher}"),
        ("parameters", _count(entry.parameters)),
        ("size", f"{_size(entry)} ({entry.format}, {entry.architecture}{_how_known(entry)})"),
        ("context", f"{entry.context} tokens"),
        ("thinking", _thinking(entry)),
        ("speed", _speed(entry)),
        ("chat", chat),
        *(field for licence in entry.licences for field in _licence_fields(licence, base=licence != entry.licence)),
        *_source_fields(entry),
        ("here", str(path) if path else "no"),
        *([("note", entry.note)] if entry.note else []),
    ]


def _thinking(entry: CatalogEntry) -> str:
    kind = entry.thinking.value
    said = {
        "native": "native: it can be switched on and off",
        "always": "always: it was trained to think first; off closes its thinking at once",
        "prompted": "prompted: it has none of its own; it can be asked for steps",
        "none": "none",
    }[kind]
    return said if entry.dialect == kind else f"{said} ({entry.dialect})"


def _licence_fields(licence: Licence, *, base: bool) -> list[tuple[str, str]]:
    """A licence's terms in plain words."""
    kind = {
        "yes": "permissive: use it for anything, commercial too",
        "limited": "commercial use within limits",
        "no": "no commercial use",
    }[licence.commercial]
    fields = [
        ("and its base" if base else "licence", f"{licence.name} ({licence.spdx})"),
        ("", kind),
        ("", f"the terms, which decide: {licence.terms}"),
        ("", "in short:"),
        *(("", f"- {line}") for line in licence.plainly()),
    ]
    if licence.needs_acceptance:
        when = Acceptances().read().get(licence.key)
        fields.append(("accepted", when or f"not yet; --accept-licence {licence.key} accepts them"))
    return fields


def _source_fields(entry: CatalogEntry) -> list[tuple[str, str]]:
    if isinstance(entry, PinnedEntry):
        return [("sha256", entry.sha256), *(("source", source.label) for source in entry.sources)]
    if isinstance(entry, HubEntry):
        unseen = "" if entry.seen else "; nobody has checked that it is there"
        return [
            ("sha256", "none of ours: each file is checked with the one that the hub states for it"),
            ("source", f"Hugging Face hub, {entry.weights.repo} (branch {entry.weights.revision}{unseen})"),
        ]
    return []


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"


def _cache_folder(entry: CatalogEntry) -> Path:
    return repo_dir(entry.weights.repo) if isinstance(entry, HubEntry) else Path()


def _summary(entry: CatalogEntry, path: Path | None, available: int) -> dict[str, Any]:
    context = min(DEFAULT_CONTEXT, entry.context)
    candidate = of_catalog(entry)
    needed = memory_of(candidate, context=context).total
    return {
        "name": entry.name,
        "title": entry.title,
        "parameters": entry.parameters,
        "size_bytes": entry.size_bytes,
        "size_is_estimate": isinstance(entry, HubEntry) and not entry.listed,
        "format": entry.format,
        "architecture": entry.architecture,
        "context": entry.context,
        "thinking": entry.thinking.value,
        "dialect": entry.dialect,
        "chat": entry.chat,
        "licence": entry.licence.spdx,
        "permissive": all(licence.permissive for licence in entry.licences),
        "default": entry.name == DEFAULT_MODEL,
        "fits": verdict(needed, available),
        "memory_bytes": needed,
        "memory_context": context,
        "slowed": candidate.slowed,
        "installed": path is not None,
        "path": str(path) if path else None,
    }


def _details(entry: CatalogEntry, path: Path | None) -> dict[str, Any]:
    accepted, installed = Acceptances().read(), None
    if isinstance(entry, PinnedEntry):
        installed = Store().lookup(entry)
    licences = [
        asdict(licence) | {"plainly": licence.plainly(), "accepted": accepted.get(licence.key)}
        for licence in entry.licences
    ]
    return _summary(entry, path, memory()[1]) | {
        "sha256": entry.sha256 if isinstance(entry, PinnedEntry) else None,
        "publisher": entry.publisher,
        "licence": licences[0],
        "base_licences": licences[1:],
        "sources": [text for label, text in _source_fields(entry) if label == "source"],
        "source": installed.source if installed else None,
        "in_place": installed.in_place if installed else None,
        "note": entry.note,
    }


def _located(found: LocatedModel) -> dict[str, Any]:
    return {
        "name": found.name,
        "path": str(found.path),
        "size_bytes": _bytes(found.path),
        "sha256": found.sha256,
        "licence": found.licence,
        "offline": offline_requested(),
    }


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [p for p in path.iterdir() if p.suffix in (".safetensors", ".gguf")]
    return sum(file.stat().st_size for file in files)


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))
