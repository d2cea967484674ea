"""What is known of the request being answered: for the log, the metrics and the trace, which all read it at the end."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from limpide.core.events import Usage

UNMATCHED = "unmatched"
"""The path template of a request that no route takes."""
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@dataclass(slots=True)
class RequestRecord:
    """One HTTP request. Holds nothing of what was asked or answered."""

    id: str
    method: str
    client: str
    """The address that it came from."""
    started: float = field(default_factory=time.perf_counter)
    caller: str = ""
    """`Caller.client` of whoever asks."""
    key: str | None = None
    """Name of the key that it came with."""
    model: str | None = None
    operation: str | None = None
    """What was asked of the model: chat, text_completion, embeddings or score."""
    status: int | None = None
    error: str | None = None
    """Code of the error it was answered with, or the name of the exception that came unexpectedly."""
    disconnected: bool = False
    first_token_seconds: float | None = None
    """From the model's taking it on to the first words."""
    queue_seconds: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    answer_tokens: int = 0
    finish_reasons: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self.started

    def spent(self, usage: Usage) -> None:
        """Add what one call of a model took."""
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.thinking_tokens += usage.thinking_tokens
        self.answer_tokens += usage.answer_tokens
        if self.queue_seconds is None:
            self.queue_seconds = usage.queue_seconds


_current: ContextVar[RequestRecord | None] = ContextVar("limpide_request_record", default=None)


def current_record() -> RequestRecord | None:
    """The record of the request that the running task works for; None outside of requests, as in batches."""
    return _current.get()


def begin_record(record: RequestRecord) -> None:
    """Make this the record of the running task and of those that it starts."""
    _current.set(record)


def path_template(scope: MutableMapping[str, Any]) -> str:
    """The route's path as declared, such as `/v1/files/{file_id}`: what comes from strangers is no label."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else UNMATCHED


def method_of(scope: MutableMapping[str, Any]) -> str:
    """The request's method; `other` for one that HTTP does not define."""
    method = str(scope.get("method", ""))
    return method if method in _METHODS else "other"
