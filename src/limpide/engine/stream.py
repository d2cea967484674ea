"""What a caller holds of a running request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from limpide.core.events import Event, Finished
from limpide.core.hosting import ANYBODY, Caller
from limpide.core.receipt import Receipt
from limpide.engine.choice import Ending
from limpide.engine.sequence import Sequence

if TYPE_CHECKING:
    from limpide.engine.engine import Engine


class Job:
    """Sequences that were asked for together, and the way back to who asked."""

    def __init__(self, caller: Caller = ANYBODY) -> None:
        self.caller = caller
        self.sequences: list[Sequence] = []
        self.events: deque[Event | Ending] = deque()
        self.remaining = 0
        """Sequences that are not finished."""
        self.error: Exception | None = None
        self.cancelled = False

    @property
    def done(self) -> bool:
        """Whether no more events will come."""
        return self.remaining == 0

    def count_down(self) -> None:
        """One sequence is finished."""
        self.remaining -= 1

    def fail(self, error: Exception) -> None:
        """None of the unfinished sequences will be finished."""
        self.error = error
        self.remaining = 0

    def end(self, ending: Ending) -> None:
        """One choice is finished."""
        self.events.append(ending)
        self.remaining -= 1


class Stream(Iterator[Event]):
    """Events of one request, in order; with several choices they are interleaved and told apart by `index`.

    An error of the request is raised by `next`. Closing aborts what is unfinished; so does dropping the stream.
    prompt_tokens: how many tokens they are an answer to.
    """

    def __init__(self, engine: Engine, job: Job, receipt: Callable[[], Receipt], prompt_tokens: int) -> None:
        self.job = job
        self.prompt_tokens = prompt_tokens
        self._engine = engine
        self._receipt = receipt
        self._closed = False

    def __next__(self) -> Event:
        if self._closed:
            raise StopIteration
        job = self.job
        if not job.events and not job.done:
            self._engine.drive(lambda: bool(job.events) or job.done)
        if job.events:
            head = job.events[0]
            if isinstance(head, Ending):
                receipt = self._receipt()
                receipt = replace(receipt, parameters={**receipt.parameters, **head.outcomes})
                head = Finished(head.reason, head.usage, receipt, head.index, head.stop)
            # Taken and returned in one go: an interrupt in between would lose it.
            return (head, job.events.popleft())[0]
        self._closed = True
        if job.error is not None:
            raise job.error
        raise StopIteration

    @property
    def at_end(self) -> bool:
        """Whether the next event is the end of a choice, whose receipt may have to wait for a hash."""
        return bool(self.job.events) and isinstance(self.job.events[0], Ending)

    def abort(self) -> None:
        """End the answer here, from any thread: what was written so far, then Finished with reason "aborted"."""
        if not self.job.done:
            self._engine.abort(self.job, tell=True)

    def stop_thinking(self) -> None:
        """Have the model stop thinking at its next token and answer, from any thread."""
        self._engine.stop_thinking(self.job)

    def close(self) -> None:
        """No more events are wanted."""
        self._closed = True
        if not self.job.done:
            self._engine.abort(self.job)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self.job.done:
            self._engine.abort(self.job)
