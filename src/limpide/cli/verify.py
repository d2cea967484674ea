"""`limpide verify`: is a card what its evidence says, and does the model still say it?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limpide.cli.opening import Choice, open_model
from limpide.cli.options import LicenceOption, NumericsChoice, OfflineOption, ThreadsOption
from limpide.cli.running import PanelCommand
from limpide.cli.terminal import harmless
from limpide.core.results import to_json

if TYPE_CHECKING:
    from limpide.cards import Finding
    from limpide.cards.sampling import Chosen

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EXIT_WRONG = 10


@app.command(cls=PanelCommand)
def verify(
    card: Annotated[Path, typer.Argument(metavar="CARD", help="The folder of a card, or its card.json.")],
    sample: Annotated[
        int, typer.Option("--sample", min=0, metavar="N", help="Ask so many items again; 0 needs no model.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the sample.")] = 0,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL", help="Whom to ask; otherwise the card says it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    threads: ThreadsOption = None,
    offline: OfflineOption = False,
    accept_licence: LicenceOption = None,
) -> None:
    """Compute every number of a card again from its evidence, compare all hashes, and ask the model a sample again.

    Exit codes: 0 nothing is wrong, 10 something is, and it is named; anything else is an error.

    \b
    Examples:
      limpide verify cards/smollm2
      limpide verify cards/smollm2 --sample 0
      limpide verify cards/mine --model ./mine.gguf --sample 20 --seed 3
    """
    from limpide.cards import Evidence, Finding
    from limpide.cards import verify as verified
    from limpide.cards.evidence import MODEL
    from limpide.cards.sampling import draw_sample
    from limpide.cli.describing import facts_of

    folder = card.parent if card.is_file() else card
    findings = verified(folder)
    asked = 0
    if sample and not findings:  # of evidence that is not what it was, no sample needs to be taken
        evidence = Evidence.read(folder)
        here = facts_of(model or evidence.facts.name, offline=offline, accept_licence=tuple(accept_licence or ()))
        findings += [
            Finding(f"{MODEL}: {name}", f"on record {was!r}; the weights say {now!r}")
            for name, was, now in evidence.facts.differences(here)
        ]
    if sample and not findings:
        chosen = draw_sample(evidence, sample, seed)
        asked = sum(len(each.items) for each in chosen)
        for numerics in NumericsChoice:
            part = [each for each in chosen if each.kept.run.manifest.backend.numerics == numerics.value]
            choice = Choice(
                model or evidence.facts.name, numerics, offline, tuple(accept_licence or ()), threads=threads
            )
            findings += _asked(choice, part) if part else []
    if json:
        plain = [{"where": each.where, "what": each.what} for each in findings]
        sys.stdout.write(to_json({"good": not findings, "asked_again": asked, "findings": plain}) + "\n")
    else:
        _print(findings, asked, wanted=sample)
    if findings:
        raise typer.Exit(EXIT_WRONG)


def _asked(choice: Choice, part: list[Chosen]) -> list[Finding]:
    from limpide.cards.sampling import ask_again

    with open_model(choice) as opened:
        return [finding for each in part for finding in ask_again(opened.backend, each)]


def _print(findings: list[Finding], asked: int, *, wanted: int) -> None:
    for each in findings:
        print(harmless(f"{each.where}: {each.what}"))
    if findings:
        print(f"\n{len(findings)} findings: the card is not what its evidence says")
        return
    print("every number follows from the evidence, and every hash is right")
    if asked:
        print(f"{asked} items asked again: the same answers")
    elif wanted:
        print("nothing was asked again: no run of this card has items that can be made here")
