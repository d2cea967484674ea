"""What the server costs beside the engine's own time.

    python benchmarks/serve_overhead.py [MODEL] [--streams 1 16] [--tokens 128] [--rounds 7]

The same conversations are answered twice in each round: by the engine, stepped until all is written, and by the whole
server over HTTP, guards included, as streams that a client in a process of its own reads to their ends. Prints seconds
of both and the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from statistics import median

import uvicorn

from limpide import hub
from limpide.backends.local import LocalBackend
from limpide.backends.pool import ModelPool, Source
from limpide.core.messages import conversation
from limpide.core.ports import ChatRequest
from limpide.core.sampling import Sampling
from limpide.server.app import create_app
from limpide.server.guards import Guards

DONE = b"data: [DONE]\n\n"


def alone(backend: LocalBackend, prompts: Sequence[str], tokens: int) -> float:
    """Seconds that the engine takes, with nobody who reads."""
    sampling = Sampling(max_tokens=tokens, ignore_eos=True)
    began = time.perf_counter()
    streams = [backend.stream(ChatRequest(conversation(prompt), sampling)) for prompt in prompts]
    while backend.engine.step():
        pass
    seconds = time.perf_counter() - began
    for stream in streams:
        stream.close()
    return seconds


def client(port: int) -> None:
    """Answers each line of prompts on stdin with the seconds until all streams had ended."""
    for line in sys.stdin:
        asked = json.loads(line)
        waiting = selectors.DefaultSelector()
        began = time.perf_counter()
        for prompt in asked["prompts"]:
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(_request(prompt, asked["tokens"]))
            waiting.register(connection, selectors.EVENT_READ, bytearray())
        while waiting.get_map():
            for key, _ in waiting.select():
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                key.data.extend(data)
                if DONE in key.data[-64:] or not data:
                    assert DONE in key.data, key.data[:300]
                    waiting.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
        print(time.perf_counter() - began, flush=True)


def _request(prompt: str, tokens: int) -> bytes:
    asked = {"messages": [{"role": "user", "content": prompt}], "max_tokens": tokens}
    body = json.dumps({**asked, "temperature": 0, "ignore_eos": True, "stream": True}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Server:
    """The server in a thread, and its client in a process."""

    def __init__(self, backend: LocalBackend) -> None:
        pool = ModelPool([Source("model", lambda: backend, lambda: 0)], memory=1)
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        config = uvicorn.Config(create_app(pool, guard=Guards()), log_config=None, access_log=False, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve(sockets=[listening])))
        self._thread.start()
        port = str(listening.getsockname()[1])
        self._client = subprocess.Popen(
            [sys.executable, __file__, "--client", port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answer(self, prompts: Sequence[str], tokens: int) -> float:
        """Seconds that the client waits for all."""
        assert self._client.stdin
        assert self._client.stdout
        print(json.dumps({"prompts": prompts, "tokens": tokens}), file=self._client.stdin, flush=True)
        return float(self._client.stdout.readline())

    def close(self) -> None:
        """Stop both."""
        assert self._client.stdin
        self._client.stdin.close()
        self._client.wait()
        self._server.should_exit = True
        self._thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--client", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.client:
        client(asked.client)
        return
    path = hub.resolve(asked.model).path
    engine, server = LocalBackend.open(path), Server(LocalBackend.open(path))
    try:
        for streams in asked.streams:
            ratios = []
            for number in range(-1, asked.rounds):
                # New prompts each time, so that neither finds the other's, or its own, in the cache.
                prompts = [f"{streams}/{number + 1}/{stream}: describe a landscape" for stream in range(streams)]
                ours, theirs = alone(engine, prompts, asked.tokens), server.answer(prompts, asked.tokens)
                if number >= 0:  # the first is to warm up
                    ratios.append(theirs / ours)
                    print(f"{streams:3} streams   engine {ours:.3f} s   server {theirs:.3f} s")
            print(f"{streams:3} streams   server / engine: {median(ratios):.3f}")
    finally:
        server.close()
        engine.close()


if __name__ == "__main__":
    main()
