"""What form an answer must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """JSON that a schema accepts."""

    schema: Mapping[str, Any]
    name: str = ""


@dataclass(frozen=True, slots=True)
class JsonObject:
    """Any JSON object."""


@dataclass(frozen=True, slots=True)
class Regex:
    """Text that a regular expression matches as a whole."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """Text that a context-free grammar derives, in llguidance's form of Lark."""

    text: str


Shape = JsonSchema | JsonObject | Regex | Grammar
"""A shape holds for the answer, never for the thinking before it."""


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model may, must or must not call tools."""

    mode: Literal["auto", "none", "required"] = "auto"
    name: str | None = None
    """With "required": the one tool that must be called."""
    parallel: bool = True
    """Whether one answer may hold several calls."""
    strict: frozenset[str] = field(default_factory=frozenset)
    """Names of the tools whose arguments must follow their schema, also with "auto"."""
