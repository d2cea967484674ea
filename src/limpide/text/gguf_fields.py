"""Fields of a GGUF's tokenizer, each checked as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from limpide.core.errors import CorruptModelFile

FOLDER_HINT: Final = "use the model's Hugging Face folder, or another GGUF of it"


class GGUFFields:
    """Typed reads of `tokenizer.ggml.*`. A field of another type raises CorruptModelFile."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata

    def get(self, name: str) -> Any:
        """A field, whatever it holds; None if there is none."""
        return self._metadata.get(f"tokenizer.ggml.{name}")

    def wrong(self, name: str, value: object, expected: str) -> CorruptModelFile:
        """The error that says what a field is and what it should be."""
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        return CorruptModelFile(f"tokenizer.ggml.{name} is {shown}", expected=expected, hint=FOLDER_HINT)

    def text(self, name: str) -> str | None:
        """A string."""
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, value, "a string")
        return value

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value

    def strings(self, name: str, limit: int) -> list[str] | None:
        """A list of at most `limit` strings."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise self.wrong(name, value, "an array of strings")
        if len(value) > limit:
            raise self.wrong(name, f"{len(value)} strings", f"at most {limit}")
        if value and set(map(type, value)) != {str}:
            raise self.wrong(name, value, "an array of strings")
        return list(value)

    def numbers(self, name: str, length: int) -> list[float] | None:
        """A list of exactly `length` numbers."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, str | bytes) or not hasattr(value, "__len__"):
            raise self.wrong(name, value, f"an array of {length} numbers")
        if len(value) != length:
            raise self.wrong(name, f"an array of {len(value)}", f"one number for each of the {length} tokens")
        items: list[Any] = value.tolist() if hasattr(value, "tolist") else list(value)
        if not set(map(type, items)) <= {int, float}:
            raise self.wrong(name, value, f"an array of {length} numbers")
        return items

    def token(self, name: str, size: int) -> int | None:
        """The id of a special token in a vocabulary of `size`; None also where a converter wrote that there is none."""
        value = self.get(f"{name}_token_id")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(f"{name}_token_id", value, "the id of a token")
        if value in (-1, 2**32 - 1):  # how some converters write "there is none"
            return None
        if not 0 <= value < size:
            raise self.wrong(f"{name}_token_id", value, f"the id of one of the {size} tokens")
        return value
