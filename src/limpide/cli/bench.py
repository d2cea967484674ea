"""`limpide bench`: how fast, how large, and how close to what the machine allows."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from limpide.cli.opening import Choice, open_model
from limpide.cli.options import (
    ContextOption,
    LicenceOption,
    ModelOption,
    NumericsChoice,
    NumericsOption,
    OfflineOption,
    SpeculateOption,
    ThreadsOption,
)
from limpide.cli.running import PanelCommand
from limpide.cli.terminal import is_terminal, note
from limpide.core.results import BenchResult, Measurement, to_json

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PanelCommand)
def bench(
    prompt_tokens: Annotated[
        int, typer.Option("--prompt-tokens", "-p", min=1, metavar="N", help="Length of the prompt (llama-bench's pp).")
    ] = 512,
    generation_tokens: Annotated[
        int, typer.Option("--generation-tokens", "-n", min=1, metavar="N", help="Tokens to generate (its tg).")
    ] = 128,
    repetitions: Annotated[
        int, typer.Option("--repetitions", "-r", min=1, max=1000, metavar="N", help="Counted runs of each.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the random tokens.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, with every sample and what was run.")] = False,
    model: ModelOption = "smollm2-135m",
    numerics: NumericsOption = NumericsChoice.FAST,
    context: ContextOption = None,
    threads: ThreadsOption = None,
    speculate: SpeculateOption = "off",
    offline: OfflineOption = False,
    accept_licence: LicenceOption = None,
) -> None:
    """Measure prompt and generation speed, memory, load time, and the share of the machine's bandwidth in use.

    Speeds are mean ± standard deviation in tokens per second; pp512 and tg128 mean what they mean in llama-bench.
    Generating one token reads all weights once, so the machine's read bandwidth sets the limit of tg.

    \b
    Examples:
      limpide bench
      limpide bench -p 512 -n 128 -r 3 --threads 2 --json
      limpide bench -m ./model.gguf --numerics exact
    """
    from limpide.cli.measuring import measure, program_rss_bytes

    def tell(text: str) -> None:
        if is_terminal(sys.stderr):
            note(f"{text} …")

    choice = Choice(model, numerics, offline, tuple(accept_licence or ()), context, threads, speculate=speculate)
    before = program_rss_bytes()
    with open_model(choice) as opened:
        result = measure(
            opened,
            program_rss_bytes=before,
            prompt_tokens=prompt_tokens,
            generation_tokens=generation_tokens,
            repetitions=repetitions,
            seed=seed,
            tell=tell,
        )
    sys.stdout.write(to_json(result.as_dict()) + "\n" if json else table(result))


def table(result: BenchResult) -> str:
    """The result for people."""

    def speed(measured: Measurement) -> str:
        return f"{measured.mean:.1f} ± {measured.sd:.1f} tokens/s"

    rows = [
        ("model", f"{result.model} ({result.architecture}), {result.numerics}, {result.threads} threads"),
        (f"pp{result.prompt_tokens}", speed(result.prompt)),
        (f"tg{result.generation_tokens}", speed(result.generation)),
        (
            "bandwidth",
            f"{result.bandwidth_fraction:.0%} of {result.read_bandwidth / 1e9:.1f} GB/s measured here "
            f"({result.bytes_per_token / 1e6:.1f} MB of weights per token)",
        ),
        ("load", f"{result.load_seconds:.2f} s"),
        (
            "peak memory",
            f"{result.peak_rss_bytes / 1e6:.0f} MB resident, {result.model_rss_bytes / 1e6:.0f} MB of it the model's "
            f"(keys and values: {result.cache_bytes / 1e6:.0f} MB)",
        ),
    ]
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)
