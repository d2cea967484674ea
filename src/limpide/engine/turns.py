"""Many threads, one engine: who computes the next step, and how the others are heard meanwhile."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from limpide.core.errors import EngineStopped

Message = Callable[[], None]
"""A change to the engine's books. May be carried out twice, if it is interrupted: must be idempotent."""


class Turns(ABC):
    """Lets whoever waits for something compute the next step, one thread at a time, for everybody.

    `_step` and `_settle` are called by one thread at a time; both call `_deliver`. A base class and not a part, so that
    no cycle of references keeps the weights in memory when the engine is dropped.
    """

    def __init__(self) -> None:
        self._inbox: deque[Message] = deque()
        self._changed = threading.Condition()
        self._stepper: int | None = None
        self._closed = False

    @abstractmethod
    def _step(self) -> bool:
        """Carry out the messages, then compute one step. False when there was nothing to compute."""

    @abstractmethod
    def _settle(self) -> None:
        """Carry out the messages only."""

    def step(self) -> bool:
        """Compute one step, after the one that another thread may be computing. False when there is nothing to do."""
        try:
            with self._changed:
                while self._others_turn:
                    self._changed.wait()
                self._stepper = threading.get_ident()
            return self._step()
        finally:
            self._end_turn()

    def drive(self, until: Callable[[], bool]) -> None:
        """Compute steps, in turn with other threads that want the same, until `until()` holds."""
        while not until():
            try:
                with self._changed:
                    while self._others_turn and not until():
                        self._changed.wait()
                    if until():
                        return
                    self._stepper = threading.get_ident()
                if not self._step() and not until():
                    raise EngineStopped("the engine has nothing to do, and the request is not finished")
            finally:
                self._end_turn()

    def _post(self, message: Message) -> None:
        """Have a message carried out before the next step. Raises EngineStopped after `_close`."""
        with self._changed:
            if self._closed:
                raise EngineStopped("the engine is closed", hint="load the model again")
            self._inbox.append(message)
            self._changed.notify_all()

    def _tell(self, message: Message) -> None:
        """Like `_post`, but at once if nobody computes, and also when closed."""
        self._inbox.append(message)
        self._settle_now()

    def _close(self, message: Message) -> None:
        """Take no more posts; `message` is the last."""
        with self._changed:
            self._closed = True
        self._tell(message)

    def _deliver(self) -> None:
        """Carry the messages out."""
        while self._inbox:
            try:
                self._inbox[0]()
            except Exception:
                self._inbox.popleft()
                raise
            # Taken out only when done: one that is interrupted is carried out again.
            self._inbox.popleft()

    @property
    def _others_turn(self) -> bool:
        return self._stepper is not None and self._stepper != threading.get_ident()

    def _taken(self) -> bool:
        return self._stepper is not None

    def _settle_now(self) -> None:
        """Not if it is anybody's turn: whoever has it will see to it.

        That may be this very thread: the garbage collector closes dropped streams at any moment, also inside a step.
        """
        if self._taken():
            return
        try:
            with self._changed:
                if self._taken():
                    return
                self._stepper = threading.get_ident()
            self._settle()
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        with self._changed:
            if self._stepper == threading.get_ident():
                self._stepper = None
                self._changed.notify_all()
        if self._inbox:  # it came during the turn, from someone who may not come back
            self._settle_now()
