"""Options that several commands share, and how a sampling parameter is read from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from limpide.core.errors import InvalidParameter
from limpide.core.sampling import Sampling
from limpide.model import SAMPLING_NAMES

MODEL = "Model"
SAMPLING = "Sampling"


class NumericsChoice(StrEnum):
    """How the forward pass computes."""

    FAST = "fast"
    EXACT = "exact"


ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        envvar="LIMPIDE_MODEL",
        metavar="NAME",
        help="A name from `limpide models list`, a file or folder, hf:org/name[:file], or http://address/v1#name.",
        rich_help_panel=MODEL,
        show_default=True,
    ),
]
NumericsOption = Annotated[
    NumericsChoice,
    typer.Option(
        "--numerics",
        envvar="LIMPIDE_NUMERICS",
        help="fast computes from the stored blocks; exact in fp32, as the reference.",
        rich_help_panel=MODEL,
    ),
]
OfflineOption = Annotated[
    bool,
    typer.Option("--offline", envvar="LIMPIDE_OFFLINE", help="Send nothing over the network.", rich_help_panel=MODEL),
]
LicenceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-licence",
        envvar="LIMPIDE_ACCEPT_LICENCE",
        metavar="NAME",
        help="Accept the terms of a licence once, e.g. gemma. Repeatable.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
ContextOption = Annotated[
    int | None,
    typer.Option(
        "--context",
        envvar="LIMPIDE_CONTEXT",
        metavar="TOKENS",
        min=1,
        help="Room for prompt and answer together. Default: what the model was made for.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        envvar="LIMPIDE_THREADS",
        metavar="N",
        min=1,
        max=1024,
        help="Processor threads for computing.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
HereOption = Annotated[
    bool,
    typer.Option(
        "--here",
        envvar="LIMPIDE_HERE",
        help="Load the model here, even if a `limpide serve` on this machine has it.",
        rich_help_panel=MODEL,
    ),
]
SpeculateOption = Annotated[
    str,
    typer.Option(
        "--speculate",
        envvar="LIMPIDE_SPECULATE",
        metavar="HOW",
        help="Guess tokens ahead, which changes no answer: auto, off, lookup, or a smaller model with the same tokens.",
        rich_help_panel=MODEL,
    ),
]
ThinkOption = Annotated[
    str,
    typer.Option(
        "--think",
        envvar="LIMPIDE_THINK",
        metavar="VALUE",
        help="How long to reason first: off, minimal, low, medium, high, max, or a number of tokens.",
    ),
]
SystemOption = Annotated[
    str | None,
    typer.Option("--system", metavar="TEXT", help="What the model should keep to throughout.", show_default=False),
]


def parse_bias(text: str) -> tuple[int, float]:
    """`TOKEN=BIAS` as numbers. Raises InvalidParameter."""
    token, separator, bias = text.partition("=")
    try:
        if not separator:
            raise ValueError
        return int(token), float(bias)
    except ValueError:
        raise InvalidParameter("logit_bias", text, "TOKEN=BIAS, a token number and a number from -100 to 100") from None


def _parse_biases(text: str) -> dict[int, float]:
    return dict(parse_bias(part) for part in text.replace(",", " ").split())


def _parse_switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("on", "off", "true", "false", "yes", "no", "1", "0"):
        raise ValueError
    return word in ("on", "true", "yes", "1")


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "temperature": (float, "a number"),
    "top_p": (float, "a number"),
    "top_k": (int, "a whole number"),
    "min_p": (float, "a number"),
    "repetition_penalty": (float, "a number"),
    "frequency_penalty": (float, "a number"),
    "presence_penalty": (float, "a number"),
    "logit_bias": (_parse_biases, "TOKEN=BIAS"),
    "stop": (lambda text: (text,), "a string"),
    "max_tokens": (int, "a whole number"),
    "seed": (int, "a whole number"),
    "n": (int, "a whole number"),
    "logprobs": (int, "a whole number"),
    "ignore_eos": (_parse_switch, "on or off"),
}


def read_parameter(name: str, text: str) -> tuple[str, Any]:
    """A sampling parameter from what a person typed: its field's name and its value.

    Raises InvalidParameter for unknown names (the nearest is in the hint) and values out of range.
    """
    field = name.strip().lower().replace("-", "_")
    if field not in _READERS:
        near = get_close_matches(field, _READERS, n=1)
        raise InvalidParameter(
            "parameter",
            name,
            f"one of {', '.join(SAMPLING_NAMES)}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    reader, expected = _READERS[field]
    try:
        value = reader(text)
    except ValueError:
        raise InvalidParameter(field, text, expected) from None
    Sampling(**{field: value})  # raises if out of range
    return field, value


def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that were given; the others keep the defaults of `Sampling`."""
    return {name: value for name, value in parameters.items() if value is not None}


def read_path(path: Path, limit: int) -> bytes:
    """A file's bytes. Raises InvalidParameter if it can't be read or is larger than `limit` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise InvalidParameter("file", str(path), f"a file that can be read ({error.strerror})") from None
    if len(content) > limit:
        raise InvalidParameter("file", str(path), f"at most {limit // 2**20} MiB of text")
    return content
