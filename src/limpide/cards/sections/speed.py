"""Speed and memory: from `limpide bench --json`."""

from __future__ import annotations

from typing import Any

from limpide.cards.blocks import Block, Paragraph, Table, shown
from limpide.cards.estimates import estimate, rounded
from limpide.cards.evidence import Evidence
from limpide.core.results import Measurement

NAME = "speed"
TITLE = "Speed and memory"


def data(evidence: Evidence) -> dict[str, Any] | None:
    """Tokens per second and bytes, with the machine that they were measured on."""
    bench = evidence.bench
    if bench is None:
        return None
    return {
        "prompt": {"tokens": bench.prompt_tokens, **_speed(bench.prompt)},
        "generation": {"tokens": bench.generation_tokens, **_speed(bench.generation)},
        "numerics": bench.numerics,
        "threads": bench.threads,
        "bandwidth_fraction": rounded(bench.bandwidth_fraction),
        "load_seconds": rounded(bench.load_seconds),
        "peak_rss_bytes": bench.peak_rss_bytes,
        "model_rss_bytes": bench.model_rss_bytes,
        "machine": {name.replace("_", " "): _written(value) for name, value in bench.machine.items()},
        "measured_at": bench.measured_at,
    }


def _speed(measured: Measurement) -> dict[str, Any]:
    found = estimate(measured.samples, None, bounded=False)
    low = found["low"]
    return {**found, "low": None if low is None else max(0.0, low), "unit": "tokens/s"}


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def blocks(found: dict[str, Any]) -> list[Block]:
    """A table, and where it was measured."""
    prompt, generation = found["prompt"], found["generation"]
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    return [
        Table(
            ("quantity", "value (95 % interval)", "runs"),
            (
                (f"reading a prompt of {prompt['tokens']} tokens", shown(prompt), str(prompt["items"])),
                (f"writing {generation['tokens']} tokens", shown(generation), str(generation["items"])),
                ("share of the memory bandwidth in use", f"{100 * found['bandwidth_fraction']:.0f} %", "1"),
                ("loading", f"{found['load_seconds']:.2f} s", "1"),
                ("peak memory", f"{found['peak_rss_bytes'] / 1e6:,.0f} MB", "1"),
                ("of it the model's", f"{found['model_rss_bytes'] / 1e6:,.0f} MB", "1"),
            ),
        ),
        Paragraph(
            f"Measured {found['measured_at']}, threads: {found['threads']}, numerics: {found['numerics']}; {machine}. "
            "What was run once has no interval."
        ),
    ]
