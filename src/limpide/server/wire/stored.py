"""What the endpoints of stored things answer: responses, files, batches and lists of them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from limpide.server.wire.base import Ask, Reply
from limpide.server.wire.responses import Id, Metadata


class ResponseReply(Reply):
    """A response. Its output is a list of items: reasoning, message and function_call."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    model: str
    output: list[dict[str, Any]]
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    usage: dict[str, Any] | None
    previous_response_id: str | None


class ItemList(Reply):
    """The items that were a response's input."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(Reply):
    """Something is no more."""

    id: str
    object: Literal["response", "file"]
    deleted: Literal[True] = True


class FileReply(Reply):
    """What is known of a file beside its content."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"]


class FileList(Reply):
    """Files, by age."""

    object: Literal["list"] = "list"
    data: list[FileReply]
    first_id: str | None
    last_id: str | None
    has_more: bool


class BatchRequest(Ask):
    """A batch, as it is asked for."""

    UNSUPPORTED: ClassVar = {"output_expires_after": "delete the output files when you have read them"}

    input_file_id: Id
    endpoint: str
    completion_window: str
    """So many hours or days, such as `24h` or `7d`: what is not done by then expires."""
    metadata: Metadata | None = None


class BatchReply(Reply):
    """A batch."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    id: str
    object: Literal["batch"]
    endpoint: str
    input_file_id: str
    completion_window: str
    status: Literal[
        "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
    ]
    output_file_id: str | None
    error_file_id: str | None
    errors: dict[str, Any] | None
    request_counts: dict[str, int]
    created_at: int
    metadata: dict[str, str]


class BatchList(Reply):
    """Batches, latest first."""

    object: Literal["list"] = "list"
    data: list[BatchReply]
    first_id: str | None
    last_id: str | None
    has_more: bool


def page(data: list[Any], limit: int) -> dict[str, Any]:
    """One page of a list; `data` has one more than the limit if there is more."""
    shown = data[:limit]
    ids = [item["id"] for item in shown]
    return {
        "object": "list",
        "data": shown,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "has_more": len(data) > limit,
    }
