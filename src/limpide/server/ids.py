"""Names for what a server makes."""

from __future__ import annotations

from uuid import uuid4


def new_id(prefix: str) -> str:
    """A name that nobody can guess: the prefix (`chatcmpl-`, `resp_`, …) and 24 hex digits."""
    return prefix + uuid4().hex[:24]
