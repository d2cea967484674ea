"""Chat templates: a model's own program that turns messages into its prompt, run where it can do no harm."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpide.core.errors import InvalidParameter, TemplateError
from limpide.core.messages import Message, Tool

MAX_SOURCE_CHARACTERS = 1 << 20
MAX_ADDED_CHARACTERS = 1 << 20
"""What a template may write beyond four times what it was given."""
PROCESSOR_SECONDS = 0.5
SECONDS_A_MESSAGE = 0.005
"""More for each message: real templates (Gemma 4, gpt-oss) look at all others for each, and agents send hundreds."""
MAX_PROCESSOR_SECONDS = 10.0
WALL_SECONDS = 10.0
"""Beside the processor time. Only for systems that can't limit processor time, and for machines that are busy."""
_EXIT_SECONDS = 1.0
_OUT_OF_TIME = {-int(getattr(signal, name)) for name in ("SIGPROF", "SIGKILL") if hasattr(signal, name)} | {1}
"""Exit codes of a worker that the kernel or our clock ended (1 is what TerminateProcess leaves on Windows)."""
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
    """The worker process: started when first needed, replaced when it was ended, gone with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def start(self) -> None:
        """Have a worker, without waiting until it is ready."""
        with self._lock:
            self._running()

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is not None and self._owner == os.getpid():
            if process.poll() is None:
                return process
            self._discard(process)
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - our own script by our own interpreter
                [sys.executable, "-P", str(_WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise TemplateError(f"the process that renders chat templates can't be started: {error}") from None
        self._owner = os.getpid()
        return process

    def _discard(self, process: subprocess.Popen[bytes], *, ended: bool = False) -> int:
        """Have it gone, and its exit code. `ended` is whether it is known to be about to exit by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_EXIT_SECONDS if ended else 0)
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process = None
        return process.wait()

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            if self._process is not None and self._owner == os.getpid():
                self._discard(self._process)

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
        with self._lock:
            answer = self._exchange(line, 12 * limit + (1 << 16), WALL_SECONDS + seconds)
        if "text" in answer:
            return str(answer["text"])
        raise _error(str(answer.get("error")), str(answer.get("message")), seconds)

    def _exchange(self, line: bytes, limit: int, wall_seconds: float) -> dict[str, Any]:
        process = self._running()
        clock = threading.Timer(wall_seconds, process.kill)
        clock.daemon = True
        clock.start()
        answer = b""
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - asked for above
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline(limit)
        except OSError:
            pass  # it was ended while we wrote: no answer
        except BaseException:
            self._discard(process)  # Ctrl-C between question and answer: the next render must not read this answer
            raise
        finally:
            clock.cancel()
        if not answer.endswith(b"\n"):
            code = self._discard(process, ended=True)
            in_time = code not in _OUT_OF_TIME
            return {"error": "died" if in_time else "time", "message": f"exit code {code}"}
        value = json.loads(answer)
        return value if isinstance(value, dict) else {"error": "failed"}


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
atexit.register(_renderer.close)
