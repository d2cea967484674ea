"""The items of a response's output: how each begins, grows and ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from limpide.server.responses.tools import Called

Json = dict[str, Any]


class Item:
    """One item that is being written, at its place in the output."""

    prefix: ClassVar[str]

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self._pieces)

    def as_dict(self, status: str, *, begun: bool = True) -> Json:
        """The item in the API's form; not begun: as it is announced, before its first part."""
        raise NotImplementedError

    def opening(self) -> list[Json]:
        """The events that announce it."""
        return [self._item_event("added", "in_progress", begun=False)]

    def add(self, text: str, logprobs: Sequence[Json]) -> Json:
        """Write more of it; the event that says so."""
        raise NotImplementedError

    def closing(self, status: str) -> list[Json]:
        """The events that end it."""
        return [self._item_event("done", status, begun=True)]

    def _at(self, **more: Any) -> Json:
        return {"item_id": self.id, "output_index": self.index, **more}

    def _item_event(self, what: str, status: str, *, begun: bool) -> Json:
        item = self.as_dict(status, begun=begun)
        return {"type": f"response.output_item.{what}", "output_index": self.index, "item": item}


class _OnePart(Item):
    """An item whose content is one part of text."""

    events: ClassVar[str]

    def opening(self) -> list[Json]:
        return [*super().opening(), self._part_event("added")]

    def closing(self, status: str) -> list[Json]:
        done = self._at(type=f"response.{self.events}.done", content_index=0, text=self.text, **self._more())
        return [done, self._part_event("done"), *super().closing(status)]

    def _part(self) -> Json:
        raise NotImplementedError

    def _more(self) -> Json:
        """What the event at the end of the text has beside it."""
        return {}

    def _part_event(self, what: str) -> Json:
        return self._at(type=f"response.content_part.{what}", content_index=0, part=self._part())


class MessageItem(_OnePart):
    """Words of the answer."""

    prefix = "msg_"
    events = "output_text"

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self._logprobs: list[Json] = []

    def as_dict(self, status: str, *, begun: bool = True) -> Json:
        """The item in the API's form."""
        content = [self._part()] if begun else []
        return {"id": self.id, "type": "message", "role": "assistant", "status": status, "content": content}

    def add(self, text: str, logprobs: Sequence[Json]) -> Json:
        """Write more of it."""
        self._pieces.append(text)
        self._logprobs += logprobs
        return self._at(type="response.output_text.delta", content_index=0, delta=text, logprobs=list(logprobs))

    def _part(self) -> Json:
        return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": list(self._logprobs)}

    def _more(self) -> Json:
        return {"logprobs": list(self._logprobs)}


class ReasoningItem(_OnePart):
    """Thinking, as it was; no summary is made of it."""

    prefix = "rs_"
    events = "reasoning_text"

    def as_dict(self, status: str, *, begun: bool = True) -> Json:
        """The item in the API's form."""
        content = [self._part()] if begun else []
        return {"id": self.id, "type": "reasoning", "status": status, "summary": [], "content": content}

    def add(self, text: str, logprobs: Sequence[Json]) -> Json:
        """Write more of it."""
        self._pieces.append(text)
        return self._at(type="response.reasoning_text.delta", content_index=0, delta=text)

    def _part(self) -> Json:
        return {"type": "reasoning_text", "text": self.text}


class CallItem(Item):
    """A call of a function."""

    prefix = "fc_"

    def __init__(self, item_id: str, index: int, call: int, call_id: str, called: Called) -> None:
        super().__init__(item_id, index)
        self.call = call
        self._call_id = call_id
        self._called = called

    def as_dict(self, status: str, *, begun: bool = True) -> Json:
        """The item in the API's form."""
        return {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "call_id": self._call_id,
            "name": self._called.name,
            "arguments": self.text,
            **({"namespace": self._called.namespace} if self._called.namespace else {}),
        }

    def add(self, text: str, logprobs: Sequence[Json]) -> Json:
        """Write more of it."""
        self._pieces.append(text)
        return self._at(type="response.function_call_arguments.delta", delta=text)

    def closing(self, status: str) -> list[Json]:
        """The events that end it."""
        done = self._at(type="response.function_call_arguments.done", name=self._called.name, arguments=self.text)
        return [done, *super().closing(status)]
