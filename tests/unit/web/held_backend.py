"""A model that stops in the middle of its answer until it is let go on: what happens then is no matter of luck."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from limpide.backends.fake import FakeBackend
from limpide.backends.scripted import reply_script

PATIENCE = 30


class HeldBackend(FakeBackend):
    """Says `before`, waits for `go_on`, and says `after`; it thinks if it is asked to, as every fake does."""

    def __init__(self, before: str, after: str) -> None:
        self._held = threading.Event()
        script = reply_script(lambda _: before + after, lambda _: "A thought.")
        mark = before.encode()

        def next_token(tokens: Sequence[int]) -> int:
            if bytes(token for token in tokens if token < 256).endswith(mark):
                self._held.wait(PATIENCE)
            return script(tokens)

        super().__init__(script=next_token)

    def go_on(self) -> None:
        """Let it write to the end, now and ever after."""
        self._held.set()
