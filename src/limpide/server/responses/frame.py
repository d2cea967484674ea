"""A response before its first event: all that the request alone determines."""

from __future__ import annotations

import time
from typing import Any

from limpide.core.ports import ChatRequest
from limpide.core.thinking import Effort
from limpide.server.wire.response_tools import FunctionTool, HostedTool, Namespace
from limpide.server.wire.responses import ResponseRequest

_EFFORTS = {Effort.OFF: "none", Effort.MAX: "xhigh"}


def frame(response_id: str, model: str, asked: ResponseRequest, chat: ChatRequest, *, stored: bool) -> dict[str, Any]:
    """The response in the API's form, in its first state. Values are those that hold, not those that were asked for."""
    effort = chat.thinking.effort
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "queued" if asked.background else "in_progress",
        "background": bool(asked.background),
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": chat.tool_choice.parallel,
        "previous_response_id": asked.previous_response_id,
        "reasoning": {"effort": effort and _EFFORTS.get(effort, effort.value), "summary": None},
        "store": stored,
        "temperature": chat.sampling.temperature,
        "text": {"format": _format(asked)},
        "tool_choice": _tool_choice(asked),
        "tools": [_tool(tool) for tool in asked.tools or () if not isinstance(tool, HostedTool)],
        "top_logprobs": chat.sampling.logprobs or 0,
        "top_p": chat.sampling.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _format(asked: ResponseRequest) -> dict[str, Any]:
    form = asked.text and asked.text.format
    return form.model_dump(by_alias=True, exclude_none=True) if form else {"type": "text"}


def _tool_choice(asked: ResponseRequest) -> Any:
    choice = asked.tool_choice or "auto"
    return choice if isinstance(choice, str) else choice.model_dump()


def _tool(tool: FunctionTool | Namespace) -> dict[str, Any]:
    if isinstance(tool, Namespace):
        return {**tool.model_dump(exclude={"tools"}), "tools": [_tool(function) for function in tool.tools]}
    plain = tool.model_dump(include={"type", "name", "description", "parameters", "strict"})
    return {**plain, "parameters": tool.parameters or {}, "strict": bool(tool.strict)}
