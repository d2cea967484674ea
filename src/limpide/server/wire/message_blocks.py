"""Turns in Anthropic's form: what their blocks are, and the messages that they make up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from limpide.core.errors import BadRequest, InvalidParameter
from limpide.core.messages import Message, ToolCall
from limpide.core.receipt import Outcome
from limpide.server.wire.base import Ask, JsonData
from limpide.server.wire.content import CACHED_ANYWAY, TEXT_ONLY

ERROR_MARK = "Error: "
"""Begins the result of a call that failed: no chat template has another place for that."""
NO_SERVER_TOOLS = "{kind} comes from a tool that runs on Anthropic's servers; here the client runs the tools"
_REFUSED: dict[str, str] = {
    **dict.fromkeys(("image", "document", "search_result", "container_upload", "browser_state"), TEXT_ONLY),
    "redacted_thinking": "only who redacted the thinking can read it; leave the block out",
    "tool_reference": "all tools are shown to the model at once; give them as `tools`",
    "server_tool_use": NO_SERVER_TOOLS,
    "web_search_tool_result": NO_SERVER_TOOLS,
    "web_fetch_tool_result": NO_SERVER_TOOLS,
    "code_execution_tool_result": NO_SERVER_TOOLS,
    "bash_code_execution_tool_result": NO_SERVER_TOOLS,
    "text_editor_code_execution_tool_result": NO_SERVER_TOOLS,
    "tool_search_tool_result": NO_SERVER_TOOLS,
    "mcp_tool_use": NO_SERVER_TOOLS,
    "mcp_tool_result": NO_SERVER_TOOLS,
}
"""Blocks of Anthropic's that can't be given to a model here, and why."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Named = Annotated[str, StringConstraints(min_length=1, max_length=128)]


def refusing(kinds: Mapping[str, str]) -> BeforeValidator:
    """Has an object of one of these types refused with its reason, which may name its `{kind}`."""

    def check(value: Any) -> Any:
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind in kinds:
            raise PydanticCustomError("unsupported_field", kinds[kind], {"field": "type", "kind": kind})
        return value

    return BeforeValidator(check)


class _Block(Ask):
    """Something that a cache of Anthropic's could end behind."""

    UNUSED: ClassVar = {"cache_control": CACHED_ANYWAY}

    cache_control: JsonData | None = None


class TextBlock(_Block):
    """Some text."""

    UNUSED: ClassVar = {**_Block.UNUSED, "citations": "models are given the text alone"}

    type: Literal["text"]
    text: str
    citations: list[JsonData] | None = None


