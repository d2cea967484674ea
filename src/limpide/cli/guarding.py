"""The options of `limpide serve` that say who may ask and what is written down, and what becomes of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from limpide.cli.keys import keys_path

if TYPE_CHECKING:
    from limpide.server.access import KeyStore
    from limpide.server.guards import Guards
    from limpide.server.limits import Limits

ACCESS = "Access"
LOG = "Log"


class LogFormat(StrEnum):
    """For whom the log is."""

    PLAIN = "plain"
    JSON = "json"


RequireKeysOption = Annotated[
    bool,
    typer.Option(
        "--require-keys",
        envvar="LIMPIDE_REQUIRE_KEYS",
        help="Want a key (`limpide keys`) from this machine too, as behind a reverse proxy.",
        rich_help_panel=ACCESS,
    ),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Another name of this machine. Repeatable.", rich_help_panel=ACCESS),
]
AllowOriginOption = Annotated[
    list[str] | None,
    typer.Option(metavar="ORIGIN", help="Let pages of this origin ask. Repeatable.", rich_help_panel=ACCESS),
]
LogFormatOption = Annotated[
    LogFormat, typer.Option(envvar="LIMPIDE_LOG_FORMAT", help="Lines for people, or JSON.", rich_help_panel=LOG)
]
LogContentOption = Annotated[
    bool,
    typer.Option("--log-content", help="Write what is asked and answered into the log.", rich_help_panel=LOG),
]
TracesOption = Annotated[
    bool,
    typer.Option(
        "--traces", envvar="LIMPIDE_TRACES", help="Send OpenTelemetry traces (OTEL_… say where).", rich_help_panel=LOG
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line."""

    host: str
    require_keys: bool
    allow_host: Sequence[str]
    allow_origin: Sequence[str]
    log_content: bool
    traces: bool
    limits: Limits


def guard_of(asked: Asked) -> Guards:
    """The guards of the server. Raises InvalidParameter if it would be open to strangers."""
    from limpide.server.guards import Guards
    from limpide.server.traces import open_tracing

    guard = Guards(
        address=asked.host,
        require_keys=asked.require_keys,
        allowed_hosts=tuple(asked.allow_host),
        allowed_origins=tuple(asked.allow_origin),
        limits=asked.limits,
        log_content=asked.log_content,
        keys=_keys(),
        tracing=open_tracing() if asked.traces else None,
    )
    guard.check()
    return guard


def _keys() -> KeyStore | None:
    """The keys, also if there are none yet: the first may be made while the server runs."""
    from limpide.server.access import KeyStore

    try:
        return KeyStore(keys_path())
    except OSError:
        if keys_path().exists():
            raise
        return None  # a home that can't be written to will not hold keys


@contextmanager
def log_to_stderr(log_format: LogFormat, *, content: bool) -> Iterator[None]:
    """Send the process's log to stderr while the context is held."""
    from limpide.server.logs import configure_logging

    handler = configure_logging(as_json=log_format is LogFormat.JSON, content=content)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
