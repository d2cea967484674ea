"""`limpide fit MODEL`: will it run here, and how fast, before it is downloaded."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from limpide.cli.models import megabytes
from limpide.cli.options import NumericsChoice
from limpide.hub import DEFAULT_MODEL
from limpide.hub.fit import Fit, fit

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_VERDICT = {
    "yes": "It fits.",
    "tight": "It fits, but only just: other programs may be pushed out of memory.",
    "no": "It does not fit.",
}


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A catalog name, a path, or hf:org/name[:file].")] = DEFAULT_MODEL,
    context: Annotated[int | None, typer.Option(help="Tokens to hold at once. Default: 4096, or the model's.")] = None,
    numerics: Annotated[NumericsChoice, typer.Option(help="How it would be run.")] = NumericsChoice.FAST,
    offline: Annotated[bool, typer.Option("--offline", help="Send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Predict memory and speed of a model here. Measures the machine for half a second, downloads nothing.

    \b
    Examples:
      limpide fit smollm2-135m
      limpide fit ./model.gguf --context 32768
    """
    found = fit(model, context=context, numerics=numerics.value, offline=offline)
    if as_json:
        json.dump(asdict(found), sys.stdout, indent=2)
        print()
    else:
        print(_report(found))


def _report(found: Fit) -> str:
    machine = found.machine
    parts = [f"weights {megabytes(found.weights_bytes)}"]
    if found.cache_bytes is not None and found.activation_bytes is not None:
        parts.append(f"cache {megabytes(found.cache_bytes)}")
        parts.append(f"activations {megabytes(found.activation_bytes)}")
    parts.append(f"runtime {megabytes(found.runtime_bytes)}")
    lines = [
        _VERDICT[found.fits],
        f"memory      {megabytes(found.memory_bytes)} of {megabytes(found.memory_available)} available "
        f"({', '.join(parts)}) at a context of {found.context} tokens",
        f"generation  about {found.generation_tokens_per_second:.0f} tokens/s"
        + (f", {found.generation_at_full_context:.0f} with a full context" if found.generation_at_full_context else ""),
    ]
    if found.prompt_tokens_per_second is not None:
        lines.append(f"prompt      about {found.prompt_tokens_per_second:.0f} tokens/s")
    else:
        lines.append("prompt      unknown, and so is the cache's size: only the size of the download is known")
    if found.largest_context is not None:
        lines.append(f"context     up to {found.largest_context} tokens fit")
    lines.append(f"download    {megabytes(found.download_bytes) if found.download_bytes else 'none, it is here'}")
    lines.append(
        f"machine     {machine.processor}, {machine.cores} cores, reads {machine.read_bandwidth / 1e9:.0f} GB/s, "
        f"multiplies {machine.matmul_flops / 1e9:.0f} Gflop/s (fp32)"
    )
    return "\n".join(lines)
