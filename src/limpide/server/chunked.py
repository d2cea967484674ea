"""Answers of OpenAI's dialect as a stream of chunks that ends with `[DONE]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from limpide.core.events import Event
from limpide.server.answering import Answering
from limpide.server.sse import DONE, Frames, frame
from limpide.server.wire.base import Reply
from limpide.server.wire.usage import Ends


class Chunks(Protocol):
    """Turns the events of one answer into chunks, one at a time."""

    ends: Ends

    def open(self) -> Sequence[Reply]:
        """What comes before all events."""

    def push(self, event: Event) -> Sequence[Reply]:
        """What an event adds."""


async def chunk_frames(answer: Answering, chunks: Chunks) -> Frames:
    """The frames of a stream. Raises EngineStopped if the answer broke off."""
    for chunk in chunks.open():
        yield frame(chunk.as_json())
    async for event in answer:
        for chunk in chunks.push(event):
            yield frame(chunk.as_json())
    chunks.ends.check()
    await answer.aclose()  # who has read [DONE] may rely on it that nothing is held any more
    yield DONE
