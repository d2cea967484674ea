"""Results that come all at once, at the end of a job: scores, embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from limpide.engine.stream import Job

if TYPE_CHECKING:
    from limpide.engine.engine import Engine

T = TypeVar("T")
U = TypeVar("U")


class Pending(Generic[T]):
    """What a job will have found when it is done. Closing it, or dropping it, gives the job up."""

    def __init__(self, engine: Engine, job: Job, results: Callable[[], T]) -> None:
        self.job = job
        self._engine = engine
        self._results = results

    def wait(self) -> T:
        """Compute steps, in turn with other threads, until the result is there."""
        try:
            self._engine.drive(lambda: self.job.done)
        finally:
            self.close()
        return self.result()

    def result(self) -> T:
        """The result of a job that is done. Raises the job's error."""
        if not self.job.done:
            raise AssertionError("the job is not done")
        if self.job.error is not None:
            raise self.job.error
        return self._results()

    def map(self, change: Callable[[T], U]) -> Pending[U]:
        """The same job, with its result in another form."""
        return Pending(self._engine, self.job, lambda: change(self.result()))  # which holds on to this one

    def close(self) -> None:
        """Nobody waits for it any more."""
        if not self.job.done:
            self._engine.abort(self.job)

    def __del__(self) -> None:
        self.close()
