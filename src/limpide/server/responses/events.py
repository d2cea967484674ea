"""A model's events as the events of a response, and as the response that they add up to."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, TokenProbability, ToolCallDelta, Usage
from limpide.core.receipt import Outcome
from limpide.server.responses.items import CallItem, Item, MessageItem, ReasoningItem
from limpide.server.responses.tools import Called
from limpide.server.wire.usage import Ends

Json = dict[str, Any]

ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""One of these is the last event of every stream."""


class ResponseWriter:
    """Writes one response. Whoever streams sends what its methods yield; `body` is the response as of now.

    Both are made in one place, so that streaming and not streaming can't differ. `body` is what the request alone
    determines (frame.py). Calls come one after another, as core/events.py says. outcomes: what the
    receipt says beyond the engine's own. names: functions whose names the model knows otherwise than the client.
    """

    def __init__(
        self,
        body: Json,
        new_id: Callable[[str], str],
        *,
        outcomes: Mapping[str, Outcome] | None = None,
        names: Mapping[str, Called] | None = None,
    ) -> None:
        self._body = body
        self._new_id = new_id
        self._outcomes = outcomes or {}
        self._names = names or {}
        self._output: list[Json] = []
        self._open: Item | None = None
        self._sequence = 0

    @property
    def body(self) -> Json:
        """The response so far, as a copy."""
        output = list(self._output)
        if self._open is not None:
            output[self._open.index] = self._open.as_dict("in_progress")
        return {**self._body, "output": output}

    @property
    def ended(self) -> bool:
        """Whether the last event was written."""
        return self._body["status"] not in ("queued", "in_progress")

    def create(self) -> Iterator[Json]:
        """The response exists; a background one waits for its turn."""
        yield self._with_body("response.created")
        if self._body["status"] == "queued":
            yield self._with_body("response.queued")

    def begin(self) -> Iterator[Json]:
        """It is being worked on."""
        self._body["status"] = "in_progress"
        yield self._with_body("response.in_progress")

    def write(self, event: Event) -> Iterator[Json]:
        """What one event of the model adds."""
        match event:
            case ThinkingDelta(text=text) if text:
                item = yield from self._item(ReasoningItem)
                yield self._numbered(item.add(text, ()))
            case TextDelta(text=text, logprobs=logprobs) if text or logprobs:
                item = yield from self._item(MessageItem)
                yield self._numbered(item.add(text, [_logprob(token) for token in logprobs]))
            case ToolCallDelta():
                yield from self._write_call(event)
            case Finished():
                yield from self._finish(event)
            case _:
                pass

    def fail(self, code: str, message: str) -> Iterator[Json]:
        """It went wrong; what was written so far stays."""
        yield from self._close("incomplete")
        self._end("failed", error={"code": code, "message": message})
        yield self._with_body("response.failed")

    def cancel(self) -> Iterator[Json]:
        """It was cancelled; what was written so far stays. No event has this name, so the last is `incomplete`."""
        yield from self._close("incomplete")
        self._end("cancelled")
        yield self._with_body("response.incomplete")

    def _write_call(self, event: ToolCallDelta) -> Iterator[Json]:
        item = self._open
        if not isinstance(item, CallItem) or item.call != event.call:
            yield from self._close("completed")
            call_id = event.id or self._new_id("call_")
            name = event.name or ""
            called = self._names.get(name, Called(name))
            item = CallItem(self._new_id(CallItem.prefix), len(self._output), event.call, call_id, called)
            yield from self._begin_item(item)
        if event.arguments:
            yield self._numbered(item.add(event.arguments, ()))

    def _finish(self, event: Finished) -> Iterator[Json]:
        whole = event.reason in ("stop", "tool_calls")
        yield from self._close("completed" if whole else "incomplete")
        ends = Ends(self._outcomes, choices=1)
        ends.add(event)
        details = {"reason": "max_output_tokens"} if event.reason == "length" else None
        self._end(
            "completed" if whole else "cancelled" if event.reason == "aborted" else "incomplete",
            incomplete_details=details,
            usage=usage_dict(event.usage),
            limpide=ends.extras().model_dump(exclude_unset=True),
        )
        yield self._with_body("response.completed" if whole else "response.incomplete")

    def _item(self, kind: type[MessageItem | ReasoningItem]) -> Generator[Json, None, Item]:
        """Have an item of this kind open; returns it."""
        if isinstance(self._open, kind):
            return self._open
        yield from self._close("completed")
        item = kind(self._new_id(kind.prefix), len(self._output))
        yield from self._begin_item(item)
        return item

    def _begin_item(self, item: Item) -> Iterator[Json]:
        self._open = item
        self._output.append(item.as_dict("in_progress", begun=False))
        for event in item.opening():
            yield self._numbered(event)

    def _close(self, status: str) -> Iterator[Json]:
        item, self._open = self._open, None
        if item is None:
            return
        self._output[item.index] = item.as_dict(status)
        for event in item.closing(status):
            yield self._numbered(event)

    def _end(self, status: str, **changes: Any) -> None:
        self._body |= {"status": status, **changes}
        if status == "completed":
            self._body["completed_at"] = int(time.time())

    def _with_body(self, kind: str) -> Json:
        return self._numbered({"type": kind, "response": self.body})

    def _numbered(self, event: Json) -> Json:
        number, self._sequence = self._sequence, self._sequence + 1
        return {**event, "sequence_number": number}


def usage_dict(usage: Usage) -> Json:
    """Usage in this dialect's words."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.generated_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": usage.prompt_tokens + usage.generated_tokens,
    }


def _logprob(token: TokenProbability) -> Json:
    return {**_plain(token), "top_logprobs": [_plain(other) for other in token.top]}


def _plain(token: TokenProbability) -> Json:
    return {"token": token.text, "bytes": list(token.raw), "logprob": token.logprob}
