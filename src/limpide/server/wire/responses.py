"""A response as it is asked for, in OpenAI's Responses dialect."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from limpide.core.receipt import Outcome
from limpide.core.sampling import MAX_LOGPROBS
from limpide.server.wire.base import Ask, JsonData
from limpide.server.wire.content import CACHED_ANYWAY, TEXT_ONLY
from limpide.server.wire.response_tools import AnyTool, Choice
from limpide.server.wire.sampling import MAX_SEED, MAX_TOKEN, TokenLimit
from limpide.server.wire.thinking import ThinkingFields
from limpide.server.wire.tools import MAX_TOOLS

MAX_ITEMS = 10_000
Status = Literal["in_progress", "completed", "incomplete"] | None
Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]

NOT_USED: dict[str, str] = {
    "client_metadata": "nothing depends on what a client says of itself",
    "max_tool_calls": "it counts calls that the server makes; here the client makes them all",
    "prompt_cache_key": "prefixes are kept and shared without being asked to",
    "prompt_cache_options": "prefixes are kept and shared without being asked to",
    "prompt_cache_retention": "prefixes are kept as long as there is room",
    "safety_identifier": "nothing depends on it: limits go by key",
    "service_tier": "there is one tier, on this machine",
    "user": "nothing depends on it: limits go by key",
}
"""Fields of OpenAI's that are taken and change nothing."""
REFUSED: dict[str, str] = {
    "access_programs": "there are none to have access by",
    "background_options": "pass `background` alone: what waits is written as soon as there is room",
    "conversation": "go on from a response with `previous_response_id`",
    "prompt": "send the prompt itself as `input` and `instructions`",
    "context_management": "nothing is left out of a conversation; send a shorter one",
    "image": "models here write text only",
    "messages": "pass `input` in its place",
    "moderation": "nothing is moderated here; have a model judge texts, and ask it yourself",
    "max_tokens": "pass `max_output_tokens` in its place",
    "response_format": "pass `text: {format: …}` in its place",
}
"""Fields that others know and that would change the answer: what to do in their place."""


class InputText(Ask):
    """Some text of a message."""

    UNUSED: ClassVar = {
        "annotations": "models are given the text alone",
        "logprobs": "models are given the text alone",
        "prompt_cache_breakpoint": CACHED_ANYWAY,
    }

    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None
    prompt_cache_breakpoint: JsonData | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_only(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("type") in ("input_image", "input_file", "input_audio"):
            raise PydanticCustomError("unsupported_field", TEXT_ONLY, {"field": "type"})
        return value

    def unused(self, prefix: str = "") -> dict[str, Outcome]:
        """Without the empty lists that come back with every text that was written here."""
        return {name: outcome for name, outcome in super().unused(prefix).items() if outcome.requested != []}


class InputRefusal(Ask):
    """What an assistant said in place of an answer."""

    type: Literal["refusal"]
    refusal: str


class InputMessage(Ask):
    """A turn of somebody's."""

    UNUSED: ClassVar = {"phase": "a model's templates know no phases"}

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText | InputRefusal]
    id: Id | None = None
    status: Status = None
    phase: Literal["commentary", "final_answer"] | None = None


class InputCall(Ask):
    """A call that the model made. `namespace`: of the function, if it stands in one."""

    UNUSED: ClassVar = {"caller": "the model alone makes calls"}
    UNSUPPORTED: ClassVar = {"async": "a call is answered before the model goes on"}

    type: Literal["function_call"]
    call_id: Id
    name: Annotated[str, StringConstraints(min_length=1)]
    arguments: str
    namespace: Annotated[str, StringConstraints(min_length=1)] | None = None
    caller: JsonData | None = None
    id: Id | None = None
    status: Status = None


class InputCallOutput(Ask):
    """What became of a call."""

    UNUSED: ClassVar = dict.fromkeys(("caller", "name", "namespace"), "the call that it answers says it")

    type: Literal["function_call_output"]
    call_id: Id
    output: str | list[InputText]
    caller: JsonData | None = None
    name: str | None = None
    namespace: str | None = None
    id: Id | None = None
    status: Status = None


class SummaryText(Ask):
    """A summary of thinking, as other servers write it."""

    type: Literal["summary_text"]
    text: str


class ReasoningText(Ask):
    """Thinking, as it was."""

    type: Literal["reasoning_text"]
    text: str


class InputReasoning(Ask):
    """Thinking that came before the items after it."""

    UNSUPPORTED: ClassVar = {"encrypted_content": "only who encrypted it can read it; send `content`"}

    type: Literal["reasoning"]
    summary: list[SummaryText] = Field(default_factory=list)
    content: list[ReasoningText] | None = None
    id: Id | None = None
    status: Status = None


def _type_of(item: Any) -> str | None:
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)
    return kind if isinstance(kind, str) else None


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[InputCall, Tag("function_call")]
    | Annotated[InputCallOutput, Tag("function_call_output")]
    | Annotated[InputReasoning, Tag("reasoning")],
    Discriminator(
        _type_of,
        custom_error_type="unsupported_field",
        custom_error_message="an item's type is message, function_call, function_call_output or reasoning",
    ),
]


class AnyTextForm(Ask):
    """Any text."""

    type: Literal["text"]


class JsonObjectForm(Ask):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchemaForm(Ask):
    """JSON that a schema accepts. It is always enforced, whatever `strict` says."""

    type: Literal["json_schema"]
    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    schema_: JsonData = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextField(Ask):
    """What form the answer must have."""

    UNUSED: ClassVar = {"verbosity": "say it in the prompt"}

    format: Annotated[AnyTextForm | JsonObjectForm | JsonSchemaForm, Field(discriminator="type")] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ResponseStreamOptions(Ask):
    """What a stream has beside the answer."""

    UNUSED: ClassVar = {"include_obfuscation": "events are not padded; TLS is where sizes could be hidden"}

    include_obfuscation: bool | None = None


Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]
"""Labels of the client's own."""


class ResponseRequest(ThinkingFields):
    """OpenAI's response, with a few parameters more."""

    UNUSED: ClassVar = NOT_USED
    UNSUPPORTED: ClassVar = REFUSED

    model: str | None = None
    """Default: the first of `/v1/models`."""
    input: str | Annotated[list[InputItem], Field(max_length=MAX_ITEMS)]
    instructions: str | None = None
    """A system message that holds for this response alone."""
    previous_response_id: Id | None = None
    """Go on from a stored response."""
    store: bool | None = None
    """Keep the response. Default: true."""
    background: bool | None = None
    """Answer at once with the response's id, and write it meanwhile."""
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    tools: Annotated[list[AnyTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    text: TextField | None = None
    max_output_tokens: TokenLimit | None = None
    """Limit of thinking and answer together. Default: what the context leaves."""
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=MAX_TOKEN)] | None = None
    """Ours. 0 keeps all tokens."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Ours. Keep tokens at least this share as likely as the most likely one."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    """Ours. The same request with the same seed gives the same answer."""
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS)] | None = None
    include: Annotated[list[str], Field(max_length=32)] | None = None
    metadata: Metadata | None = None
    truncation: Literal["auto", "disabled"] | None = None
    """Nothing is ever left out: `auto` is treated as `disabled`, and the receipt says so."""

    client_metadata: JsonData | None = None
    """Sent by Codex CLI."""
    max_tool_calls: int | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JsonData | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    user: str | None = None
