"""How well `limpide fit` predicts what `limpide bench` measures, in one run on one machine.

    python benchmarks/fit_accuracy.py smollm2-135m gemma3-270m

Prints one JSON object per model: predicted, measured and their ratio, and the shares (of bandwidth, of matrix speed)
that would have made each prediction right. Those are what the constants of `limpide.hub.speed` are set from.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from limpide.hub.candidate import look_at
from limpide.hub.fit import predict
from limpide.hub.machine import Machine
from limpide.hub.speed import GENERATION_SHARE, LAYER_SECONDS, prompt_share

PROMPT, GENERATION = 512, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--numerics", default="fast", choices=("fast", "exact"))
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    for model in options.models:
        print(json.dumps(compare(model, options.numerics, options.repetitions)))


def compare(model: str, numerics: Any, repetitions: int) -> dict[str, Any]:
    # A process of its own: the peak of one model must not hide another's.
    command = [sys.executable, "-m", "limpide", "bench", "-m", model, "--numerics", numerics, "--json"]
    command += ["-p", str(PROMPT), "-n", str(GENERATION), "-r", str(repetitions)]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    machine = Machine(**measured["machine"])
    candidate = look_at(model)
    found = predict(candidate, machine, context=PROMPT + GENERATION, numerics=numerics)
    shape = candidate.shape
    assert shape is not None
    seconds = 1 / measured["generation_tokens_per_second"]
    reading = seconds - shape.layers * LAYER_SECONDS
    prompt, generation = found.prompt_tokens_per_second, found.generation_tokens_per_second
    assert prompt is not None
    assert generation is not None
    read_bytes = GENERATION_SHARE * machine.read_bandwidth * (1 / generation - shape.layers * LAYER_SECONDS)
    return {
        "model": model,
        "numerics": numerics,
        "memory": _pair(found.memory_bytes, measured["peak_rss_bytes"]),
        "generation": _pair(generation, measured["generation_tokens_per_second"]),
        "prompt": _pair(prompt, measured["prompt_tokens_per_second"]),
        "generation_share": read_bytes / machine.read_bandwidth / reading if reading > 0 else None,
        "prompt_share": prompt_share(machine) * measured["prompt_tokens_per_second"] / prompt,
        "read_bandwidth": machine.read_bandwidth,
        "matmul_flops": machine.matmul_flops,
        "measured_at": measured["measured_at"],
    }


def _pair(predicted: float, measured: float) -> dict[str, float]:
    return {"predicted": predicted, "measured": measured, "ratio": predicted / measured}


if __name__ == "__main__":
    main()
