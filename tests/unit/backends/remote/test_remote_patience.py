"""How often and after how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from limpide.backends.remote.patience import NO_PATIENCE, Patience, seconds_of


def test_waits_grow_and_are_drawn() -> None:
    patience = Patience(tries=5, first=1, longest=3)
    for attempt, most in ((1, 1), (2, 2), (3, 3), (4, 3)):
        waits = [patience.wait(attempt, None) for _ in range(200)]
        assert all(wait is not None and 0 <= wait <= most for wait in waits)
        assert max(wait or 0 for wait in waits) > most / 2
        assert len(set(waits)) > 100
    assert patience.wait(5, None) is None


def test_the_server_is_listened_to() -> None:
    patience = Patience(tries=3, first=1, longest=10)
    wait = patience.wait(1, 7.0)
    assert wait is not None
    assert 7 <= wait <= 8
    assert patience.wait(1, 11.0) is None, "that is longer than anybody wants to wait"


def test_none_at_all() -> None:
    assert NO_PATIENCE.wait(1, 0.0) is None


@pytest.mark.parametrize(("header", "seconds"), [("3", 3), (" 0.5 ", 0.5), (None, None), ("soon", None), ("-1", None)])
def test_seconds(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header) == seconds


def test_dates() -> None:
    seconds = seconds_of(format_datetime(datetime.now(UTC) + timedelta(hours=1)))
    assert seconds is not None
    assert 3590 < seconds <= 3600
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
