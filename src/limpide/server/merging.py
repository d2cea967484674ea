"""Several answers as one, for requests with several prompts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from limpide.core.events import Event
from limpide.core.hosting import Running

_AHEAD = 64
"""Events that wait for a slow reader; the engine itself is not slowed by it."""


class Merged:
    """Answers that run side by side. Choices are numbered through: those of the second answer follow the first's."""

    def __init__(self, runnings: Sequence[Running], choices: int) -> None:
        self._runnings = runnings
        self._choices = choices

    @property
    def prompt_tokens(self) -> int:
        """Of all prompts."""
        return sum(running.prompt_tokens for running in self._runnings)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events()

    async def _events(self) -> AsyncIterator[Event]:
        queue: asyncio.Queue[Event | Exception | None] = asyncio.Queue(_AHEAD)

        async def read(number: int, running: Running) -> None:
            end: Exception | None = None
            try:
                async for event in running:
                    await queue.put(replace(event, index=event.index + number * self._choices))
            except Exception as error:  # noqa: BLE001 - handed to who reads
                end = error
            await queue.put(end)

        readers = [asyncio.create_task(read(*each)) for each in enumerate(self._runnings)]
        try:
            remaining = len(readers)
            while remaining:
                item = await queue.get()
                if isinstance(item, Exception):
                    raise item
                if item is None:
                    remaining -= 1
                else:
                    yield item
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    def stop_thinking(self) -> None:
        """All of them."""
        for running in self._runnings:
            running.stop_thinking()

    def abort(self) -> None:
        """All of them."""
        for running in self._runnings:
            running.abort()

    async def aclose(self) -> None:
        """All of them."""
        for running in self._runnings:
            await running.aclose()
