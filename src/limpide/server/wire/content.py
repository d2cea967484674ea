"""Messages in OpenAI's form, in all the ways in which their content may be written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from limpide.core.messages import Message, ToolCall
from limpide.core.receipt import Outcome
from limpide.server.wire.base import Ask, JsonData, Whole

NO_NAME = "chat templates have no place for the name of a speaker"
CACHED_ANYWAY = "prefixes are kept and shared without being asked to"
TEXT_ONLY = "models are given text only: images, sound and files are not read"
_OTHER_PARTS = ("image_url", "input_audio", "file", "image", "audio", "video_url", "input_image", "input_file")


class TextPart(Ask):
    """Some text. Other kinds of content are refused: models are given text only."""

    UNUSED: ClassVar = {"cache_control": CACHED_ANYWAY, "prompt_cache_breakpoint": CACHED_ANYWAY}

    type: Literal["text"]
    text: str
    cache_control: JsonData | None = None
    prompt_cache_breakpoint: JsonData | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_only(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("type") in _OTHER_PARTS:
            raise PydanticCustomError("unsupported_field", TEXT_ONLY, {"field": "type"})
        return value


class RefusalPart(Ask):
    """What an assistant said in place of an answer."""

    type: Literal["refusal"]
    refusal: str


Content = str | Annotated[list[TextPart], Field(min_length=1)]
AssistantContent = str | Annotated[list[TextPart | RefusalPart], Field(min_length=1)]


class SystemMessage(Ask):
    """What the model should keep to throughout. `developer` is the newer name of the same."""

    UNUSED: ClassVar = {"name": NO_NAME}

    role: Literal["system", "developer"]
    content: Content
    name: str | None = None


class UserMessage(Ask):
    """What is asked."""

    UNUSED: ClassVar = {"name": NO_NAME}

    role: Literal["user"]
    content: Content
    name: str | None = None


class FunctionCalled(Ask):
    """Which function, with what: `arguments` is the JSON text as the model wrote it."""

    name: Annotated[str, StringConstraints(min_length=1)]
    arguments: str


class CallMade(Ask):
    """A call of an earlier turn."""

    id: Annotated[str, StringConstraints(min_length=1)]
    type: Literal["function"] = "function"
    function: FunctionCalled
    index: Whole | None = None
    """Its place in a stream, as some clients keep it; the order of the list counts."""


class AssistantMessage(Ask):
    """What the model answered. Its thinking may come back as `reasoning` or `reasoning_content`."""

    UNSUPPORTED: ClassVar = {
        "audio": TEXT_ONLY,
        "function_call": "pass `tool_calls`, and the result as a message of the role `tool`",
    }
    UNUSED: ClassVar = {"name": NO_NAME, "annotations": "there is nothing that they could be about"}

    role: Literal["assistant"]
    content: AssistantContent | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallMade] | None = None
    name: str | None = None
    annotations: list[JsonData] | None = None

    @model_validator(mode="after")
    def _one_thinking(self) -> AssistantMessage:
        if None not in (self.reasoning, self.reasoning_content) and self.reasoning != self.reasoning_content:
            raise PydanticCustomError(
                "contradiction",
                "reasoning and reasoning_content are two names of the same, and differ",
                {"field": "reasoning"},
            )
        if self.content is None and not self.tool_calls and self.refusal is None and self.thinking is None:
            raise PydanticCustomError(
                "contradiction", "an assistant's message has content or tool_calls", {"field": "content"}
            )
        return self

    @property
    def thinking(self) -> str | None:
        """The reasoning that came before the content."""
        return self.reasoning if self.reasoning is not None else self.reasoning_content


class ToolMessage(Ask):
    """The result of a call."""

    UNUSED: ClassVar = {"name": NO_NAME}

    role: Literal["tool"]
    content: Content
    tool_call_id: Annotated[str, StringConstraints(min_length=1)]
    name: str | None = None


AnyMessage = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage,
    Field(discriminator="role"),
]


def read_messages(messages: Iterable[AnyMessage]) -> tuple[tuple[Message, ...], dict[str, Outcome]]:
    """Messages as the models take them, and what a receipt says of what was left aside."""
    read: list[Message] = []
    unused: dict[str, Outcome] = {}
    for number, message in enumerate(messages):
        read.append(_read(message))
        unused |= message.unused(f"messages[{number}].")
        if isinstance(message.content, list):
            for at, part in enumerate(message.content):
                unused |= part.unused(f"messages[{number}].content[{at}].")
    return tuple(read), unused


def _read(message: AnyMessage) -> Message:
    match message:
        case SystemMessage():
            return Message("system", _text(message.content))
        case UserMessage():
            return Message("user", _text(message.content))
        case ToolMessage():
            return Message("tool", _text(message.content), tool_call_id=message.tool_call_id)
        case AssistantMessage():
            calls = [ToolCall(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ()]
            content = _text(message.content) or message.refusal or ""
            return Message("assistant", content, message.thinking, tuple(calls))


def _text(content: str | Iterable[TextPart | RefusalPart] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text if isinstance(part, TextPart) else part.refusal for part in content)
