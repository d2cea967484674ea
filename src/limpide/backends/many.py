"""Many requests answered together: the batch is kept full until none are left."""

from __future__ import annotations

from collections.abc import Iterator

from limpide.core.answers import collect
from limpide.core.errors import EngineStopped, LimpideError
from limpide.core.ports import Answer
from limpide.engine.engine import Engine
from limpide.engine.stream import Stream


def answer_all(
    engine: Engine, attempts: Iterator[Stream | LimpideError]
) -> Iterator[tuple[int, Answer | LimpideError]]:
    """Number and answer of each attempt, in the order in which they end. Closing it aborts what runs.

    As many again as run at once are waiting, so that whoever ends makes room for somebody at the next step.
    """
    window = 2 * engine.scheduler.max_batch
    numbered = enumerate(attempts)
    running: dict[int, Stream] = {}
    try:
        while True:
            for number, attempt in numbered:
                if isinstance(attempt, LimpideError):
                    yield number, attempt
                    continue
                running[number] = attempt
                if len(running) >= window:
                    break
            if not running:
                return
            engine.drive(lambda: any(stream.job.done for stream in running.values()))
            for number in [number for number, stream in running.items() if stream.job.done]:
                yield number, _answer(running.pop(number))
    finally:
        for stream in running.values():
            stream.close()


def _answer(stream: Stream) -> Answer | LimpideError:
    try:
        return collect(stream)[0]
    except EngineStopped:
        raise  # nobody's answer will come any more
    except LimpideError as error:
        return error