class ThinkingBlock(Ask):
    """Reasoning of an earlier turn. Its signature is not looked at: here, nothing depends on who wrote it."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = None


class ToolUseBlock(_Block):
    """A call that the model made."""

    UNUSED: ClassVar = {
        **_Block.UNUSED,
        "caller": "the model alone makes calls",
        "toolset_name": "there are no toolsets",
    }

    type: Literal["tool_use"]
    id: Id
    name: Named
    input: JsonData
    caller: JsonData | None = None
    toolset_name: str | None = None


TextBlocks = list[Annotated[TextBlock, refusing(_REFUSED)]]
"""Where only text is taken."""


class ToolResultBlock(_Block):
    """What became of a call."""

    UNUSED: ClassVar = {**_Block.UNUSED, "toolset_name": "there are no toolsets"}

    type: Literal["tool_result"]
    tool_use_id: Id
    content: str | TextBlocks | None = None
    is_error: bool | None = None
    toolset_name: str | None = None


UserBlock = Annotated[
    Annotated[TextBlock | ToolResultBlock, Field(discriminator="type")],
    refusing(_REFUSED),
]
AssistantBlock = Annotated[
    Annotated[TextBlock | ThinkingBlock | ToolUseBlock, Field(discriminator="type")],
    refusing(_REFUSED),
]
AnyBlock = TextBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock


class UserTurn(Ask):
    """What is asked, and what became of calls."""

    role: Literal["user"]
    content: str | Annotated[list[UserBlock], Field(min_length=1)]


class AssistantTurn(Ask):
    """What the model answered."""

    role: Literal["assistant"]
    content: str | list[AssistantBlock]


class SystemTurn(Ask):
    """What the model should keep to from here on."""

    role: Literal["system"]
    content: str | Annotated[TextBlocks, Field(min_length=1)]


Turn = Annotated[UserTurn | AssistantTurn | SystemTurn, Field(discriminator="role")]
_Placed = tuple[str, AnyBlock]
"""A block and its place in the request."""


def read_turns(turns: Sequence[Turn]) -> tuple[tuple[Message, ...], dict[str, Outcome]]:
    """Turns as messages, and what a receipt says of what is not given on as it was.

    Turns in a row of the same role are one, as in Anthropic's API. Raises BadRequest for what that API refuses, too:
    a result that answers no call or stands behind text, and an answer that the client has begun.
    """
    if turns[-1].role == "assistant":
        raise BadRequest(
            "the last message is the assistant's: the beginning of an answer can't be given to a model here",
            expected="a message of the user's at the end",
        )
    messages: list[Message] = []
    outcomes: dict[str, Outcome] = {}
    called: set[str] = set()
    numbered = enumerate(turns)
    for role, group in groupby(numbered, key=lambda each: each[1].role):
        placed = [item for number, turn in group for item in _blocks(number, turn)]
        for place, block in placed:
            outcomes |= _unused(place, block)
        if role == "user":
            messages += _user(placed, called)
        elif role == "assistant":
            messages.append(_assistant(placed))
            called |= {call.id for call in messages[-1].tool_calls}
        else:
            messages.append(Message("system", joined(block for _, block in placed)))
    return tuple(messages), outcomes


def joined(blocks: Iterable[AnyBlock]) -> str:
    """The texts of blocks, each on lines of its own."""
    return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))


def _blocks(number: int, turn: Turn) -> Iterator[_Placed]:
    place = f"messages[{number}].content"
    if isinstance(turn.content, str):
        yield place, TextBlock.model_construct(type="text", text=turn.content)
        return
    for at, block in enumerate(turn.content):
        yield f"{place}[{at}]", block


def _user(placed: Iterable[_Placed], called: set[str]) -> Iterator[Message]:
    texts: list[str] = []
    for place, block in placed:
        if isinstance(block, TextBlock):
            texts.append(block.text)
        elif isinstance(block, ToolResultBlock):
            if texts:
                raise InvalidParameter(f"{place}.type", block.type, "text: results stand before it")
            if block.tool_use_id not in called:
                expected = "the id of a tool_use block of an earlier message of the assistant's"
                raise InvalidParameter(f"{place}.tool_use_id", block.tool_use_id, expected)
            yield Message("tool", _result(block), tool_call_id=block.tool_use_id)
    if texts:
        yield Message("user", "\n".join(texts))


def _result(block: ToolResultBlock) -> str:
    text = block.content if isinstance(block.content, str) else joined(block.content or ())
    return ERROR_MARK + text if block.is_error else text


def _assistant(placed: Iterable[_Placed]) -> Message:
    """One turn: its blocks are pieces of what the model wrote, which nothing stood between."""
    texts, thoughts = "", ""
    calls: list[ToolCall] = []
    for _, block in placed:
        match block:
            case TextBlock():
                texts += block.text
            case ThinkingBlock():
                thoughts += block.thinking
            case ToolUseBlock():
                calls.append(ToolCall(block.id, block.name, json.dumps(block.input, ensure_ascii=False)))
    return Message("assistant", texts, thoughts or None, tuple(calls))


def _unused(place: str, block: AnyBlock) -> dict[str, Outcome]:
    outcomes = block.unused(f"{place}.")
    if isinstance(block, ToolResultBlock):
        if block.is_error:
            why = "templates have no place for it: the result begins with this"
            outcomes[f"{place}.is_error"] = Outcome("applied", True, ERROR_MARK, why)
        if isinstance(block.content, list):
            for at, part in enumerate(block.content):
                outcomes |= part.unused(f"{place}.content[{at}].")
    return outcomes
