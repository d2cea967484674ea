"""Files of the user's: text and JSON lines, read with bounds, and refused by line and column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpide.core.errors import InvalidDataset

MAX_FILE_BYTES = 256 << 20
MAX_LINES = 200_000


def read_text(path: Path) -> str:
    """A file of UTF-8 text; a byte order mark is passed over. Raises InvalidDataset."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InvalidDataset(f"{path} has {size} bytes", expected=f"at most {MAX_FILE_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise InvalidDataset(f"{path} can't be read: {error.strerror}", expected="a file of text") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        raise InvalidDataset(
            f"{path} is not UTF-8",
            line=before.count(b"\n") + 1,
            column=error.start - before.rfind(b"\n"),
            expected="UTF-8 text",
            hint="save the file as UTF-8",
        ) from None


@dataclass(frozen=True, slots=True)
class Line:
    """One object of a JSONL file, which knows where its fields stand."""

    number: int
    text: str
    data: Mapping[str, Any]

    def wrong(self, field: str | None, what: str, expected: str, hint: str | None = None) -> InvalidDataset:
        """An error that points at a field."""
        at = self.text.find(json.dumps(field, ensure_ascii=False)) if field is not None else 0
        return InvalidDataset(what, line=self.number, column=at + 1 if at >= 0 else None, expected=expected, hint=hint)

    def string(self, field: str, *, default: str = "") -> str:
        """A field that is text. Raises InvalidDataset."""
        value = self.data.get(field, default)
        if not isinstance(value, str):
            raise self.wrong(field, f"{field} can't be {_short(value)}", "a string")
        return value


def read_lines(path: Path) -> Iterator[Line]:
    """Every object of a JSONL file; empty lines are passed over. Raises InvalidDataset."""
    # Not splitlines: JSON strings may hold what it takes for the end of a line, such as U+2028.
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        if number > MAX_LINES:
            raise InvalidDataset("there are too many lines", line=number, expected=f"at most {MAX_LINES}")
        yield Line(number, text, _object(number, text))


def _object(number: int, text: str) -> dict[str, Any]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        if twice := next((name for name in names if names.count(name) > 1), None):
            at = text.rfind(json.dumps(twice, ensure_ascii=False)) + 1
            raise InvalidDataset(f"{twice} is there twice", line=number, column=at or None, expected="every field once")
        return dict(found)

    def constant(name: str) -> Any:
        raise InvalidDataset(
            f"{name} is no JSON number", line=number, column=text.find(name) + 1, expected="a finite number"
        )

    try:
        data = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise InvalidDataset(
            f"this is not JSON: {error.msg}",
            line=number,
            column=error.colno,
            expected="one JSON object on each line",
            hint="json.dumps writes one",
        ) from None
    except (RecursionError, ValueError) as error:
        raise InvalidDataset(
            f"this can't be read: {error}", line=number, expected="JSON that is not nested without end"
        ) from None
    if not isinstance(data, dict):
        raise InvalidDataset(f"this is {_short(data)}", line=number, column=1, expected="one JSON object on each line")
    return data


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"
