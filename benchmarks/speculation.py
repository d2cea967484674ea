"""Generation with and without guesses, taken in turns: where the answer is in the prompt already, and where it is not.

    python benchmarks/speculation.py [MODEL] [--rounds N] [--tokens N] [--json]

Greedy answers of the same length to the same prompts, by one engine each in one process; seconds are those from the
first token to the last. `batch` asks four different questions at once, `auto` and `off` alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from limpide.backends.local import LocalBackend
from limpide.core.events import Finished, Usage
from limpide.core.messages import Message
from limpide.core.ports import ChatRequest
from limpide.core.sampling import Sampling
from limpide.hub import resolve

CODE = """class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        if not self.items:
            raise IndexError("pop from an empty stack")
        return self.items.pop()

    def peek(self):
        if not self.items:
            raise IndexError("peek at an empty stack")
        return self.items[-1]
"""
RECORDS = json.dumps(
    [
        {"name": name, "price": 10 + 3 * i, "stock": {"north": i, "south": 9 - i}}
        for i, name in enumerate(("lamp", "chair", "table", "shelf", "mirror", "carpet"))
    ],
    indent=1,
)
NEWS = (
    "The harbour of Lorne was closed on Monday after a storm. 'We have not seen waves like these in forty years,' said "
    "Ann Price, who has kept the lighthouse since 1984. The ferry to the islands will sail again on Thursday. 'People "
    "should stay away from the pier until then,' she added. The town's bakery brought bread to those who waited."
)
DRAFT = (
    "Dear Ms Moore, I would like to move our meeting from Tuesday to Friday at ten. Please tell me if this suits you."
)
CASES: dict[str, list[Message]] = {
    "code, edited": [Message("user", f"Rename the method peek to top. Answer with all the code.\n\n{CODE}")],
    "JSON, repeated": [Message("user", f"Repeat this JSON exactly:\n{RECORDS}")],
    "summary with quotations": [Message("user", f"Summarise this and quote everything that was said:\n{NEWS}")],
    "rewriting, third turn": [
        Message("user", f"Make this letter friendlier: {DRAFT}"),
        Message("assistant", f"Here it is: {DRAFT} I hope you are well!"),
        Message("user", "Now write Thursday in place of Friday, and repeat the whole letter."),
    ],
    "free prose": [Message("user", "Write a long story about a lighthouse keeper and her dog.")],
    "explanation": [Message("user", "Explain how photosynthesis works.")],
}


def ask(backend: LocalBackend, conversations: list[list[Message]], tokens: int) -> list[Usage]:
    """Answer all of them at once."""
    sampling = Sampling(max_tokens=tokens, ignore_eos=True, seed=0)
    streams = [backend.stream(ChatRequest(tuple(each), sampling)) for each in conversations]
    return [event.usage for stream in streams for event in stream if isinstance(event, Finished)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    path: Path = resolve(asked.model).path
    backends = {how: LocalBackend.open(path, context=1024, sha256="0", speculate=how) for how in ("off", "auto")}
    cases = {name: [conversation] for name, conversation in CASES.items()}
    cases["batch of four, mixed"] = [CASES[name] for name in list(CASES)[1:5]]
    results = {}
    for name, conversations in cases.items():
        seconds: dict[str, list[float]] = {how: [] for how in backends}
        right = guessed = 0
        for number in range(asked.rounds + 1):  # the first one is not counted
            for how in list(backends)[:: 1 if number % 2 else -1]:
                usages = ask(backends[how], conversations, asked.tokens)
                if number:
                    seconds[how].append(max(usage.decode_seconds for usage in usages))
                    right += sum(usage.accepted_draft_tokens for usage in usages)
                    guessed += sum(usage.accepted_draft_tokens + usage.rejected_draft_tokens for usage in usages)
        speeds = {
            how: len(conversations) * (asked.tokens - 1) / statistics.median(took) for how, took in seconds.items()
        }
        ratios = [off / auto for off, auto in zip(seconds["off"], seconds["auto"], strict=True)]
        total = asked.rounds * len(conversations) * asked.tokens
        results[name] = {
            **speeds,
            "ratio": statistics.median(ratios),
            "least": min(ratios),
            "most": max(ratios),
            "guessed": guessed / total,
            "right": right / guessed if guessed else None,
        }
        if not asked.json:
            found = results[name]
            share = f"{found['right']:.0%}" if guessed else "-"
            print(
                f"{name:24} off {speeds['off']:6.1f}  auto {speeds['auto']:6.1f} tokens/s  ratio {found['ratio']:.2f} "
                f"({found['least']:.2f} to {found['most']:.2f})  "
                f"guessed {found['guessed']:.2f} per token, right {share}",
                flush=True,
            )
    if asked.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
