"""`/v1/batches`: many requests for idle hours."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from limpide.core.errors import BadRequest, InvalidParameter
from limpide.server.batches.kinds import BODIES
from limpide.server.batches.reading import LineReader
from limpide.server.context import caller_of, host_of
from limpide.server.ids import new_id
from limpide.server.kept import kept_of
from limpide.server.store import StoredBatch
from limpide.server.wire.stored import BatchList, BatchReply, BatchRequest, page

router = APIRouter(tags=["batches"])

_WINDOW = re.compile(r"([1-9][0-9]{0,2})([hd])", re.ASCII)
_SECONDS = {"h": 3600, "d": 24 * 3600}


@router.post("/v1/batches", response_model=BatchReply)
async def create_batch(request: Request, asked: BatchRequest) -> Response:
    """Check every line of the input file and queue the batch. Where a line is wrong, it has failed and says which."""
    if asked.endpoint not in BODIES:
        raise InvalidParameter("endpoint", asked.endpoint[:80], ", ".join(BODIES))
    window = _seconds(asked.completion_window)
    kept, client = kept_of(request), caller_of(request).client
    file = await kept.files.get(asked.input_file_id, client)
    if file.purpose != "batch":
        raise BadRequest(f"{file.id} was uploaded for {file.purpose}", expected="a file with the purpose batch")
    reader = LineReader(asked.endpoint, {offer.name for offer in host_of(request).offers()})
    async for data in kept.files.content(file.id):
        await asyncio.to_thread(reader.read, data)
        if reader.hopeless:
            break
    await asyncio.to_thread(reader.end)
    body = _new_batch(asked, window, [fault.as_dict() for fault in reader.faults], len(reader.lines))
    batch = await kept.batches.add(StoredBatch(client, body), [] if reader.faults else reader.lines)
    kept.worker.wake()
    return JSONResponse(batch.body)


@router.get("/v1/batches", response_model=BatchList)
async def list_batches(
    request: Request, after: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Response:
    """The caller's batches, latest first."""
    found = await kept_of(request).batches.list(caller_of(request).client, after=after, limit=limit + 1)
    return JSONResponse(page([batch.body for batch in found], limit))


@router.get("/v1/batches/{batch_id}", response_model=BatchReply)
async def get_batch(request: Request, batch_id: str) -> Response:
    """How far a batch is."""
    return JSONResponse((await kept_of(request).batches.get(batch_id, caller_of(request).client)).body)


@router.post("/v1/batches/{batch_id}/cancel", response_model=BatchReply)
async def cancel_batch(request: Request, batch_id: str) -> Response:
    """Begin no more lines of a batch; what is done can be read from its files."""
    kept = kept_of(request)
    batch = await kept.batches.cancel(batch_id, caller_of(request).client)
    kept.worker.interrupt(batch_id)
    return JSONResponse(batch.body)


def _seconds(window: str) -> int:
    match = _WINDOW.fullmatch(window)
    if match is None:
        raise InvalidParameter("completion_window", window[:80], "so many hours or days, such as 24h or 7d")
    return int(match[1]) * _SECONDS[match[2]]


def _new_batch(asked: BatchRequest, window: int, faults: list[dict[str, Any]], lines: int) -> dict[str, Any]:
    now = int(time.time())
    steps = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
    return {
        "id": new_id("batch_"),
        "object": "batch",
        "endpoint": asked.endpoint,
        "input_file_id": asked.input_file_id,
        "completion_window": asked.completion_window,
        "status": "failed" if faults else "validating",
        "output_file_id": None,
        "error_file_id": None,
        "errors": {"object": "list", "data": faults} if faults else None,
        "request_counts": {"total": lines, "completed": 0, "failed": 0},
        "created_at": now,
        "expires_at": now + window,
        **{f"{step}_at": now if faults and step == "failed" else None for step in steps},
        "metadata": asked.metadata or {},
    }
