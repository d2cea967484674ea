"""`<｜tool▁calls▁begin｜>` and one `<｜tool▁call▁begin｜>…<｜tool▁call▁end｜>` per call: DeepSeek V3, R1 and V3.1.

V3 and R1 write `function<｜tool▁sep｜>name` and the arguments in a fence of JSON; V3.1 writes `name<｜tool▁sep｜>{…}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from limpide.core.messages import Tool
from limpide.text.tools.base import MalformedCall, ReadCall, ToolDialect, checked_name
from limpide.text.tools.extents import MarkerExtent
from limpide.text.tools.json_calls import OPENED, arguments_of

_SEPARATOR = "<｜tool▁sep｜>"
_HEADS = (
    re.compile(rf"(?P<name>[^<\n]+){_SEPARATOR}\s*{OPENED}"),
    re.compile(rf"[^<\n]*{_SEPARATOR}\s*(?P<name>[^\n{{]+)\n\s*```(?:json)?\s*\n\s*{OPENED}"),
)
_FENCED = re.compile(r"\s*([^\n]+)\n\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


def read(text: str, _tools: Mapping[str, Tool]) -> Sequence[ReadCall]:
    """What stands between the markers of one call."""
    first, separator, rest = text.partition(_SEPARATOR)
    if not separator:
        raise MalformedCall("nothing separates its name from its arguments")
    fenced = _FENCED.match(rest)
    if fenced:
        return [ReadCall(checked_name(fenced[1]), arguments_of(fenced[2]))]
    return [ReadCall(checked_name(first), arguments_of(rest))]


def describe(tools: Sequence[Tool]) -> str:
    """Tools for a system message. The templates of these models have no place for tools."""
    listed = "\n\n".join(
        f"{tool.name}: {tool.description}\nParameters: {json.dumps(dict(tool.parameters), ensure_ascii=False)}"
        for tool in tools
    )
    return (
        f"You can call these tools:\n\n{listed}\n\n"
        "To call tools, write this and nothing after it, with the arguments as a JSON object:\n"
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>name{_SEPARATOR}arguments<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
    )


DEEPSEEK = ToolDialect(
    "deepseek",
    read=read,
    extent=lambda: MarkerExtent("<｜tool▁call▁end｜>"),
    opens=("<｜tool▁call▁begin｜>",),
    inside=(_SEPARATOR,),
    quiet=("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    describe=describe,
    heads=_HEADS,
)
