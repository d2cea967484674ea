"""A batch's input file as lines, each checked before anything is begun; what is wrong is said with its line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from limpide.core.errors import BadRequest
from limpide.server.batches.kinds import BODIES
from limpide.server.invalid import describe_invalid
from limpide.server.json_scan import check_json
from limpide.server.store import Line
from limpide.server.wire.base import Ask, JsonData

MAX_LINES = 50_000
MAX_LINE_BYTES = 16 << 20
MAX_FAULTS = 100


class BatchLine(Ask):
    """One line of a batch's input file."""

    custom_id: str
    method: Literal["POST"]
    url: str
    body: JsonData


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line, counted from 1; None is the whole file."""

    message: str
    code: str
    line: int | None = None
    param: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fault in the API's form."""
        return {"code": self.code, "line": self.line, "message": self.message, "param": self.param}


@dataclass(slots=True)
class LineReader:
    """Checks a file piece by piece. models: names that may be asked for; without any, none is checked."""

    endpoint: str
    models: Collection[str]
    lines: list[Line] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)
    _waiting: bytes = b""
    _start: int = 0
    _number: int = 0

    def read(self, data: bytes) -> None:
        """More of the file."""
        for line in self._split(data):
            self._line(line)

    def end(self) -> None:
        """There is no more of it."""
        if self._waiting:
            self._line(self._waiting)
        if not self.lines and not self.faults:
            self.faults.append(Fault("the file has no requests", "empty_file"))

    @property
    def hopeless(self) -> bool:
        """Whether reading on would tell nothing that matters."""
        return len(self.faults) >= MAX_FAULTS

    def _split(self, data: bytes) -> Iterator[bytes]:
        *whole, self._waiting = (self._waiting + data).split(b"\n")
        for line in whole:
            yield line
            self._start += len(line) + 1
        if len(self._waiting) > MAX_LINE_BYTES:
            self._fault(f"the line has more than {MAX_LINE_BYTES} bytes", "line_too_long", number=self._number + 1)
            self.faults += [Fault("reading ended there", "line_too_long")] * (MAX_FAULTS - len(self.faults))

    def _line(self, data: bytes) -> None:
        self._number += 1
        if self.hopeless or not data.strip():
            return
        if len(self.lines) == MAX_LINES:
            self._fault(f"more than {MAX_LINES} requests", "too_many_requests")
            return
        faults = len(self.faults)
        custom_id = self._check(data)
        if len(self.faults) == faults:
            self.lines.append(Line(self._number, custom_id, self._start, len(data)))

    def _check(self, data: bytes) -> str:
        try:
            check_json(data)  # before anything parses it
            value = json.loads(data)
        except BadRequest as error:
            self._fault(str(error), "invalid_json_line")
            return ""
        except ValueError as error:
            self._fault(f"not JSON: {error}", "invalid_json_line")
            return ""
        try:
            line = BatchLine.model_validate(value)
        except ValidationError as error:
            self._invalid(error.errors(), value, "")
            return ""
        if line.url != self.endpoint:
            self._fault(f"url is {line.url[:80]!r}, the batch's endpoint is {self.endpoint}", "mismatched_url", "url")
        if line.custom_id in self._ids:
            self._fault(f"custom_id {line.custom_id[:80]!r} was used before", "duplicate_custom_id", "custom_id")
        self._ids.add(line.custom_id)
        self._check_body(line.body)
        return line.custom_id

    def _check_body(self, body: dict[str, Any]) -> None:
        try:
            BODIES[self.endpoint].model_validate(body)
        except ValidationError as error:
            self._invalid(error.errors(), body, "body")
            return
        for name in ("stream", "background"):
            if body.get(name):
                self._fault(f"{name} makes no sense in a batch", "invalid_value", f"body.{name}")
        model = body.get("model")
        if model is not None and self.models and model not in self.models:
            self._fault(f"there is no model {str(model)[:80]!r} here", "model_not_found", "body.model")

    def _invalid(self, errors: Iterable[Any], value: object, where: str) -> None:
        invalid = describe_invalid(list(errors), value)
        param = ".".join(filter(None, (where, invalid.param)))
        self._fault(invalid.message, invalid.code, param or None)

    def _fault(self, message: str, code: str, param: str | None = None, *, number: int | None = None) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(message, code, number or self._number, param))
