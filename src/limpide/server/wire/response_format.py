"""What form an answer must have: OpenAI's response formats, and two of ours."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from limpide.core.receipt import Outcome
from limpide.core.shape import Grammar, JsonObject, JsonSchema, Regex, Shape
from limpide.server.limits import check_schema
from limpide.server.wire.base import Ask, JsonData

MAX_PATTERN = 1 << 16
MAX_GRAMMAR = 1 << 18


class TextFormat(Ask):
    """Any text."""

    type: Literal["text"]


class JsonObjectFormat(Ask):
    """Any JSON object."""

    type: Literal["json_object"]


class NamedSchema(Ask):
    """A JSON schema. It is always enforced, whatever `strict` says."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    schema_: JsonData = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(Ask):
    """JSON that a schema accepts."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


class RegexFormat(Ask):
    """Text that a regular expression matches as a whole."""

    type: Literal["regex"]
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATTERN)]


class GrammarFormat(Ask):
    """Text that a context-free grammar derives, in llguidance's form of Lark."""

    type: Literal["grammar"]
    grammar: Annotated[str, StringConstraints(min_length=1, max_length=MAX_GRAMMAR)]


ResponseFormat = Annotated[
    TextFormat | JsonObjectFormat | JsonSchemaFormat | RegexFormat | GrammarFormat, Field(discriminator="type")
]


def read_format(form: ResponseFormat | None) -> Shape | None:
    """The form as the engine enforces it; None is any text. Raises RequestTooLarge."""
    match form:
        case None | TextFormat():
            return None
        case JsonObjectFormat():
            return JsonObject()
        case JsonSchemaFormat():
            check_schema(form.json_schema.schema_)
            return JsonSchema(form.json_schema.schema_, form.json_schema.name)
        case RegexFormat():
            return Regex(form.pattern)
        case GrammarFormat():
            return Grammar(form.grammar)


def format_outcomes(form: ResponseFormat | None) -> dict[str, Outcome]:
    """What a receipt says of what is not used of the form."""
    if not isinstance(form, JsonSchemaFormat):
        return {}
    outcomes = {}
    named = form.json_schema
    if named.description is not None:
        why = "the model is not shown the schema's description; say it in the prompt"
        outcomes["response_format.json_schema.description"] = Outcome("refused", named.description, None, why)
    if named.strict is False:
        why = "a schema is always enforced"
        outcomes["response_format.json_schema.strict"] = Outcome("clamped", False, True, why)
    return outcomes
