"""Open the model that a command was asked for, with whatever is worth saying on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from limpide.cli.options import NumericsChoice
from limpide.cli.progress import watch
from limpide.model import Model


@dataclass(frozen=True, slots=True)
class Choice:
    """Which model, and how to run it."""

    reference: str
    numerics: NumericsChoice = NumericsChoice.FAST
    offline: bool = False
    accept_licence: Sequence[str] = ()
    context: int | None = None
    threads: int | None = None
    speculate: str = "auto"


def open_model(choice: Choice) -> Model:
    """Find, fetch if needed, check and load. Raises LimpideError."""
    with watch() as progress:
        return Model(
            choice.reference,
            numerics=choice.numerics.value,
            offline=choice.offline,
            accept_licence=choice.accept_licence,
            context=choice.context,
            threads=choice.threads,
            speculate=choice.speculate,
            progress=progress,
        )


def seconds_since_start() -> float:
    """Since this process began, interpreter start included."""
    import psutil

    return max(0.0, time.time() - float(psutil.Process(os.getpid()).create_time()))
