"""Tools and the choice between them, in the Responses dialect."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from limpide.server.wire.base import Ask, JsonData
from limpide.server.wire.tools import MAX_TOOLS, ToolName, functions_only

Hosted = Literal[
    "code_interpreter",
    "file_search",
    "image_generation",
    "mcp",
    "programmatic_tool_calling",
    "tool_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
]
"""Tools that OpenAI's servers run."""
FUNCTIONS = "a tool's type is function, or namespace for several; describe any other as a function"


class FunctionTool(Ask):
    """A function that the model may call; `parameters` is a JSON schema."""

    UNSUPPORTED: ClassVar = {"async": "a call is answered before the model goes on"}
    UNUSED: ClassVar = {
        "allowed_callers": "the model alone makes calls",
        "defer_loading": "all tools are shown to the model at once",
        "output_schema": "templates have no place for it; put it into the description",
    }

    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: JsonData | None = None
    strict: bool | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    output_schema: JsonData | None = None


def _function(tool: Any) -> Any:
    if isinstance(tool, dict) and tool.get("type") != "function":
        raise PydanticCustomError("unsupported_field", FUNCTIONS, {"field": "type"})
    return tool


class Namespace(Ask):
    """Functions under a common name, which their calls have beside their own."""

    type: Literal["namespace"]
    name: ToolName
    description: str | None = None
    tools: Annotated[
        list[Annotated[FunctionTool, BeforeValidator(_function)]], Field(min_length=1, max_length=MAX_TOOLS)
    ]


class HostedTool(BaseModel):
    """A tool that OpenAI's servers run, with whatever it is set to: it is left out of what the model is offered."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Hosted


def _kind(tool: Any) -> str | None:
    kind = tool.get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    if kind in ("function", "namespace"):
        return str(kind)
    return "hosted" if kind in Hosted.__args__ else None  # type: ignore[attr-defined]


AnyTool = Annotated[
    Annotated[FunctionTool, Tag("function")]
    | Annotated[Namespace, Tag("namespace")]
    | Annotated[HostedTool, Tag("hosted")],
    Discriminator(
        _kind,
        custom_error_type="unsupported_field",
        custom_error_message=FUNCTIONS,
    ),
]


class FunctionChoice(Ask):
    """The one function that must be called."""

    type: Literal["function"]
    name: ToolName


Choice = Annotated[Literal["auto", "none", "required"] | FunctionChoice, BeforeValidator(functions_only)]
