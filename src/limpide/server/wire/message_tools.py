"""Tools and the choice between them, in Anthropic's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from limpide.core.errors import InvalidParameter
from limpide.core.messages import Tool
from limpide.core.receipt import Outcome
from limpide.core.shape import ToolChoice
from limpide.server.wire.base import Ask, JsonData
from limpide.server.wire.content import CACHED_ANYWAY
from limpide.server.wire.tools import MAX_TOOLS, check_names

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]


class CustomTool(Ask):
    """A tool that the client runs; `input_schema` is a JSON schema. The tools that Anthropic defines are refused."""

    UNUSED: ClassVar = {
        "cache_control": CACHED_ANYWAY,
        "defer_loading": "all tools are shown to the model at once",
        "eager_input_streaming": "the input is always streamed as the model writes it",
        "input_examples": "templates have no place for them; put them into the description",
        "allowed_callers": "the model alone makes calls",
    }

    type: Literal["custom"] | None = None
    name: Name
    description: str | None = None
    input_schema: JsonData
    strict: bool | None = None
    """Whether the input must follow the schema."""
    cache_control: JsonData | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[JsonData] | None = None
    allowed_callers: list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _custom_only(cls, value: Any) -> Any:
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind != "custom":
            why = "{kind} is defined by Anthropic, for its own models or servers; describe a tool by its input_schema"
            raise PydanticCustomError("unsupported_field", why, {"field": "type", "kind": ascii(kind[:40])})
        return value


class AutoChoice(Ask):
    """The model decides."""

    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class AnyChoice(Ask):
    """Some tool must be called."""

    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class NamedChoice(Ask):
    """This tool must be called."""

    type: Literal["tool"]
    name: Name
    disable_parallel_tool_use: bool | None = None


class NoChoice(Ask):
    """No tool may be called."""

    type: Literal["none"]


CustomTools = Annotated[list[CustomTool], Field(max_length=MAX_TOOLS)]
Choice = Annotated[AutoChoice | AnyChoice | NamedChoice | NoChoice, Field(discriminator="type")]
_MODES: dict[str, Literal["auto", "none", "required"]] = {"any": "required", "tool": "required", "none": "none"}


def read_tools(tools: Sequence[CustomTool] | None) -> tuple[tuple[Tool, ...], dict[str, Outcome]]:
    """Tools as the models take them, and what a receipt says of the rest.

    Raises InvalidParameter if two have the same name.
    """
    tools = tools or ()
    check_names([tool.name for tool in tools])
    outcomes: dict[str, Outcome] = {}
    for number, tool in enumerate(tools):
        outcomes |= tool.unused(f"tools[{number}].")
    return tuple(Tool(tool.name, tool.description or "", tool.input_schema) for tool in tools), outcomes


def read_choice(choice: Choice | None, tools: Sequence[CustomTool] | None) -> ToolChoice:
    """The choice as the models take it. Raises InvalidParameter for a tool that is not offered."""
    names = [tool.name for tool in tools or ()]
    strict = frozenset(tool.name for tool in tools or () if tool.strict)
    if choice is None:
        return ToolChoice(strict=strict)
    if isinstance(choice, NoChoice):
        return ToolChoice("none", strict=strict)
    name = choice.name if isinstance(choice, NamedChoice) else None
    mode = _MODES.get(choice.type, "auto")
    if mode == "required" and not names:
        raise InvalidParameter("tool_choice.type", choice.type, "auto or none, since there are no tools")
    if name is not None and name not in names:
        raise InvalidParameter("tool_choice.name", name, f"one of {', '.join(names)}")
    return ToolChoice(mode, name, not choice.disable_parallel_tool_use, strict)
