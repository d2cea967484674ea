"""How often and after how long a request is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may succeed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Exponential back-off with full jitter, unless the server says itself when to come again."""

    tries: int = 6
    first: float = 0.5
    """Seconds that the first wait may last; each further one may last twice as long."""
    longest: float = 60.0
    """Seconds that any wait may last; who is told to wait longer gives up."""

    def wait(self, attempt: int, retry_after: float | None) -> float | None:
        """Seconds until the next try after `attempt` (1 for the first) failed; None to give up."""
        if attempt >= self.tries or (retry_after or 0.0) > self.longest:
            return None
        if retry_after is not None:
            # Not all those who were sent away in the same second should come again in the same second.
            return retry_after + random.uniform(0, min(self.first, self.longest))  # noqa: S311 - not a secret
        return random.uniform(0, min(self.longest, self.first * 2 ** (attempt - 1)))  # noqa: S311


NO_PATIENCE = Patience(tries=1)


def seconds_of(header: str | None) -> float | None:
    """What `Retry-After` says (RFC 9110 section 10.2.3: seconds or a date); None for nothing or nonsense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
