"""Tools and the choice between them, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from limpide.core.errors import InvalidParameter
from limpide.core.messages import Tool
from limpide.core.shape import ToolChoice
from limpide.server.limits import check_schema
from limpide.server.wire.base import Ask, JsonData

MAX_TOOLS = 128
ALLOWED_TOOLS = "offer only the tools that may be called, with tool_choice auto or required"
NAMED_TOOLS = "the tool that must be called is a function"
ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]


class FunctionOffered(Ask):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: ToolName
    description: str | None = None
    parameters: JsonData | None = None
    strict: bool | None = None
    """Whether the arguments must follow the schema."""


class ToolOffered(Ask):
    """A tool. Functions are the only kind."""

    type: Literal["function"]
    function: FunctionOffered


class FunctionNamed(Ask):
    """A function by its name."""

    name: ToolName


class ToolNamed(Ask):
    """The one tool that must be called."""

    type: Literal["function"]
    function: FunctionNamed


Tools = Annotated[list[ToolOffered], Field(max_length=MAX_TOOLS)]


def functions_only(value: Any) -> Any:
    """Raises what is wrong with a choice that is an object, but names no function."""
    if isinstance(value, dict) and isinstance(kind := value.get("type"), str) and kind != "function":
        why = ALLOWED_TOOLS if kind == "allowed_tools" else NAMED_TOOLS
        raise PydanticCustomError("unsupported_field", why, {"field": "type"})
    return value


Choice = Annotated[Literal["auto", "none", "required"] | ToolNamed, BeforeValidator(functions_only)]


def read_tools(tools: Sequence[ToolOffered] | None) -> tuple[Tool, ...]:
    """Tools as the models take them. Raises InvalidParameter if two have the same name, RequestTooLarge."""
    read = tuple(_tool(tool.function) for tool in tools or ())
    check_names([tool.name for tool in read])
    return read


def check_names(names: Sequence[str]) -> None:
    """Raises InvalidParameter if two tools have the same name."""
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameter("tools", name, "names that differ: a call would not say which is meant")


def read_choice(choice: Choice | None, tools: Sequence[ToolOffered] | None, parallel: bool | None) -> ToolChoice:
    """The choice as the models take it. Raises InvalidParameter for a tool that is not offered."""
    names = [tool.function.name for tool in tools or ()]
    strict = frozenset(tool.function.name for tool in tools or () if tool.function.strict)
    name = choice.function.name if isinstance(choice, ToolNamed) else None
    mode = "required" if isinstance(choice, ToolNamed) else choice or "auto"
    if mode == "required" and not names:
        raise InvalidParameter("tool_choice", name or mode, "auto or none, since there are no tools")
    if name is not None and name not in names:
        raise InvalidParameter("tool_choice", name, f"one of {', '.join(names)}")
    return ToolChoice(mode, name, parallel is not False, strict)


def _tool(function: FunctionOffered) -> Tool:
    check_schema(function.parameters)
    return Tool(function.name, function.description or "", function.parameters or {})
