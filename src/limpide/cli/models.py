"""`limpide models`: what can be had, what is here, and getting rid of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from limpide.cli.progress import watch
from limpide.core.errors import InvalidParameter, ModelFileMissing
from limpide.hub import CATALOG, DEFAULT_MODEL, Acceptances, CatalogEntry, Installed, LocatedModel, Store, resolve
from limpide.hub.places import offline_requested
from limpide.hub.reference import PREFIX
from limpide.hub.resolve import unknown_model

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
    """List the models that Limpide knows, and which of them are here.

    \b
    Examples:
      limpide models list
    """
    store = Store()
    rows = [_summary(entry, store.lookup(entry)) for entry in CATALOG.values()]
    if as_json:
        _print_json(rows)
        return
    table = [("NAME", "SIZE", "FORMAT", "CONTEXT", "THINKING", "LICENCE", "HERE")]
    for row in rows:
        size, context = megabytes(row["size_bytes"]), str(row["context"])
        here_now = "yes" if row["installed"] else "no"
        table.append((row["name"], size, row["format"], context, row["thinking"], row["licence"], here_now))
    _print_table(table)


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
        if entry is not None and Store().lookup(entry) and not Store().verify(entry):
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
            _print_table([("name", found.name), ("path", str(found.path)), ("size", megabytes(_bytes(found.path)))])
        return
    installed = Store().lookup(entry)
    if as_json:
        _print_json(_details(entry, installed))
        return
    accepted = Acceptances().read().get(entry.licence.key)
    _print_table(
        [
            ("name", entry.name),
            ("title", f"{entry.title}, by {entry.publisher}"),
            ("parameters", f"{entry.parameters / 1e6:.0f} M"),
            ("size", f"{megabytes(entry.size_bytes)} ({entry.format}, {entry.architecture})"),
            ("context", f"{entry.context} tokens"),
            ("thinking", entry.thinking.value),
            ("chat", "yes" if entry.chat else "no"),
            ("licence", f"{entry.licence.name} ({entry.licence.spdx}), {entry.licence.terms}"),
            *(("", f"- {line}") for line in entry.licence.obligations),
            *([("accepted", accepted or "not yet")] if entry.licence.needs_acceptance else []),
            ("sha256", entry.sha256),
            *(("source", source.label) for source in entry.sources),
            ("here", str(installed.path) if installed else "no"),
            *([("note", entry.note)] if entry.note else []),
        ]
    )


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


def _summary(entry: CatalogEntry, installed: Installed | None) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "parameters": entry.parameters,
        "size_bytes": entry.size_bytes,
        "format": entry.format,
        "architecture": entry.architecture,
        "context": entry.context,
        "thinking": entry.thinking.value,
        "chat": entry.chat,
        "licence": entry.licence.spdx,
        "permissive": entry.licence.permissive,
        "default": entry.name == DEFAULT_MODEL,
        "installed": installed is not None,
        "path": str(installed.path) if installed else None,
    }


def _details(entry: CatalogEntry, installed: Installed | None) -> dict[str, Any]:
    return _summary(entry, installed) | {
        "sha256": entry.sha256,
        "publisher": entry.publisher,
        "licence": asdict(entry.licence) | {"accepted": Acceptances().read().get(entry.licence.key)},
        "sources": [source.label for source in entry.sources],
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


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
