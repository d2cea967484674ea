"""The cards and the table in docs/cards, made again from nothing: every offline task, on both small models.

    python benchmarks/cards.py docs/cards                  # minutes on two cores
    python benchmarks/cards.py /tmp/cards --limit 20       # a look

SmolLM2 is asked without thinking and with it (prompted: it never learned to). Gemma 3 270M is a base model, which is
asked by likelihood alone. The folder must not hold cards already.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SCORED = ("choices", "english", "french")
GENERATED = ("instructions", "reasoning", "tools", "long", "safety-lite")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--limit", type=int, default=100, help="items of each task")
    parser.add_argument("--scored-limit", type=int, default=300, help="items of each task that is scored by likelihood")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        for model, terms in (("smollm2-135m", ()), ("gemma3-270m", ("--accept-licence", "gemma"))):
            evaluate(model, SCORED, options.scored_limit, runs / model / "scored", *terms)
            if not terms:
                for think in ("off", "low"):
                    evaluate(model, GENERATED, options.limit, runs / model / think, "--think", think)
            bench = runs / f"{model}.json"
            bench.write_text(limpide("bench", "-m", model, "--json", *terms))
            given = [part for found in sorted((runs / model).iterdir()) for part in ("--runs", str(found))]
            limpide("card", model, *given, "--bench", str(bench), "-o", str(options.output / model), *terms)
        every = [str(found) for model in sorted(runs.iterdir()) if model.is_dir() for found in sorted(model.iterdir())]
        limpide("eval", "report", *every, "--markdown", str(options.output / "table.md"))


def evaluate(model: str, tasks: tuple[str, ...], limit: int, folder: Path, *more: str) -> None:
    named = [part for task in tasks for part in ("--task", task)]
    limpide("eval", model, *named, "--limit", str(limit), "--no-cache", "-o", str(folder), *more)


def limpide(*arguments: str) -> str:
    print("limpide", *arguments, file=sys.stderr)
    done = subprocess.run([sys.executable, "-m", "limpide", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


if __name__ == "__main__":
    main()
