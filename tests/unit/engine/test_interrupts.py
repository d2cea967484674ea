"""Ctrl-C on any line of the engine's and the cache's code."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import limpide.cache
import limpide.engine
from limpide.backends.fake import FakeBackend
from limpide.core.errors import EngineStopped
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta
from limpide.core.messages import conversation
from limpide.core.ports import ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking
from limpide.engine.stream import Stream

OURS = tuple(str(Path(module.__file__ or "").parent) for module in (limpide.engine, limpide.cache))
REPLY = "A reply that fills a block."


class Interrupt:
    """Raises KeyboardInterrupt before the `at`-th line that runs in the engine or the cache."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __enter__(self) -> Interrupt:
        sys.settrace(self.call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self.line if frame.f_code.co_filename.startswith(OURS) else None

    def line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.line


def ask(backend: FakeBackend, number: int) -> Stream:
    return backend.stream(
        ChatRequest(conversation(f"question {number}"), Sampling(n=2, seed=1), Thinking.parse(10 * (number % 2)))
    )


def shown(events: list[Event]) -> list[tuple[str, str]]:
    return [
        (
            "".join(e.text for e in events if isinstance(e, ThinkingDelta) and e.index == index),
            "".join(e.text for e in events if isinstance(e, TextDelta) and e.index == index),
        )
        for index in range(2)
    ]


def drain(stream: Stream, into: list[Event]) -> None:
    for event in stream:
        into.append(event)


def scenario(at: int) -> tuple[int, int]:
    """Three conversations, the second one read with an interrupt. Returns lines left and answers lost."""
    backend = FakeBackend(REPLY, cache_bytes=40 * 128, max_batch=5)
    streams = [ask(backend, number) for number in range(3)]
    seen: list[list[Event]] = [[], [], []]
    seen[0].append(next(streams[0]))
    interrupt = Interrupt(at)
    try:
        with interrupt:
            streams[2].close()
            drain(streams[1], seen[1])
    except KeyboardInterrupt:
        pass
    lost = 0
    for number in (0, 1):
        try:
            drain(streams[number], seen[number])
        except EngineStopped as error:
            if "interrupted" not in str(error):
                raise
            lost += 1
            continue
        wanted = ("First one " if number else "", REPLY)
        assert shown(seen[number]) == [wanted, wanted]
        assert sum(isinstance(e, Finished) for e in seen[number]) == 2
    streams[2].close()
    backend.engine.step()
    backend.engine.check_integrity()
    assert not backend.engine.has_work
    assert shown_of_fresh(backend) == [("", REPLY)] * 2
    backend.close()
    return interrupt.left, lost


def shown_of_fresh(backend: FakeBackend) -> list[tuple[str, str]]:
    events: list[Event] = []
    drain(ask(backend, 4), events)
    return shown(events)


def test_every_line_can_be_interrupted() -> None:
    total = 10**9 - scenario(10**9)[0]
    points = random.Random(7).sample(range(1, total + 1), 60)
    lost = sum(scenario(at)[1] for at in points)
    assert lost < 25  # only those that were changing at that very moment


def test_without_an_interrupt_nothing_is_lost() -> None:
    left, lost = scenario(10**9)
    assert left > 0
    assert lost == 0


@pytest.mark.parametrize("at", [1, 5, 20])
def test_interrupts_in_a_row(at: int) -> None:
    backend = FakeBackend(REPLY)
    stream = ask(backend, 0)
    events: list[Event] = []
    for _ in range(8):
        try:
            with Interrupt(at):
                drain(stream, events)
        except KeyboardInterrupt:
            backend.engine.scheduler.cache.num_available  # noqa: B018
    try:
        drain(stream, events)
    except EngineStopped:
        return
    assert shown(events) == [("", REPLY)] * 2
