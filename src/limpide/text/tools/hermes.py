"""`<tool_call>{"name": …, "arguments": {…}}</tool_call>`: Qwen 2.5 and 3, QwQ, SmolLM3, Granite 4, Hermes."""

from __future__ import annotations

from collections.abc import Sequence

from limpide.text.tools import json_calls
from limpide.text.tools.base import ReadCall, ToolDialect
from limpide.text.tools.extents import MarkerExtent


def write(calls: Sequence[ReadCall]) -> str:
    """Calls as these models write them."""
    return "\n".join(f"<tool_call>\n{json_calls.write(call)}\n</tool_call>" for call in calls)


HERMES = ToolDialect(
    "hermes",
    read=json_calls.read,
    extent=lambda: MarkerExtent("</tool_call>"),
    opens=("<tool_call>",),
    write=write,
    heads=(json_calls.HEAD,),
    next_heads=(json_calls.NEXT_HEAD,),
)
