"""The body of POST /v1/responses, in OpenAI's dialect."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

MAX_ITEMS = 10_000
Status = Literal["in_progress", "completed", "incomplete"] | None


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TextPart(_Wire):
    """Text of whoever the message is from. Annotations and logprobs come back from clients and say nothing new."""

    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class RefusalPart(_Wire):
    """A refusal that a model gave: text like any other."""

    type: Literal["refusal"]
    refusal: str


class MessageItem(_Wire):
    """A turn of somebody's."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Annotated[TextPart | RefusalPart, Field(discriminator="type")]]
    id: str | None = None
    status: Status = None
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCallItem(_Wire):
    """A call that the model made."""

    type: Literal["function_call"]
    call_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    arguments: str
    id: str | None = None
    status: Status = None


class FunctionCallOutputItem(_Wire):
    """What became of a call."""

    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1)
    output: str | list[TextPart]
    id: str | None = None
    status: Status = None


class SummaryPart(_Wire):
    """A summary of thinking, as other servers write it."""

    type: Literal["summary_text"]
    text: str


class ReasoningPart(_Wire):
    """Thinking, as it was."""

    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(_Wire):
    """Thinking that came before the items after it."""

    type: Literal["reasoning"]
    summary: list[SummaryPart] = Field(default_factory=list)
    content: list[ReasoningPart] | None = None
    encrypted_content: None = None
    id: str | None = None
    status: Status = None


def _type_of(item: Any) -> Any:
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)
    return kind if isinstance(kind, str) else None


InputItem = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[FunctionCallOutputItem, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(_type_of),
]


class FunctionTool(_Wire):
    """A function that the model may call."""

    type: str
    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    @field_validator("type")
    @classmethod
    def _is_function(cls, kind: str) -> str:
        if kind != "function":
            raise ValueError(f"tools of type {kind[:50]!r} run on OpenAI's servers; here only functions can be called")
        return kind


class NamedChoice(_Wire):
    """The one function that must be called."""

    type: Literal["function"]
    name: str = Field(min_length=1)


class Reasoning(_Wire):
    """The thinking dial."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class PlainFormat(_Wire):
    """Any text."""

    type: Literal["text"]


class JsonObjectFormat(_Wire):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchemaFormat(_Wire):
    """JSON that a schema accepts."""

    type: Literal["json_schema"]
    name: str = Field(min_length=1, max_length=64)
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextConfig(_Wire):
    """What form the answer must have."""

    format: Annotated[PlainFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class StreamOptions(_Wire):
    """How the stream is dressed."""

    include_obfuscation: bool | None = None


Metadata = dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]]


class ResponsesRequest(_Wire):
    """What OpenAI's API takes and can be applied here, and what clients send that can't (UNAPPLIED)."""

    model: str | None = None
    input: str | Annotated[list[InputItem], Field(max_length=MAX_ITEMS)]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    tools: list[FunctionTool] | None = Field(None, max_length=128)
    tool_choice: Literal["auto", "none", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    metadata: Metadata | None = Field(None, max_length=16)
    truncation: Literal["auto", "disabled"] | None = None

    include: list[str] | None = Field(None, max_length=32)
    max_tool_calls: int | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None

    conversation: None = None
    prompt: None = None
