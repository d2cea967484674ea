"""A small server that answers the parts of the Hugging Face hub's protocol that a download needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_DROP = 1 << 18


class FakeHub:
    """Repositories in memory. `requests` lists what was asked; `cut_after` ends a download's body early, once.

    With `slow_after`, what comes after so many bytes of a body comes in drops, until `hurry` is set.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.repos: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.cut_after: int | None = None
        self.slow_after: int | None = None
        self.hurry = threading.Event()
        self.lie_about_sha256: str | None = None
        self.elsewhere: str | None = None  # another server, to which downloads are sent
        self.tokens: list[str | None] = []
        self.commit = COMMIT
        self.gated = False  # files, as the hub does it: everybody may read the description

    def sha256(self, data: bytes) -> str:
        return self.lie_about_sha256 or hashlib.sha256(data).hexdigest()


@contextmanager
def serve() -> Iterator[FakeHub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub = FakeHub(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.hub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub: FakeHub = self.server.hub  # type: ignore[attr-defined]
        path = self.path.partition("?")[0].strip("/")
        hub.requests.append(f"{self.command} {path}")
        hub.tokens.append(self.headers.get("Authorization"))
        parts = path.split("/")
        if parts[:2] == ["api", "models"] and "/".join(parts[2:4]) in hub.repos:
            self._send(json.dumps(self._description(hub, "/".join(parts[2:4]))).encode(), {}, body=body)
        elif len(parts) > 4 and parts[2] == "resolve" and parts[4] in hub.repos.get("/".join(parts[:2]), {}):
            if hub.gated:
                self.send_response(403)
                self.send_header("X-Error-Code", "GatedRepo")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = hub.repos["/".join(parts[:2])][parts[4]]
            headers = {"ETag": f'"{hub.sha256(data)}"', "X-Linked-Size": str(len(data)), "X-Repo-Commit": COMMIT}
            if hub.elsewhere:
                self.send_response(302)
                for name, value in (headers | {"X-Linked-Etag": headers["ETag"], "Content-Length": "0"}).items():
                    self.send_header(name, value)
                self.send_header("Location", f"{hub.elsewhere}/{path}")
                self.end_headers()
                return
            self._send(data, headers | {"X-Linked-Etag": headers["ETag"], "Accept-Ranges": "bytes"}, body=body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound" if parts[0] == "api" else "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _description(self, hub: FakeHub, repo: str) -> dict[str, Any]:
        files = [
            {
                "rfilename": name,
                "size": len(data),
                "blobId": "x",
                "lfs": {"sha256": hub.sha256(data), "size": len(data), "pointerSize": 1},
            }
            for name, data in hub.repos[repo].items()
        ]
        return {
            "id": repo,
            "modelId": repo,
            "sha": hub.commit,
            "siblings": files,
            "tags": [],
            "cardData": {"license": "mit"},
        }

    def _send(self, data: bytes, headers: dict[str, str], *, body: bool) -> None:
        hub: FakeHub = self.server.hub  # type: ignore[attr-defined]
        wanted = self.headers.get("Range")
        start = 0
        if wanted and body:
            hub.ranges.append(wanted)
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first)
            end = int(last) + 1 if last else len(data)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
            data = data[start:end]
        else:
            self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if hub.cut_after is not None and "ETag" in headers:
            cut, hub.cut_after = hub.cut_after, None
            self.wfile.write(data[:cut])
            self.close_connection = True
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # whoever cancels leaves in the middle
            slow = hub.slow_after if hub.slow_after is not None and "ETag" in headers else len(data)
            self.wfile.write(data[:slow])
            for at in range(slow, len(data), _DROP):
                self.wfile.write(data[at : at + _DROP])
                hub.hurry.wait(0.05)
            return
        self.close_connection = True
