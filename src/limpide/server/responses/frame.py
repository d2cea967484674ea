"""A response before its first event: all that the request alone determines."""

from __future__ import annotations

import time
from typing import Any

from limpide.core.ports import ChatRequest
from limpide.core.thinking import Effort
from limpide.server.wire.responses import ResponsesRequest

_EFFORTS = {Effort.OFF: "none", Effort.MAX: "xhigh"}


def frame(response_id: str, model: str, body: ResponsesRequest, chat: ChatRequest, *, stored: bool) -> dict[str, Any]:
    """The response in the API's form, in its first state. Values are those that hold, not those that were asked for."""
    effort = chat.thinking.effort
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "queued" if body.background else "in_progress",
        "background": bool(body.background),
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": chat.tool_choice.parallel,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": effort and _EFFORTS.get(effort, effort.value), "summary": None},
        "store": stored,
        "temperature": chat.sampling.temperature,
        "text": {"format": _format(body)},
        "tool_choice": _tool_choice(body),
        "tools": [_tool(tool.model_dump()) for tool in body.tools or ()],
        "top_logprobs": chat.sampling.logprobs or 0,
        "top_p": chat.sampling.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _format(body: ResponsesRequest) -> dict[str, Any]:
    form = body.text and body.text.format
    return form.model_dump(by_alias=True, exclude_none=True) if form else {"type": "text"}


def _tool_choice(body: ResponsesRequest) -> Any:
    choice = body.tool_choice or "auto"
    return choice if isinstance(choice, str) else choice.model_dump()


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {**tool, "parameters": tool["parameters"] or {}, "strict": bool(tool["strict"])}
