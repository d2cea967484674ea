"""Endpoints that are not ours, over real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answered = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


@contextmanager
def stranger(answer: Callable[[str, int], Answered]) -> Iterator[tuple[str, list[Any]]]:
    """An endpoint that answers what the function of path and number of the request says. Bodies are kept."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond(*answer(self.path, len(asked)))

        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.respond(*answer(self.path, len(asked)))

        def respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SSE = {"Content-Type": "text/event-stream"}
WHOLE = (
    b'data: {"choices": [{"delta": {"content": "yes"}}]}\n\n'
    b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


def chat(answer: Callable[[int], Answered]) -> Callable[[str, int], Answered]:
    def respond(path: str, number: int) -> Answered:
        if path.startswith("/v1/models"):
            return 200, {}, b'{"id": "m", "max_model_len": 77, "data": [{"id": "m", "max_model_len": 77}]}'
        return answer(number)

    return respond
