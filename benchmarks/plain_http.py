"""A small HTTP client for benchmarks: a connection per request, streams read event by event, all bytes accounted for.

Libraries do this, too, but on a small machine their share of the processor would be measured with the server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class BrokenAnswer(Exception):
    """What came is no whole HTTP answer: the connection ended early, or the framing is wrong."""


@dataclass(frozen=True, slots=True)
class Head:
    """How an answer begins."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""


class Exchange:
    """One request, and the answer to it as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.head = Head(0, {})

    async def read_head(self) -> Head:
        """Status and headers."""
        try:
            block = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise BrokenAnswer(f"no answer: {error!r}") from None
        first, *lines = block.decode("latin-1").split("\r\n")[:-2]
        version, status, *_ = first.split(" ")
        if not version.startswith("HTTP/1."):
            raise BrokenAnswer(f"no HTTP: {first!r}")
        pairs = (line.split(":", 1) for line in lines)
        self.head = Head(int(status), {name.lower(): value.strip() for name, value in pairs})
        return self.head

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises BrokenAnswer unless it is whole."""
        headers = self.head.headers
        try:
            if headers.get("transfer-encoding") == "chunked":
                while size := int(await self._reader.readuntil(b"\r\n"), 16):
                    piece = await self._reader.readexactly(size + 2)
                    if piece[-2:] != b"\r\n":
                        raise BrokenAnswer("a chunk is longer than it says")
                    yield piece[:-2]
                if await self._reader.readexactly(2) != b"\r\n":
                    raise BrokenAnswer("something follows the last chunk")
            elif (length := int(headers.get("content-length", "-1"))) >= 0:
                yield await self._reader.readexactly(length)
            elif self.head.status not in (204, 304):
                raise BrokenAnswer("the body's end can't be known")
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            raise BrokenAnswer(f"the body ends early: {error!r}") from None

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.pieces()])

    async def events(self) -> AsyncIterator[tuple[str, str]]:
        """Server-sent events as (name, data), "" for events without a name; comments are left out."""
        rest = b""
        async for piece in self.pieces():
            *blocks, rest = (rest + piece).split(b"\n\n")
            for block in blocks:
                name, data = "", []
                for line in block.decode().split("\n"):
                    field, _, value = line.partition(": ")
                    if field == "event":
                        name = value
                    elif field == "data":
                        data.append(value)
                    elif not line.startswith(":"):
                        raise BrokenAnswer(f"no line of an event stream: {line!r}")
                if data:
                    yield name, "\n".join(data)
        if rest:
            raise BrokenAnswer(f"the stream ends within an event: {rest[:200]!r}")


@asynccontextmanager
async def exchange(
    url: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Exchange]:
    """Send a request. Leaving the context closes the connection, whether the answer was read or not."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 22)
    try:
        lines = {"Host": parts.netloc, "Connection": "close", **(headers or {})}
        if body is not None:
            lines = {"Content-Type": "application/json", **lines, "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))
        sent = Exchange(reader, writer)
        with suppress(ConnectionError):  # refused while it was sent: the answer says why
            await writer.drain()
        await sent.read_head()
        yield sent
    finally:
        writer.close()


async def ask(url: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[Head, Any]:
    """A request with a body of JSON, and the whole answer, parsed if it is JSON."""
    data = None if body is None else json.dumps(body).encode()
    async with exchange(url, method, path, data, headers) as sent:
        answer = await sent.body()
        kind = sent.head.headers.get("content-type", "")
        return sent.head, json.loads(answer) if kind.startswith("application/json") else answer


@dataclass(frozen=True, slots=True)
class Timed:
    """A streamed answer: when its tokens came, in seconds since it was asked for."""

    status: int
    arrivals: tuple[float, ...]
    """Of each event that brought text."""
    end: float
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0
    text: str = ""
    retry_after: float | None = None

    @property
    def first(self) -> float:
        """Time to first token."""
        return self.arrivals[0]

    @property
    def gaps(self) -> list[float]:
        """Between one event and the next."""
        return [after - before for before, after in zip(self.arrivals, self.arrivals[1:], strict=False)]


async def timed_stream(url: str, path: str, body: dict[str, Any]) -> Timed:
    """Ask for a stream of OpenAI's form, to its end. An answer that is no stream has a status and nothing else."""
    body = {**body, "stream": True, "stream_options": {"include_usage": True}}
    asked = time.perf_counter()
    arrivals: list[float] = []
    text: list[str] = []
    usage: dict[str, Any] = {}
    done = False
    async with exchange(url, "POST", path, json.dumps(body).encode()) as sent:
        if sent.head.status != 200:
            await sent.body()
            retry = sent.head.headers.get("retry-after")
            end = time.perf_counter() - asked
            return Timed(sent.head.status, (), end, retry_after=None if retry is None else float(retry))
        async for _, data in sent.events():
            if data == "[DONE]":
                done = True
                continue
            chunk = json.loads(data)
            if "error" in chunk:
                raise BrokenAnswer(f"an error within the stream: {data[:300]}")
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                piece = choice.get("text") or (choice.get("delta") or {}).get("content")
                if piece:
                    arrivals.append(time.perf_counter() - asked)
                    text.append(piece)
    if not done or not usage:
        raise BrokenAnswer("the stream ended without [DONE] or usage")
    return Timed(
        200,
        tuple(arrivals),
        time.perf_counter() - asked,
        usage["prompt_tokens"],
        (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
        usage["completion_tokens"],
        "".join(text),
    )


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values doesn't exceed; 0.0 without values."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 100 * len(ordered)) // 100) - 1)] if ordered else 0.0
