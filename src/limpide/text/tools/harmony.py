"""A message to a recipient, `to=functions.name`, on the commentary channel: gpt-oss.

The recipient stands before or after the channel. The engine's gate hands such messages on as they are, with their
header; `<|call|>` ends the turn, so it is rarely seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from limpide.core.messages import Tool
from limpide.text.channels import HARMONY as CHANNELS
from limpide.text.tools.base import MalformedCall, ReadCall, ToolDialect, checked_name
from limpide.text.tools.extents import MarkerExtent
from limpide.text.tools.json_calls import OPENED, arguments_of

_HEAD = re.compile(
    rf"[^{{]*?\bto=(?:functions\.)?(?P<name>[^\s<]+)(?:(?!{re.escape(CHANNELS.message)})[^{{])*"
    rf"{re.escape(CHANNELS.message)}\s*{OPENED}"
)
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([^\s<]+)")


def read(text: str, _tools: Mapping[str, Tool]) -> Sequence[ReadCall]:
    """A message without its start and end."""
    header, separator, body = text.partition(CHANNELS.message)
    recipient = _RECIPIENT.search(header)
    if not separator or recipient is None:
        raise MalformedCall("its header is not complete")
    return [ReadCall(checked_name(recipient[1]), arguments_of(body))]


HARMONY = ToolDialect(
    "harmony",
    read=read,
    extent=lambda: MarkerExtent(*CHANNELS.ends, quote=None),
    opens=(CHANNELS.start,),
    inside=("<|constrain|>",),
    heads=(_HEAD,),
    one_call_a_turn=True,
    thinking_beside_content=False,
)
