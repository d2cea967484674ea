"""A backend whose answers are known beforehand, over the real engine: for tests, also those of clients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from limpide.backends.bytes import SPECIAL, byte_tokenizer
from limpide.backends.local import LocalBackend, Text
from limpide.backends.scripted import NextToken, ScriptedModel, ScriptedSpec, reply_script
from limpide.text import ChatTemplate, dialect_for, tool_dialect_for

Reply = str | Callable[[str], str]
"""What it says: a text, or a function of the text before its turn."""

TEMPLATE = """{%- if tools -%}{{ '<|system|>' + tools|tojson + '<|end|>' }}{%- endif -%}
{%- for message in messages -%}
{{ '<|' + message.role + '|>' + message.content }}
{%- for call in message.tool_calls -%}
{{ '<tool_call>' + call.function|tojson + '</tool_call>' }}
{%- endfor -%}
{{ '<|end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"""


class FakeBackend(LocalBackend):
    """Answers by script, one byte per token. Budgets, stop strings, batching, cache and receipts are the real ones.

    reply, thinking: what it answers and what it thinks before, if it is asked to. script: all tokens so far to the next
    one, in place of both. dialect, tool_dialect, template, special, ends: what makes it speak like some family; the
    last two are control tokens, and which of them end a turn. options: as for LocalBackend, for example `context`,
    `max_batch`, `cache_bytes`.
    """

    def __init__(
        self,
        reply: Reply = "This is a scripted answer.",
        *,
        thinking: Reply = "First one thing, then another.",
        script: NextToken | None = None,
        name: str = "fake",
        model_context: int = 8192,
        dialect: str = "think-tags",
        tool_dialect: str = "hermes",
        template: str = TEMPLATE,
        special: Sequence[str] = (),
        ends: Sequence[str] = (),
        chat: bool = True,
        **options: Any,
    ) -> None:
        tokenizer = byte_tokenizer(special=special, ends=ends)
        spec = ScriptedSpec(tokenizer.vocab_size, model_context)
        text = Text(
            tokenizer,
            ChatTemplate(template, bos_token=SPECIAL[0], eos_token=SPECIAL[1]) if chat else None,
            dialect_for(dialect if chat else "none"),
            tool_dialect_for(tool_dialect),
        )
        script = script or reply_script(_function(reply), _function(thinking))
        options = {"cache_bytes": 1 << 20, "licence": "Apache-2.0", **options}
        super().__init__(ScriptedModel(script, tokenizer.vocab_size), spec, text, name=name, **options)


def _function(reply: Reply) -> Callable[[str], str]:
    return reply if callable(reply) else lambda _: reply
