"""`limpide keys`: who may ask the server, for what, and how much."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from limpide.cli.tables import print_table
from limpide.cli.terminal import note
from limpide.core.errors import InvalidParameter
from limpide.core.places import config_dir
from limpide.server.access.key import Key, KeyRules, new_key
from limpide.server.access.store import KeyStore, Used

app = typer.Typer(
    help="The keys of the server: a request from another machine needs one.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
_UNITS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def keys_path() -> Path:
    """Where the keys are kept."""
    return config_dir() / "keys.sqlite"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is; logs show this name.", show_default=False)],
    requests_per_minute: Annotated[int | None, typer.Option(metavar="N", help="At most so many requests.")] = None,
    tokens_per_day: Annotated[
        int | None, typer.Option(metavar="N", help="Prompt and answer together; days begin at midnight UTC.")
    ] = None,
    concurrent: Annotated[int | None, typer.Option(metavar="N", help="At most so many requests at once.")] = None,
    model: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this model. Repeatable.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="A date (2027-01-31, UTC), or 12h, 30d, 8w from now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key and show it, once: only a hash of it is kept.

    \b
    Examples:
      limpide keys create alice
      limpide keys create ci --tokens-per-day 200000 --requests-per-minute 30 --expires 90d
    """
    models = tuple(model) if model else None
    rules = KeyRules(requests_per_minute, tokens_per_day, concurrent, models, _moment(expires, time.time()))
    text, key = new_key(name, rules)
    with KeyStore(keys_path()) as store:
        store.add(key)
    if as_json:
        print(json.dumps({"key": text, **_record(key)}, indent=2))
        return
    print(text)
    note("keep it now: it is not shown again. Clients send it as `Authorization: Bearer` or `x-api-key`")


@app.command("list")
def list_keys(as_json: Json = False) -> None:
    """List the keys, what each may do, and what it used today. The keys themselves are not kept.

    \b
    Examples:
      limpide keys list
    """
    with KeyStore(keys_path()) as store:
        found = [(key, store.used(key.id)) for key in store.all()]
    if as_json:
        records = [_record(key) | {"used_today": asdict(used) | {"tokens": used.tokens}} for key, used in found]
        print(json.dumps(records, indent=2))
        return
    if not found:
        note("there is no key yet; limpide keys create NAME makes one")
        return
    heading = ("NAME", "ID", "TOKENS TODAY", "PER MINUTE", "AT ONCE", "MODELS", "EXPIRES")
    print_table([heading, *(_row(key, used) for key, used in found)])


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name or id of the key.", show_default=False)], as_json: Json = False
) -> None:
    """Make a key worthless, from the next request on, also for a server that is running.

    \b
    Examples:
      limpide keys revoke alice
    """
    with KeyStore(keys_path()) as store:
        key = store.revoke(name)
        names = [other.name for other in store.all()]
    if key is None:
        raise InvalidParameter("name", name, f"one of {', '.join(names)}" if names else "a key; there is none")
    if as_json:
        print(json.dumps(_record(key), indent=2))
    else:
        print(f"revoked {key.name}")


def _moment(text: str | None, now: float) -> int | None:
    """When, in seconds since 1970. Raises InvalidParameter."""
    if text is None:
        return None
    if match := re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text):
        return int(now) + int(match[1]) * _UNITS[match[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParameter("expires", text, "a date as 2027-01-31, or a time from now as 12h, 30d, 8w") from None
    seconds = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    if seconds <= now:
        raise InvalidParameter("expires", text, "a moment in the future")
    return seconds


def _record(key: Key) -> dict[str, Any]:
    return {"id": key.id, "name": key.name, "created": key.created, **asdict(key.rules)}


def _row(key: Key, used: Used) -> tuple[str, ...]:
    rules = key.rules
    budget = f" of {rules.tokens_per_day}" if rules.tokens_per_day else ""
    expires = datetime.fromtimestamp(rules.expires, UTC).strftime("%Y-%m-%d %H:%M") if rules.expires else "never"
    return (
        key.name,
        key.id,
        f"{used.tokens}{budget}",
        str(rules.requests_per_minute or "any"),
        str(rules.concurrent or "any"),
        ",".join(rules.models) if rules.models else "all",
        "expired" if rules.expired(time.time()) else expires,
    )
