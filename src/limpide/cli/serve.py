"""`limpide serve [MODEL…]`: the API that people already call, on a model they own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpide.cli.guarding import (
    AllowHostOption,
    AllowOriginOption,
    Asked,
    LogContentOption,
    LogFormat,
    LogFormatOption,
    RequireKeysOption,
    TracesOption,
    guard_of,
    log_to_stderr,
)
from limpide.cli.limiting import (
    MIB,
    BatchLinesOption,
    KeepDaysOption,
    MaxBodyOption,
    MaxFileOption,
    MaxStoredOption,
    MaxUnreadOption,
    limits_of,
)
from limpide.cli.options import (
    ContextOption,
    LicenceOption,
    NumericsChoice,
    NumericsOption,
    OfflineOption,
    SpeculateOption,
    ThinkOption,
    ThreadsOption,
)
from limpide.cli.progress import watch
from limpide.cli.running import PanelCommand
from limpide.cli.terminal import note
from limpide.core.thinking import Thinking
from limpide.hub import DEFAULT_MODEL
from limpide.model import SPECULATE_MODES

app = typer.Typer(rich_markup_mode=None, add_completion=False)
SERVER = "Server"


@app.command(cls=PanelCommand)
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]…",
            envvar="LIMPIDE_MODEL",
            help="Names of `limpide models list`, .gguf files, folders, hf:org/name[:file]; the first is the default.",
            show_default=DEFAULT_MODEL,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(envvar="LIMPIDE_HOST", metavar="ADDRESS", help="Where to listen.", rich_help_panel=SERVER),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            "-p",
            envvar="LIMPIDE_PORT",
            min=0,
            max=65535,
            metavar="N",
            help="0 takes any that is free.",
            rich_help_panel=SERVER,
        ),
    ] = 8000,
    max_batch: Annotated[
        int,
        typer.Option(
            envvar="LIMPIDE_MAX_BATCH",
            min=1,
            max=1024,
            metavar="N",
            help="Answers that a model writes at once.",
            rich_help_panel=SERVER,
        ),
    ] = 32,
    max_waiting: Annotated[
        int | None,
        typer.Option(
            envvar="LIMPIDE_MAX_WAITING",
            min=0,
            metavar="N",
            help="Requests that may wait for a model beside; others get 503.",
            rich_help_panel=SERVER,
            show_default="four for each of --max-batch",
        ),
    ] = None,
    max_wait: Annotated[
        float,
        typer.Option(
            envvar="LIMPIDE_MAX_WAIT",
            min=0,
            metavar="SECONDS",
            help="How long a request may have to wait, by the pace of late; others get 503.",
            rich_help_panel=SERVER,
        ),
    ] = 60.0,
    idle: Annotated[
        float | None,
        typer.Option(
            envvar="LIMPIDE_IDLE",
            min=1,
            metavar="SECONDS",
            help="Unload a model that nobody used for so long.",
            rich_help_panel=SERVER,
            show_default=False,
        ),
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            envvar="LIMPIDE_DRAIN",
            min=0,
            metavar="SECONDS",
            help="How long running answers may take at the end.",
            rich_help_panel=SERVER,
        ),
    ] = 30.0,
    require_keys: RequireKeysOption = False,
    allow_host: AllowHostOption = None,
    allow_origin: AllowOriginOption = None,
    log_format: LogFormatOption = LogFormat.PLAIN,
    log_content: LogContentOption = False,
    traces: TracesOption = False,
    max_body: MaxBodyOption = 16,
    max_file: MaxFileOption = 200,
    max_unread: MaxUnreadOption = 60.0,
    keep_days: KeepDaysOption = 30,
    max_stored: MaxStoredOption = 8192,
    batch_lines: BatchLinesOption = 4,
    think: ThinkOption = "off",
    numerics: NumericsOption = NumericsChoice.FAST,
    context: ContextOption = None,
    threads: ThreadsOption = None,
    speculate: SpeculateOption = "auto",
    offline: OfflineOption = False,
    accept_licence: LicenceOption = None,
) -> None:
    """Serve models over HTTP, in the form of OpenAI's API: a base URL changes, the code does not.

    Further models are loaded when they are asked for. --think is the dial's position for requests that don't turn it.
    Ctrl-C and SIGTERM let running answers come to their end.

    \b
    Examples:
      limpide serve
      limpide serve smollm2-135m ./model.gguf --port 8080
    """
    from limpide.backends.entrance import QueueBound

    queue = QueueBound(max_waiting, max_wait)
    # More than a model takes, so that whoever is sent away hears from the model when to come again.
    open_requests = 128 + 2 * (max_batch + queue.waiting(max_batch))
    limits = limits_of(open_requests=open_requests, max_body=max_body, max_file=max_file, max_unread=max_unread)
    guard = guard_of(Asked(host, require_keys, allow_host or [], allow_origin or [], log_content, traces, limits))
    position = str(Thinking.parse(think))
    from limpide.cli.nearby import announced
    from limpide.cli.serving import PAGE, Loading, listen, pool_of, run, stock_of
    from limpide.core.places import state_dir
    from limpide.hub import resolve
    from limpide.server.settings import ServerSettings

    # The port before anything is fetched or loaded for nothing.
    with log_to_stderr(log_format, content=log_content), listen(host, port) as listening:
        url = _url(host, int(listening.getsockname()[1]))
        licences = frozenset(accept_licence or ())
        with watch() as progress:
            located = [
                (each, resolve(each, offline=offline, accept_licences=licences, progress=progress))
                for each in models or [DEFAULT_MODEL]
            ]
            guessing: str | Path = speculate
            if speculate not in SPECULATE_MODES:
                guessing = resolve(speculate, offline=offline, accept_licences=licences, progress=progress).path
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        loading = Loading(numerics.value, context, max_batch, offline, guessing)
        pool = pool_of(located, loading, idle_seconds=idle, queue=queue)
        stock = stock_of(located, loading, pool, accept=licences)
        database = state_dir() / "server.db"
        settings = ServerSettings(
            default_think=position,
            drain_seconds=drain,
            database=database,
            database_bytes=max_stored * MIB,
            keep_days=keep_days,
            file_bytes=max_file * MIB,
            batch_lines=batch_lines,
            page=PAGE,
        )
        with announced(url, [(reference, model.name) for reference, model in located]):
            run(pool, settings, guard, listening, lambda name: _announce(url, name), stock)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(url: str, model: str) -> None:
    """Where to go, on stdout, and what to try there."""
    print(f"{url}/v1", flush=True)
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    note(f"{model} is ready. Ctrl-C ends it. In a browser: {url}/")
    note("Or try:")
    note(f"  curl {url}/v1/chat/completions -H 'Content-Type: application/json' \\\n    -d '{body}'")
