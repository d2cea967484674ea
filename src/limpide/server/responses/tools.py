"""The tools of a request: what the model is offered, and how its calls are named to the client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from limpide.core.errors import InvalidParameter
from limpide.core.messages import Tool
from limpide.core.receipt import Outcome
from limpide.core.shape import ToolChoice
from limpide.server.limits import check_schema
from limpide.server.wire.response_tools import AnyTool, Choice, FunctionChoice, FunctionTool, HostedTool, Namespace
from limpide.server.wire.tools import MAX_TOOLS, check_names

_HOSTED = "it runs on OpenAI's servers; here the client runs all tools, and the model is offered the others"


@dataclass(frozen=True, slots=True)
class Called:
    """A function as the client knows it."""

    name: str
    namespace: str | None = None

    @property
    def shown(self) -> str:
        """Its name as the model knows it: models know no namespaces."""
        return f"{self.namespace}__{self.name}" if self.namespace else self.name


def read_tools(tools: Sequence[AnyTool] | None) -> tuple[tuple[Tool, ...], dict[str, Outcome]]:
    """Tools as the models take them, and what a receipt says of the rest.

    Raises InvalidParameter if two have the same name, if there are too many, or if none is left that a client runs:
    then the request is about what is not here.
    """
    tools = tools or ()
    outcomes: dict[str, Outcome] = {}
    for number, tool in enumerate(tools):
        if isinstance(tool, HostedTool):
            outcomes[f"tools[{number}]"] = Outcome("refused", tool.type, None, _HOSTED)
        for place, function in _placed(f"tools[{number}]", tool):
            outcomes |= function.unused(f"{place}.")
    read = tuple(_tool(called, function, about) for called, function, about in _functions(tools))
    if tools and not read:
        raise InvalidParameter("tools[0].type", tools[0].type, "function: other tools run on OpenAI's servers")
    if len(read) > MAX_TOOLS:
        raise InvalidParameter("tools", f"{len(read)} functions", f"at most {MAX_TOOLS}")
    check_names([tool.name for tool in read])
    return read, outcomes


def read_choice(choice: Choice | None, tools: Sequence[AnyTool] | None, parallel: bool | None) -> ToolChoice:
    """The choice as the models take it. Raises InvalidParameter for a tool that is not offered."""
    functions = list(_functions(tools or ()))
    names = [called.shown for called, _, _ in functions]
    strict = frozenset(called.shown for called, function, _ in functions if function.strict)
    if isinstance(choice, FunctionChoice):
        if choice.name not in names:
            expected = f"one of {', '.join(names)}" if names else "offered, too"
            raise InvalidParameter("tool_choice", choice.name, expected)
        return ToolChoice("required", choice.name, parallel is not False, strict)
    if choice == "required" and not names:
        raise InvalidParameter("tool_choice", "required", "auto or none, since there are no tools")
    return ToolChoice(choice or "auto", None, parallel is not False, strict)


def names_of(tools: Sequence[AnyTool] | None) -> Mapping[str, Called]:
    """From the name that the model knows to the client's, where they differ."""
    return {called.shown: called for called, _, _ in _functions(tools or ()) if called.namespace}


def _functions(tools: Sequence[AnyTool]) -> Iterator[tuple[Called, FunctionTool, str]]:
    """Each with what its namespace says of itself."""
    for tool in tools:
        if isinstance(tool, FunctionTool):
            yield Called(tool.name), tool, ""
        elif isinstance(tool, Namespace):
            for function in tool.tools:
                yield Called(function.name, tool.name), function, tool.description or ""


def _placed(place: str, tool: AnyTool) -> Iterator[tuple[str, FunctionTool]]:
    if isinstance(tool, FunctionTool):
        yield place, tool
    elif isinstance(tool, Namespace):
        yield from ((f"{place}.tools[{number}]", function) for number, function in enumerate(tool.tools))


def _tool(called: Called, function: FunctionTool, about: str) -> Tool:
    check_schema(function.parameters)
    description = "\n".join(filter(None, (about, function.description)))
    return Tool(called.shown, description, function.parameters or {})
