"""`/v1/files`: what batches read and write."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import JSONResponse, Response, StreamingResponse

from limpide.core.errors import BadRequest, InvalidParameter, RequestTooLarge
from limpide.server.context import caller_of, settings_of
from limpide.server.kept import kept_of
from limpide.server.store import StoredFile
from limpide.server.store.files import new_file
from limpide.server.wire.stored import Deleted, FileList, FileReply, page

router = APIRouter(tags=["files"])

PURPOSES = ("batch", "user_data", "assistants", "fine-tune", "vision", "evals")
_FIELDS = ("file", "purpose", "expires_after[anchor]", "expires_after[seconds]")
_FORM_BYTES = 1 << 20
"""What a form may have beside its file."""
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, byte for byte.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(PURPOSES)},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
                    },
                }
            }
        },
    }
}


@router.post("/v1/files", response_model=FileReply, openapi_extra=_UPLOAD)
async def upload_file(request: Request) -> Response:
    """Store a file, whole or not at all."""
    form = await _form(request)
    try:
        upload, purpose, seconds = _read_form(form)
        if (size := upload.size or 0) > (most := settings_of(request).file_bytes):
            raise RequestTooLarge(f"the file has {size} bytes", expected=f"at most {most}")
        expires = None if seconds is None else int(time.time()) + seconds
        file = new_file(caller_of(request).client, _name(upload.filename), purpose, expires=expires)
        stored = await kept_of(request).files.add(file, upload.file.read)
    finally:
        await form.close()
    return JSONResponse(stored.as_dict())


@router.get("/v1/files", response_model=FileList)
async def list_files(
    request: Request,
    purpose: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
) -> Response:
    """The caller's files, by age."""
    found = await kept_of(request).files.list(
        caller_of(request).client, purpose=purpose, after=after, limit=limit + 1, order=order
    )
    return JSONResponse(page([file.as_dict() for file in found], limit))


@router.get("/v1/files/{file_id}", response_model=FileReply)
async def get_file(request: Request, file_id: str) -> Response:
    """What is known of a file."""
    return JSONResponse((await _found(request, file_id)).as_dict())


@router.get("/v1/files/{file_id}/content", response_class=StreamingResponse, responses=_BYTES)
async def get_file_content(request: Request, file_id: str) -> Response:
    """A file's bytes."""
    file = await _found(request, file_id)
    headers = {
        "Content-Length": str(file.bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
    content = kept_of(request).files.content(file_id)
    return StreamingResponse(content, headers=headers, media_type="application/octet-stream")


@router.delete("/v1/files/{file_id}", response_model=Deleted)
async def delete_file(request: Request, file_id: str) -> Response:
    """Forget a file; not while a batch reads it."""
    await kept_of(request).files.delete(file_id, caller_of(request).client)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


async def _found(request: Request, file_id: str) -> StoredFile:
    return await kept_of(request).files.get(file_id, caller_of(request).client)


async def _form(request: Request) -> FormData:
    """The form; its file lies on the disk if it is large. Raises BadRequest for anything else, RequestTooLarge."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequest("a file is uploaded as a form", expected="Content-Type: multipart/form-data")
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary", b"")
    most = settings_of(request).file_bytes
    pieces = _whole(request.stream(), most + _FORM_BYTES, b"--" + boundary + b"--")
    try:
        return await MultiPartParser(request.headers, pieces, max_files=1, max_fields=len(_FIELDS)).parse()
    except _TooMuch as error:
        raise RequestTooLarge(error.message, expected=f"a file of at most {most} bytes") from error
    except MultiPartException as error:
        raise BadRequest(f"the form can't be read: {error.message}") from error
    except (KeyError, LookupError, UnicodeError) as error:
        raise BadRequest("the form can't be read: no boundary, or another character set than UTF-8") from error


class _TooMuch(MultiPartException):
    """Of the parser's own kind, so that it closes its file."""


async def _whole(pieces: AsyncIterator[bytes], most: int, end: bytes) -> AsyncGenerator[bytes, None]:
    """The same pieces, if they are few enough and come to an end. On its own errors the parser closes its file."""
    size, tail = 0, b""
    async for piece in pieces:
        size += len(piece)
        if size > most:
            raise _TooMuch(f"the form has more than {most} bytes")
        tail = (tail + piece)[-len(end) - 64 :]
        yield piece
    if not tail.rstrip(b"\r\n \t").endswith(end):
        raise MultiPartException("it ends before its closing boundary")


def _read_form(form: FormData) -> tuple[UploadFile, str, int | None]:
    """File, purpose, and seconds until the file is forgotten."""
    for name in form:
        if name not in _FIELDS or len(form.getlist(name)) > 1:
            raise InvalidParameter("form field", name[:80], f"each of {', '.join(_FIELDS)} once at most")
    upload, purpose = form.get("file"), form.get("purpose")
    if not isinstance(upload, UploadFile):
        raise InvalidParameter("file", None if upload is None else "text", "a file, with a filename")
    if not isinstance(purpose, str) or purpose not in PURPOSES:
        raise InvalidParameter("purpose", purpose if isinstance(purpose, str) else None, ", ".join(PURPOSES))
    return upload, purpose, _seconds(form.get("expires_after[anchor]"), form.get("expires_after[seconds]"))


def _seconds(anchor: object, seconds: object) -> int | None:
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise InvalidParameter("expires_after[anchor]", anchor, "created_at")
    text = seconds if isinstance(seconds, str) else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 3600 <= int(text) <= 2_592_000):
        raise InvalidParameter("expires_after[seconds]", seconds, "a whole number from 3600 to 2592000")
    return int(text)


def _name(filename: str | None) -> str:
    """A name to show: it never becomes a path of ours."""
    shown = "".join(c for c in filename or "" if c.isprintable())
    return shown[-255:] or "file"
