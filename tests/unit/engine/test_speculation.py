"""Speculation is invisible: any request has the same answer, bit for bit, with drafts and without."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch

from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta
from limpide.core.sampling import Sampling
from limpide.engine.engine import Engine
from limpide.engine.request import EngineRequest
from limpide.engine.speculation import MAX_DRAFT, LookupDrafter, Speculation
from limpide.text import ThinkingPlan

Prompts = Callable[[int, int], list[int]]


class Oracle:
    """Guesses what another engine wrote, of which every `wrong`-th token is spoiled."""

    name = "oracle"
    seconds = 0.0

    def __init__(self, texts: dict[int, list[int]], wrong: int) -> None:
        self.texts, self.wrong, self.longest = texts, wrong, 0

    def expect(self, choice: Any, track: Any) -> float:
        track.forget()
        return 0.9

    def draft(self, choice: Any, count: int) -> list[int]:
        self.longest = max(self.longest, count)
        done = len(choice.sequence.tokens)
        text = self.texts[choice.sequence.id]
        return [t if (i + 1) % self.wrong else t ^ 1 for i, t in enumerate(text)][done : done + count]


def lookup() -> Speculation:
    return Speculation(LookupDrafter(), always=True)


def outcome(events: Iterable[Event]) -> Any:
    """All that a request shows but its times and what was drafted."""
    shown: dict[int, list[Any]] = {}
    for event in events:
        if isinstance(event, TextDelta | ThinkingDelta):
            shown.setdefault(event.index, []).append((type(event).__name__, event.text, event.logprobs))
        elif isinstance(event, Finished):
            usage = event.usage
            shown.setdefault(event.index, []).append(
                (event.reason, event.stop, usage.thinking_tokens, usage.answer_tokens, usage.thinking_truncated)
            )
    return shown


def drafts(events: Iterable[Event]) -> tuple[int, int]:
    ends = [e.usage for e in events if isinstance(e, Finished)]
    return sum(u.accepted_draft_tokens for u in ends), sum(u.rejected_draft_tokens for u in ends)


PLAN = ThinkingPlan(starts_thinking=False, open_marker="<t>", close_marker="</t>", forced_close="...</t>", budget=5)


def some_request(draw: random.Random) -> EngineRequest:
    """Anything that can be asked, with prompts that repeat themselves."""
    phrase = [draw.randrange(256) for _ in range(draw.randint(1, 20))]
    prompt = (phrase * 20)[: draw.randint(1, 120)]
    sampling = Sampling(
        temperature=draw.choice([0.0, 0.0, 0.3, 1.0]),
        top_p=draw.choice([1.0, 0.8]),
        top_k=draw.choice([0, 5]),
        min_p=draw.choice([0.0, 0.1]),
        repetition_penalty=draw.choice([1.0, 1.0, 1.3]),
        presence_penalty=draw.choice([0.0, 0.5]),
        logit_bias=draw.choice([{}, {65: 3.0}]),
        stop=draw.choice([(), ("e",), ("\ufffd\ufffd", "ab")]),
        max_tokens=draw.randint(1, 70),
        seed=draw.randrange(1000),
        n=draw.choice([1, 1, 2]),
        logprobs=draw.choice([None, 0, 3]),
        ignore_eos=draw.random() < 0.5,
    )
    return EngineRequest(prompt, sampling)


def run(engine: Engine, requests: list[EngineRequest]) -> list[list[Event]]:
    streams = [engine.submit(request) for request in requests]
    while engine.step():
        engine.check_integrity()
    return [list(stream) for stream in streams]


@pytest.mark.parametrize("seed", range(6))
def test_any_requests_have_the_answers_that_they_have_without(even: Any, seed: int) -> None:
    draw = random.Random(seed)
    requests = [some_request(draw) for _ in range(8)]
    plain = [outcome(events) for events in run(even.engine(), requests)]
    accepted = rejected = 0
    for options in ({}, {"max_batch": 1}, {"token_budget": 48}, {"num_blocks": 24, "max_batch": 8}):
        engine = even.engine(speculation=lookup(), **options)
        for again in range(2):  # the second time from the prefixes that the first one left
            answers = run(engine, requests)
            assert [outcome(events) for events in answers] == plain
            right, wrong = map(sum, zip(*map(drafts, answers), strict=True))
            accepted, rejected = accepted + right, rejected + wrong
    assert accepted > 20
    assert rejected > 20
