"""The web page: files of a folder that is handed in, at `/` and below `/page/`.

They are read once, so that what is served is what was there when the server started, and no path of a request ever
reaches the file system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from limpide.core.errors import InvalidParameter, NotFound

INDEX = "index.html"
PREFIX = "/page/"
MOST_FILES = 200
MOST_BYTES = 4 << 20
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What a folder may hold; whatever else is in it is not served."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Nothing but its own files and its own server. No string ever becomes HTML or a script: browsers that know trusted
types refuse to make one of it."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Kept, and asked about each time: after an update nobody runs half of the old page.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    etag: str


class Page:
    """A folder of static files, held in memory.

    Raises InvalidParameter for a folder without an index, or one that is too large to be a page.
    """

    def __init__(self, folder: Path) -> None:
        self._files = dict(_read(folder))
        if INDEX not in self._files:
            raise InvalidParameter("page", str(folder), f"a folder that holds {INDEX}")

    @property
    def paths(self) -> frozenset[str]:
        """Everything that is served, as paths of URLs."""
        return frozenset({"/", *(PREFIX + name for name in self._files if name != INDEX)})

    def router(self) -> APIRouter:
        """The routes to it."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self._index, methods=["GET", "HEAD"])
        router.add_api_route(PREFIX + "{name:path}", self._file, methods=["GET", "HEAD"])
        return router

    async def _index(self, request: Request) -> Response:
        return _answer(request, self._files[INDEX])

    async def _file(self, request: Request, name: str) -> Response:
        file = self._files.get(name)
        if file is None or name == INDEX:
            raise NotFound(f"the page has no file {name[:80]!r}")
        return _answer(request, file)


def _read(folder: Path) -> Iterable[tuple[str, _File]]:
    total = 0
    paths = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES and path.is_file())
    for path in paths:
        total += path.stat().st_size
        if len(paths) > MOST_FILES or total > MOST_BYTES:
            raise InvalidParameter("page", str(folder), f"at most {MOST_FILES} files and {MOST_BYTES} bytes")
        body = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        yield name, _File(body, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _answer(request: Request, file: _File) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    if file.etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
