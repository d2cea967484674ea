"""`limpide chat`: a conversation at the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from limpide.cli.opening import Choice
from limpide.cli.options import (
    ContextOption,
    LicenceOption,
    ModelOption,
    NumericsChoice,
    NumericsOption,
    OfflineOption,
    SpeculateOption,
    SystemOption,
    ThinkOption,
    ThreadsOption,
)
from limpide.cli.running import PanelCommand
from limpide.core.errors import InvalidParameter
from limpide.core.thinking import Thinking

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PanelCommand)
def chat(
    system: SystemOption = None,
    think: ThinkOption = "off",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A sampling parameter, as /set takes it. Repeatable."),
    ] = None,
    model: ModelOption = "smollm2-135m",
    numerics: NumericsOption = NumericsChoice.FAST,
    context: ContextOption = None,
    threads: ThreadsOption = None,
    speculate: SpeculateOption = "auto",
    offline: OfflineOption = False,
    accept_licence: LicenceOption = None,
) -> None:
    """Talk with a model. Ctrl-C ends an answer, Ctrl-D the chat; /help shows what can be changed on the way.

    A line that ends in a backslash goes on in the next; \"\"\" opens and closes a block of several lines.

    \b
    Examples:
      limpide chat
      limpide chat --think low --system "Answer in French."
      limpide chat --set temperature=0.7 --set max_tokens=400
    """
    from limpide.cli.repl import Repl, chat_parameter

    sampling = {}
    for setting in settings or ():
        name, separator, value = setting.partition("=")
        if not separator:
            raise InvalidParameter("set", setting, "NAME=VALUE, for example temperature=0.7")
        field, parsed = chat_parameter(name, value)
        sampling[field] = parsed
    choice = Choice(model, numerics, offline, tuple(accept_licence or ()), context, threads, speculate=speculate)
    with Repl(choice, thinking=Thinking.parse(think), system=system, sampling=sampling) as repl:
        repl.run()
