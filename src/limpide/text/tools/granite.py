"""`<|tool_call|>` and a JSON list of calls: Granite 3."""

from __future__ import annotations

from collections.abc import Sequence

from limpide.text.tools import json_calls
from limpide.text.tools.base import ReadCall, ToolDialect
from limpide.text.tools.extents import JsonExtent


def write(calls: Sequence[ReadCall]) -> str:
    """Calls as these models write them: their templates have no place for them."""
    return f"<|tool_call|>[{', '.join(map(json_calls.write, calls))}]"


GRANITE = ToolDialect(
    "granite",
    read=json_calls.read,
    extent=JsonExtent,
    opens=("<|tool_call|>",),
    write=write,
    heads=(json_calls.HEAD,),
    next_heads=(json_calls.NEXT_HEAD,),
)
