"""`{"name": …, "parameters": {…}}` as the whole answer: Llama 3 and 4.

No marker tells such a call from an answer in JSON, so it must stand at the beginning and name one of the tools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from limpide.core.messages import Tool
from limpide.text.tools import json_calls
from limpide.text.tools.base import MalformedCall, ReadCall, ToolDialect
from limpide.text.tools.extents import JsonExtent


def read(text: str, tools: Mapping[str, Tool]) -> Sequence[ReadCall] | None:
    """Calls of known tools; anything else is an answer in JSON."""
    try:
        calls = json_calls.read_calls(text)
    except MalformedCall:
        if any(f'"{name}"' in text for name in tools) and '"name"' in text:
            raise
        return None
    return calls if calls and all(call.name in tools for call in calls) else None


LLAMA = ToolDialect(
    "llama",
    read=read,
    extent=JsonExtent,
    opens=("<|python_tag|>", "<|python_start|>"),
    begins=("{", "[{"),
    quiet=(";", ",", "<|python_end|>"),
    at_start=True,
    heads=(json_calls.HEAD,),
    next_heads=(json_calls.NEXT_HEAD,),
    one_call_a_turn=True,
)
