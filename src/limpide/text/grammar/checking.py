"""Whether a grammar can be compiled, within bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from limpide.core.errors import InvalidShape
from limpide.text.confined import ConfinedWorker

MAX_CHARACTERS: Final = 1 << 20
PROCESSOR_SECONDS: Final = 1.0
"""What compiling may take; ordinary schemas take a thousandth of it."""
_ENDLESS: Final = "NoExtension"
_PLACE = re.compile(r"^(?:at \d+\(\d+\): )?(?:failed to compile JSON schema: )?")
"""Where in a grammar that nobody has seen it is."""
_worker = ConfinedWorker(Path(__file__).with_name("checking_worker.py"))


def trouble_with(grammar: str, special: Mapping[str, int] | None = None, vocab_size: int = 256) -> str | None:
    """Why a grammar can't be used; None if it can. special, vocab_size: the special tokens that it may name."""
    if len(grammar) > MAX_CHARACTERS:
        return f"it has {len(grammar)} characters, more than {MAX_CHARACTERS}"
    return _checked(grammar, tuple(sorted((special or {}).items())), vocab_size)


@lru_cache(maxsize=256)
def _checked(grammar: str, special: tuple[tuple[str, int], ...], vocab_size: int) -> str | None:
    request = {
        "grammar": grammar,
        "special": dict(special),
        "vocab_size": vocab_size,
        "seconds": PROCESSOR_SECONDS,
    }
    try:
        answer = _worker.ask(json.dumps(request).encode() + b"\n", 1 << 16)
    except OSError as error:
        raise InvalidShape(f"the process that checks grammars can't be started: {error}") from None
    match answer.get("error"):
        case None:
            return None
        case "time":
            return f"it takes more than {PROCESSOR_SECONDS:g} s to compile"
        case "died":
            return "it takes too much memory to compile"
        case _:
            return _told(str(answer.get("message")))


def _told(message: str) -> str:
    if message.startswith(_ENDLESS):
        return "nothing can satisfy it, for example because a reference leads to itself"
    told = _PLACE.sub("", message.replace("<non-verbose/>", "")).split("\n   1 | ")[0]
    return " ".join(told.split())[:500] or "it can't be compiled"
