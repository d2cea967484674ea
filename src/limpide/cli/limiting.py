"""The options of `limpide serve` that bound what requests may take and what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limpide.server.limits import Limits

LIMITS = "Limits"
MIB = 1 << 20
_FORM_MIB = 1
"""What a form may have beside its file."""

MaxBodyOption = Annotated[
    int,
    typer.Option(
        envvar="LIMPIDE_MAX_BODY",
        min=1,
        max=1024,
        metavar="MIB",
        help="Largest body of a request; larger ones get 413.",
        rich_help_panel=LIMITS,
    ),
]
MaxFileOption = Annotated[
    int,
    typer.Option(
        envvar="LIMPIDE_MAX_FILE",
        min=1,
        max=65536,
        metavar="MIB",
        help="Largest file for /v1/files; larger ones get 413.",
        rich_help_panel=LIMITS,
    ),
]
MaxUnreadOption = Annotated[
    float,
    typer.Option(
        envvar="LIMPIDE_MAX_UNREAD",
        min=1,
        max=86400,
        metavar="SECONDS",
        help="How long a client may leave its answer unread before it is let go.",
        rich_help_panel=LIMITS,
    ),
]
KeepDaysOption = Annotated[
    int,
    typer.Option(
        envvar="LIMPIDE_KEEP_DAYS",
        min=1,
        max=36500,
        metavar="N",
        help="Days after which stored responses are forgotten.",
        rich_help_panel=LIMITS,
    ),
]
MaxStoredOption = Annotated[
    int,
    typer.Option(
        envvar="LIMPIDE_MAX_STORED",
        min=16,
        max=1 << 24,
        metavar="MIB",
        help="Size of the database of responses, files and batches.",
        rich_help_panel=LIMITS,
    ),
]
BatchLinesOption = Annotated[
    int,
    typer.Option(
        envvar="LIMPIDE_BATCH_LINES",
        min=1,
        max=1024,
        metavar="N",
        help="Lines of a batch that are worked on at once, in idle hours.",
        rich_help_panel=LIMITS,
    ),
]


def limits_of(*, open_requests: int, max_body: int, max_file: int, max_unread: float) -> Limits:
    """The options, sizes in MiB, as the server takes them."""
    from limpide.server.limits import Limits

    return Limits(
        body_bytes=max_body * MIB,
        file_bytes=(max_file + _FORM_MIB) * MIB,
        open_requests=open_requests,
        unread_seconds=max_unread,
    )
