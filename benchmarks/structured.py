"""What a grammar costs per token: the same number of tokens with and without one, taken in turns.

    python benchmarks/structured.py [MODEL] [--rounds N]

The shape is an endless one of the same kind, so that all answers have the same length; `mask` is the time that choosing
from what is allowed takes beside the model, measured where it is spent.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from limpide.core.shape import Grammar, JsonSchema, Regex
from limpide.engine.guard import Guard
from limpide.model import Model

TOKENS = 128
PROMPT = "Write about the sea, at length."
RECORDS = {
    "type": "array",
    "minItems": 200,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 40},
            "kind": {"enum": ["fish", "bird", "plant"]},
            "size": {"type": "integer", "minimum": 0, "maximum": 10_000},
        },
        "required": ["name", "kind", "size"],
        "additionalProperties": False,
    },
}
SHAPES = {
    "none": None,
    "regex, any text": Regex("(?s:.*)"),
    "JSON schema": JsonSchema(RECORDS),
    "grammar": Grammar('start: line+\nline: WORD (" " WORD)* ".\\n"\nWORD: /[a-z]+/'),
}


class Clock:
    """Time spent in one method of a class."""

    def __init__(self) -> None:
        self.seconds = 0.0
        original = Guard.allowed

        def timed(guard: Guard) -> object:
            begin = time.perf_counter()
            try:
                return original(guard)
            finally:
                self.seconds += time.perf_counter() - begin

        Guard.allowed = timed  # type: ignore[method-assign, assignment]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    clock = Clock()
    speeds: dict[str, list[float]] = {name: [] for name in SHAPES}
    masks: dict[str, list[float]] = {name: [] for name in SHAPES}
    with Model(options.model) as model:
        begin = time.perf_counter()
        model.ask(PROMPT, shape=SHAPES["JSON schema"], max_tokens=1)
        first = time.perf_counter() - begin
        model.ask(PROMPT, max_tokens=8)
        for _ in range(options.rounds):
            for name, shape in SHAPES.items():
                clock.seconds = 0.0
                answer = model.ask(PROMPT, shape=shape, max_tokens=TOKENS, ignore_eos=True, temperature=0.7, seed=1)
                usage = answer.finished.usage
                speeds[name].append((usage.answer_tokens - 1) / usage.decode_seconds)
                masks[name].append(clock.seconds / usage.answer_tokens * 1e6)
    print(f"first request with a shape, tokenizer and grammar made: {first:.2f} s")
    for name in SHAPES:
        record = {
            "shape": name,
            "tokens_per_second": round(statistics.median(speeds[name]), 1),
            "mask_microseconds_per_token": round(statistics.median(masks[name]), 1),
        }
        print(json.dumps(record))


if __name__ == "__main__":
    main()
