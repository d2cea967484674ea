"""Many requests to an endpoint, several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue

from limpide.core.errors import EndpointFailed, EndpointRefused, LimpideError
from limpide.core.ports import Answer, ChatRequest

Result = Answer | LimpideError
Ask = Callable[[ChatRequest, threading.Event], Answer]
"""Answers one request; gives up when the event is set."""

_ABOUT_US = frozenset({401, 402, 403, 404})
"""Statuses that every other request would meet, too: a key or a model that the endpoint does not know."""
_FAILURES_IN_A_ROW = 5
"""After so many the endpoint is taken to be gone."""

_SECONDS_TO_HANG_UP = 2.0
"""An endpoint that is silent for longer is left to its own."""


def answer_all(ask: Ask, requests: Iterable[ChatRequest], at_once: int) -> Iterator[tuple[int, Result]]:
    """Number and answer of each request, in the order in which they end. Closing it gives up what runs.

    Raises EndpointRefused for what concerns all requests, EndpointFailed when one after the other fails.
    """
    waiting: SimpleQueue[tuple[int, ChatRequest] | None] = SimpleQueue()
    ended: SimpleQueue[tuple[int, Result | BaseException]] = SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        while (task := waiting.get()) is not None and not stop.is_set():
            number, request = task
            try:
                ended.put((number, ask(request, stop)))
            except BaseException as error:  # noqa: BLE001 - it is raised where it can be seen
                ended.put((number, error))

    workers: list[threading.Thread] = []
    running = failures = 0
    numbered = enumerate(requests)
    try:
        while True:
            while running < at_once and (task := next(numbered, None)):
                waiting.put(task)
                running += 1
                if len(workers) < running:
                    # Nobody waits at the end of the program for an endpoint that is silent.
                    workers.append(threading.Thread(target=work, daemon=True))
                    workers[-1].start()
            if not running:
                return
            number, result = ended.get()
            running -= 1
            failures = failures + 1 if isinstance(result, EndpointFailed) else 0
            yield number, _checked(result, failures)
    finally:
        stop.set()
        for _ in workers:
            waiting.put(None)
        # Whoever is still opening a connection would leave it open behind the client's back.
        deadline = time.monotonic() + _SECONDS_TO_HANG_UP
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))


def _checked(result: Result | BaseException, failures: int) -> Result:
    if isinstance(result, EndpointRefused) and result.status in _ABOUT_US:
        raise result
    if isinstance(result, EndpointFailed) and failures >= _FAILURES_IN_A_ROW:
        raise result
    if isinstance(result, Answer | LimpideError):
        return result
    raise result
