"""Guessing ahead on the real SmolLM2: the same answers, greedy and sampled, in both numerics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limpide.backends.local import LocalBackend
from limpide.core.events import Finished
from limpide.core.messages import Message
from limpide.core.ports import ChatRequest
from limpide.core.receipt import Numerics
from limpide.core.sampling import Sampling
from limpide.engine.request import EngineRequest

CODE = '{"name": "lamp", "price": 12, "tags": ["light", "brass"], "stock": {"north": 4, "south": 9}}'
PROMPTS = (f"Repeat this JSON exactly, with the price changed to 14:\n{CODE}", "Write a poem about the sea.")


def answers(backend: LocalBackend, tokens: int) -> tuple[list[list[int]], int, int]:
    """Tokens of greedy and sampled answers, computed together; guesses that were right, and wrong.

    No two prompts are the same: answers that share a block of keys may, in `fast`, each have computed it in other
    chunks, and then it matters whose is kept.
    """
    streams = []
    for number, prompt in enumerate(PROMPTS):
        for temperature in (0.0, 0.7):
            sampling = Sampling(temperature=temperature, seed=3, max_tokens=tokens, ignore_eos=True)
            asked = f"{number} {temperature}: {prompt}"
            request = backend.prepare(ChatRequest((Message("user", asked),), sampling))
            streams.append(backend.engine.submit(EngineRequest(request.prompt, sampling)))
    lines = [line for stream in streams for line in stream.job.sequences]
    ends: list[Any] = [e for stream in streams for e in stream if isinstance(e, Finished)]
    right = sum(end.usage.accepted_draft_tokens for end in ends)
    return [list(line.tokens) for line in lines], right, sum(end.usage.rejected_draft_tokens for end in ends)


@pytest.mark.parametrize(("numerics", "tokens"), [("fast", 96), ("exact", 32)])
def test_answers_are_the_same_with_guesses(smollm2_path: Path, numerics: Numerics, tokens: int) -> None:
    found = {}
    for how in ("off", "lookup", smollm2_path):
        backend = LocalBackend.open(smollm2_path, numerics=numerics, context=512, sha256="0", speculate=how)
        found[how] = answers(backend, tokens)
        backend.close()
    plain, right, wrong = found["off"]
    assert (right, wrong) == (0, 0)
    assert found["lookup"][0] == plain
    assert min(found["lookup"][1:]) > 10
    # The model itself as its own draft is always right, or in `fast` nearly: it reads prompts in other chunks. It is
    # soon given up, for it is as slow as what it saves.
    assert found[smollm2_path][0] == plain
    assert found[smollm2_path][1] > 0
    assert found[smollm2_path][2] <= (0 if numerics == "exact" else found[smollm2_path][1])
