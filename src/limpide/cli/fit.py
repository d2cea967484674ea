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
_MUCH_LESS = 0.9


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
    weights = f"weights {'≈' if found.size_is_estimate else ''}{megabytes(found.weights_bytes)}"
    parts = [weights]
    if found.cache_bytes is not None and found.activation_bytes is not None:
        parts.append(f"cache {megabytes(found.cache_bytes)}")
        parts.append(f"activations {megabytes(found.activation_bytes)}")
    parts.append(f"runtime {megabytes(found.runtime_bytes)}")
    lines = [
        _VERDICT[found.fits],
        f"memory      {megabytes(found.memory_bytes)} of {megabytes(found.memory_available)} available "
        f"({', '.join(parts)}) at a context of {found.context} tokens",
    ]
    if found.least_memory_bytes < _MUCH_LESS * found.memory_bytes:
        lines.append(
            f"experts     one token wakes {megabytes(found.least_memory_bytes)} of that; an answer or a prompt wakes "
            "more and more"
        )
    lines += _speeds(found)
    if found.largest_context is not None:
        lines.append(f"context     up to {found.largest_context} tokens fit")
    lines.append(f"download    {megabytes(found.download_bytes) if found.download_bytes else 'none, it is here'}")
    lines.append(
        f"machine     {machine.processor}, {machine.cores} cores, reads {machine.read_bandwidth / 1e9:.0f} GB/s, "
        f"multiplies {machine.matmul_flops / 1e9:.0f} Gflop/s (fp32)"
    )
    return "\n".join(lines)


def _speeds(found: Fit) -> list[str]:
    """Answers and prompts as ranges, and what slows them down."""
    why = (
        [f"slow path   {', '.join(found.slowed)}: the kernels don't know that, torch computes it"]
        if found.slowed
        else []
    )
    if found.generation_tokens_per_second is None:
        return ["speed       not predicted: the disk would be read for every token", *why]
    answer = f"generation  {_range(found.generation_tokens_per_second, found.speed_share)} tokens/s"
    if found.generation_at_full_context:
        answer += f", {_range(found.generation_at_full_context, found.speed_share)} with a full context"
    if found.prompt_tokens_per_second is None:
        prompt = (
            "prompt      unknown, and so are the cache's size and what the kernels know: only the download's size is"
        )
        return [answer + " at best", prompt, *why]
    return [answer, f"prompt      {_range(found.prompt_tokens_per_second, found.speed_share)} tokens/s", *why]


def _range(speed: float, share: tuple[float, float]) -> str:
    return f"{_short(speed * share[0])} to {_short(speed * share[1])}"


def _short(number: float) -> str:
    """Two digits: more would promise too much."""
    digits = f"{number:.2g}"
    return f"{float(digits):.0f}" if number >= 1 and float(digits) == round(float(digits)) else f"{float(digits):g}"
