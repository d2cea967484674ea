"""`[TOOL_CALLS]` and either a JSON list (v1 to v7) or `name[ARGS]{…}` (v11 and later): Mistral's models."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from limpide.core.messages import Tool
from limpide.text.tools import json_calls
from limpide.text.tools.base import MalformedCall, ReadCall, ToolDialect, checked_name
from limpide.text.tools.extents import JsonExtent

_NAMED = re.compile(r"\s*(?P<name>[\w.-]+)\s*(?:\[CALL_ID\]\s*\w+\s*)?(?:\[ARGS\])?\s*(?=\{)")
_HEAD = re.compile(_NAMED.pattern.removesuffix(r"(?=\{)") + json_calls.OPENED)


def read(text: str, _tools: Mapping[str, Tool]) -> Sequence[ReadCall]:
    """What follows one `[TOOL_CALLS]`."""
    named = _NAMED.match(text)
    if named:
        return [ReadCall(checked_name(named[1]), json_calls.arguments_of(text[named.end() :]))]
    if not text.lstrip().startswith("["):
        raise MalformedCall("neither a list nor a name with arguments follows")
    return json_calls.read_calls(text)


MAX_HEAD: Final = 1024
"""Characters before the JSON; what is longer is no call."""


class MistralExtent(JsonExtent):
    """To the end of the JSON; the brackets of `[CALL_ID]` and `[ARGS]` are none of it."""

    def __init__(self) -> None:
        super().__init__()
        self._before = ""

    def push(self, text: str) -> int | None:
        """See Extent."""
        if self._depth:
            return super().push(text)
        start = len(self._before)
        self._before += text
        found = _JSON_START.match(self._before)
        if found is None:
            return None if len(self._before) < MAX_HEAD else MAX_HEAD - start
        end = super().push(self._before[found.end() - 1 :])
        self._before = ""
        return None if end is None else found.end() - 1 + end - start


_JSON_START = re.compile(r"\s*(?:\[(?=\s*[\[{\]])|[^\[{\s][^{]*\{|\{)")
"""A list of objects, or whatever stands before the first object."""

MISTRAL = ToolDialect(
    "mistral",
    read=read,
    extent=MistralExtent,
    opens=("[TOOL_CALLS]",),
    inside=("[CALL_ID]", "[ARGS]"),
    call_ids=9,
    heads=(_HEAD, json_calls.HEAD),
    next_heads=(json_calls.NEXT_HEAD,),
)
