"""Chat templates: a model's own program that turns messages into its prompt, run where it can do no harm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpide.core.errors import InvalidParameter, TemplateError
from limpide.core.messages import Message, Tool
from limpide.text.confined import ConfinedWorker

MAX_SOURCE_CHARACTERS = 1 << 20
MAX_ADDED_CHARACTERS = 1 << 20
"""What a template may write beyond four times what it was given."""
PROCESSOR_SECONDS = 0.5
SECONDS_A_MESSAGE = 0.005
"""More for each message: real templates (Gemma 4, gpt-oss) look at all others for each, and agents send hundreds."""
MAX_PROCESSOR_SECONDS = 10.0
_WORKER = Path(__file__).with_name("template_worker.py")
_HINT = "the model's chat template is at fault; use another file of the model, or continue raw text without a template"


@dataclass(frozen=True, slots=True)
class CallForm:
    """In which form a template takes an assistant's message that calls tools: their authors did not agree."""

    arguments_as_text: bool = False
    """Arguments as JSON text, in place of an object."""
    empty_content: str | None = ""
    """What stands for no content."""


class ChatTemplate:
    """A model's chat template. Safe to use from several threads."""

    def __init__(self, source: str, *, bos_token: str = "", eos_token: str = "") -> None:
        """Raises TemplateError if the source is longer than any real template. It is compiled at the first use."""
        if len(source) > MAX_SOURCE_CHARACTERS:
            raise TemplateError(
                f"the chat template has {len(source)} characters",
                expected=f"at most {MAX_SOURCE_CHARACTERS}",
                hint=_HINT,
            )
        self.source = source
        self.bos_token = bos_token
        self.eos_token = eos_token
        self.sha256 = hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()
        _renderer.start()  # takes 0.1 s, in which the weights are being opened

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        tools_key: str = "tools",
        form: CallForm = CallForm(),
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> str:
        """The prompt as text. `kwargs` are the template's own switches, for example `enable_thinking`.

        tools_key: the variable in which the template looks for tools; empty if it has none.

        Raises TemplateError if the template refuses the conversation (with its message), fails, is unsafe, takes longer
        than `PROCESSOR_SECONDS` and `SECONDS_A_MESSAGE` allow, or needs too much memory.
        """
        forms = [tool_as_dict(tool) for tool in tools]
        given = {tools_key: [form["function"] for form in forms]} if tools_key not in ("tools", "") else {}
        context = {
            **kwargs,
            **given,
            "messages": [message_as_dict(message, form) for message in messages],
            "tools": (forms if tools_key == "tools" else None) or None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            "bos_token": self.bos_token,
            "eos_token": self.eos_token,
        }
        return _renderer.render(self.source, context)


def message_as_dict(message: Message, call_form: CallForm = CallForm()) -> dict[str, Any]:
    """A message in the form that templates expect."""
    form: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thinking is not None:
        form["reasoning_content"] = form["thinking"] = message.thinking
    if message.tool_calls:
        form["content"] = message.content or call_form.empty_content
        form["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.arguments if call_form.arguments_as_text else _arguments(call.arguments),
                },
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        form["tool_call_id"] = message.tool_call_id
    return form


def tool_as_dict(tool: Tool) -> dict[str, Any]:
    """A tool in the form that templates expect."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _arguments(text: str) -> Any:
    """Arguments as an object where they are one: most templates write them as JSON themselves."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


class _Renderer:
    """Renders in a process of its own."""

    def __init__(self) -> None:
        self.worker = ConfinedWorker(_WORKER)

    def start(self) -> None:
        """Have a worker, without waiting until it is ready."""
        try:
            self.worker.start()
        except OSError as error:
            raise _unstarted(error) from None

    def render(self, source: str, context: Mapping[str, Any]) -> str:
        """Render in the worker. Raises TemplateError, InvalidParameter if the context can't be written as JSON."""
        try:
            given = json.dumps(context)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameter("tools and template switches", str(error), "what JSON can write") from None
        limit = MAX_ADDED_CHARACTERS + 4 * len(given)
        seconds = min(PROCESSOR_SECONDS + SECONDS_A_MESSAGE * len(context["messages"]), MAX_PROCESSOR_SECONDS)
        request = {"source": source, "max_characters": limit, "seconds": seconds}
        line = f'{json.dumps(request)[:-1]}, "context": {given}}}\n'.encode()
        try:
            answer = self.worker.ask(line, 12 * limit + (1 << 16), seconds)
        except OSError as error:
            raise _unstarted(error) from None
        if "text" in answer:
            return str(answer["text"])
        raise _error(str(answer.get("error")), str(answer.get("message")), seconds)


def _unstarted(error: OSError) -> TemplateError:
    return TemplateError(f"the process that renders chat templates can't be started: {error}")


def _error(kind: str, message: str, seconds: float) -> TemplateError:
    match kind:
        case "raised":
            return TemplateError(f"the chat template refuses this conversation: {message}")
        case "unsafe":
            return TemplateError(f"the chat template reaches for what it may not touch: {message}", hint=_HINT)
        case "syntax":
            return TemplateError(f"the chat template is no valid Jinja: {message}", hint=_HINT)
        case "time":
            return TemplateError(
                "the chat template took too long and was ended",
                expected=f"at most {seconds:g} s of processor time",
                hint=_HINT,
            )
        case "memory":
            return TemplateError("the chat template needs more memory than it may have", hint=_HINT)
        case "died":
            return TemplateError(f"the process that renders chat templates ended unexpectedly ({message})", hint=_HINT)
        case "recursion":
            return TemplateError("the chat template calls itself without end", hint=_HINT)
        case _:
            return TemplateError(f"the chat template failed: {message}", hint=_HINT)


_renderer = _Renderer()
