"""Requests to an endpoint: bounded, tried again where that helps, and every failure under one of our names."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from typing import Any, TypeVar

import httpx

from limpide import __version__
from limpide.backends.remote.endpoint import Endpoint
from limpide.backends.remote.patience import TRY_AGAIN, Patience, seconds_of
from limpide.backends.remote.sse import data_of
from limpide.core.errors import EndpointFailed, EndpointRefused, LimpideError

MAX_BODY = 64 << 20
"""Bytes of an answer that are read at most."""
T = TypeVar("T")
_MOST_QUOTED = 500
"""Characters of an endpoint's own words in an error."""


class Transport:
    """Talks JSON to one endpoint. Safe to use from several threads.

    seconds: how long the endpoint may be silent. connections: how many requests may be under way.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        patience: Patience | None = None,
        seconds: float = 600.0,
        connect_seconds: float = 10.0,
        connections: int = 64,
    ) -> None:
        self._endpoint = endpoint
        self._patience = patience or Patience()
        self._not_before = 0.0
        """What the endpoint told one of us, all of us keep to."""
        headers = {"User-Agent": f"limpide/{__version__}"}
        if endpoint.key:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=connect_seconds),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # What is on this machine is asked directly, whatever the environment says of proxies.
            trust_env=not endpoint.loopback,
            follow_redirects=False,
        )

    def get(self, path: str, seconds: float) -> Any:
        """A JSON document; the endpoint may be silent for so long. Raises EndpointFailed, EndpointRefused."""
        return self._again(lambda: self._whole("GET", path, None, seconds))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer to a JSON question. Raises EndpointFailed, EndpointRefused."""
        return self._again(lambda: self._whole("POST", path, body))

    def stream(self, path: str, body: Mapping[str, Any]) -> Generator[Any, None, None]:
        """The answer as server-sent events, each parsed. Closing the iterator hangs up.

        Tried again only as long as nothing came. Raises EndpointFailed, EndpointRefused.
        """
        first, rest = self._again(lambda: _opened(self._events(path, body)))
        with closing(rest):
            yield from first
            yield from rest

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _again(self, once: Callable[[], T]) -> T:
        attempt = 0
        while True:
            attempt += 1
            if (early := self._not_before - time.monotonic()) > 0:
                time.sleep(early)
            try:
                return once()
            except EndpointFailed as error:
                wait = self._patience.wait(attempt, error.retry_after) if error.worth_another_try else None
                if wait is None:
                    raise
                if error.retry_after is not None:
                    self._not_before = time.monotonic() + error.retry_after
                time.sleep(wait)

    def _whole(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float | None = None) -> Any:
        with self._response(method, path, body, seconds) as response:
            text = b"".join(self._bytes(response))
            try:
                return json.loads(text)
            except ValueError:
                raise self._broken(f"answered {_quoted(text)}", "JSON") from None

    def _events(self, path: str, body: Mapping[str, Any]) -> Generator[Any, None, None]:
        with self._response("POST", path, body) as response:
            kind = response.headers.get("content-type", "")
            if "text/event-stream" not in kind:
                raise self._broken(f"answered with {kind or 'nothing that says what it is'}", "text/event-stream")
            for data in data_of(self._bytes(response)):
                if data == "[DONE]":
                    return
                try:
                    event = json.loads(data)
                except ValueError:
                    raise self._broken(f"sent an event that is not JSON: {_quoted(data.encode())}", "JSON") from None
                if isinstance(event, dict) and event.get("error"):
                    raise self._broken(f"broke off: {_message(event)}", "an answer to its end")
                yield event

    def _response(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float | None = None) -> _Open:
        request: dict[str, Any] = {} if body is None else {"json": body}
        if seconds is not None:
            request["timeout"] = seconds
        return _Open(self, self._client.stream(method, self._endpoint.url + path, **request))

    def _bytes(self, response: httpx.Response) -> Iterator[bytes]:
        size = 0
        try:
            for piece in response.iter_bytes():
                size += len(piece)
                if size > MAX_BODY:
                    raise self._broken(f"answered with more than {MAX_BODY >> 20} MB", "less")
                yield piece
        except httpx.HTTPError as error:
            raise self.failed(error) from None

    def refused(self, response: httpx.Response) -> LimpideError:
        """What an answer with an error's status means."""
        try:
            text = b"".join(self._bytes(response))
        except EndpointFailed as error:
            return error
        status = response.status_code
        try:
            message = _message(json.loads(text))
        except ValueError:
            message = _quoted(text)
        said = f"{self._endpoint.url} answered {status}: {message}"
        if status in TRY_AGAIN:
            return EndpointFailed(
                said,
                hint="try again later",
                retry_after=seconds_of(response.headers.get("retry-after")),
                worth_another_try=True,
            )
        if status < 400:
            return EndpointFailed(f"{said or 'nothing'}", expected="an answer, not a redirection")
        hint = "check the key" if status in (401, 403) else None
        return EndpointRefused(said, hint=hint, status=status)

    def failed(self, error: httpx.HTTPError) -> EndpointFailed:
        """What a broken or missing connection means."""
        url = self._endpoint.url
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            what = f"nobody can be reached at {url}: {error or type(error).__name__}"
        elif isinstance(error, httpx.TimeoutException):
            what = f"{url} was silent for too long"
        else:
            what = f"the connection to {url} broke: {error or type(error).__name__}"
        return EndpointFailed(what, hint="check that it is running and can be reached", worth_another_try=True)

    def _broken(self, what: str, expected: str) -> EndpointFailed:
        return EndpointFailed(f"{self._endpoint.url} {what}", expected=expected)


class _Open:
    """A response under way, closed at the end; an error's status raises."""

    def __init__(self, transport: Transport, stream: AbstractContextManager[httpx.Response]) -> None:
        self._transport = transport
        self._stream = stream

    def __enter__(self) -> httpx.Response:
        try:
            response = self._stream.__enter__()
        except httpx.HTTPError as error:
            raise self._transport.failed(error) from None
        if response.status_code != 200:
            refusal = self._transport.refused(response)
            self._stream.__exit__(None, None, None)
            raise refusal
        return response

    def __exit__(self, *reason: Any) -> None:
        self._stream.__exit__(*reason)


def _opened(events: Generator[Any, None, None]) -> tuple[list[Any], Generator[Any, None, None]]:
    """The first event and the others: when there is one, the endpoint took the request."""
    for event in events:
        return [event], events
    return [], events


def _message(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return _quoted(str(message if message else body).encode(errors="replace"))


def _quoted(text: bytes) -> str:
    words = " ".join(text[: 4 * _MOST_QUOTED].decode(errors="replace").split())
    return words if len(words) <= _MOST_QUOTED else words[:_MOST_QUOTED] + "…"
