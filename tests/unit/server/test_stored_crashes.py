"""A server that is killed while it works on a batch and writes responses, and what the next one makes of it."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai

SERVE = """
import sys, threading
from pathlib import Path
import uvicorn
from limpide.backends.fake import FakeBackend
from limpide.backends.pool import ModelPool, Source
from limpide.server.app import create_app
from limpide.server.settings import ServerSettings

seen = set()
def reply(before):
    question = before.split("question ")[-1].split("<")[0][:2]
    if question not in seen:
        seen.add(question)
        with open(sys.argv[2], "a") as log:
            log.write(question + "\\n")
    return f"answer {question} " * 12 if "question" in before else "word " * 1500

backend = FakeBackend(reply)
host = ModelPool([Source("fake", lambda: backend, lambda: 0)], memory=1)
app = create_app(host, ServerSettings(database=Path(sys.argv[1]), batch_lines=2, drain_seconds=0.1))
server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
startup = server.startup
async def announced(sockets=None):
    await startup(sockets)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
server.startup = announced
server.run()
"""


@contextmanager
def server(database: Path, log: Path) -> Iterator[openai.OpenAI]:
    """A client of a server that is killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(database), str(log)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        port = int(process.stdout.readline())
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL


def test_nothing_is_lost_nothing_is_half_and_nothing_is_done_twice(tmp_path: Path) -> None:
    database, logs = tmp_path / "server.db", [tmp_path / "first.log", tmp_path / "second.log"]
    lines = [
        {
            "custom_id": f"{number:02}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "fake", "messages": [{"role": "user", "content": f"question {number:02}"}]},
        }
        for number in range(20)
    ]
    with server(database, logs[0]) as client:
        kept = client.responses.create(model="fake", input="question 99")
        file = client.files.create(file=b"\n".join(json.dumps(line).encode() for line in lines), purpose="batch")
        batch: Any = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while client.batches.retrieve(batch.id).request_counts.completed < 3:
            pass
        stream = client.responses.create(model="fake", input="hi", stream=True)
        foreground = next(iter(stream)).response.id
        background = client.responses.create(model="fake", input="hi", background=True).id

    with sqlite3.connect(database) as db:
        done = {row[0] for row in db.execute("SELECT custom_id FROM batch_lines WHERE failed IS NOT NULL")}
    db.close()
    assert 3 <= len(done) < 20, "it was killed in the middle"

    with server(database, logs[1]) as client:
        assert client.responses.retrieve(kept.id).to_dict() == kept.to_dict()
        for name in (foreground, background):
            response: Any = client.responses.retrieve(name)
            while response.status != "failed":  # until the new server has looked
                assert response.status in ("in_progress", "queued")
                response = client.responses.retrieve(name)
            assert response.error.message == "the server stopped while this response was being written"
            assert response.output == []
        while batch.status not in ("completed", "failed", "expired"):
            batch = client.batches.retrieve(batch.id)
        assert batch.status == "completed"
        assert batch.request_counts.to_dict() == {"total": 20, "completed": 20, "failed": 0}
        found = [json.loads(each) for each in client.files.content(batch.output_file_id).text.splitlines()]
    assert [each["custom_id"] for each in found] == [line["custom_id"] for line in lines]
    for each in found:
        said = each["response"]["body"]["choices"][0]["message"]["content"]
        assert said == f"answer {each['custom_id']} " * 12
    first, second = (set(log.read_text().split()) for log in logs)
    assert not second & done, "a line that was done is not done again"
    assert first - {"99", "hi"} >= done
    assert second >= {line["custom_id"] for line in lines} - done


def test_what_was_acknowledged_a_moment_before_is_there_whole(tmp_path: Path) -> None:
    """The end of a stream, and a file; of a file that was still being sent there is nothing."""
    database, log = tmp_path / "server.db", tmp_path / "log"
    content = bytes(range(256)) * 6000
    with (
        server(database, log) as client,
        socket.create_connection((client.base_url.host, client.base_url.port)) as half,
    ):
        file = client.files.create(file=("whole.bin", content), purpose="user_data")
        form = '--limit\r\nContent-Disposition: form-data; name="file"; filename="half.bin"\r\n\r\n'
        head = f"Host: localhost\r\nContent-Type: multipart/form-data; boundary=limit\r\nContent-Length: {len(content)}"
        half.sendall(f"POST /v1/files HTTP/1.1\r\n{head}\r\n\r\n{form}".encode() + content[: len(content) // 2])
        stream = client.responses.create(model="fake", input="question 07", stream=True)
        last = next(event for event in stream if event.type == "response.completed")

    with server(database, log) as client:
        assert client.responses.retrieve(last.response.id).to_dict() == last.response.to_dict()
        [asked] = client.responses.input_items.list(last.response.id).to_dict()["data"]
        assert asked["content"] == [{"type": "input_text", "text": "question 07"}]
        following = client.responses.create(model="fake", input="question 08", previous_response_id=last.response.id)
        assert following.status == "completed"
        assert [each.id for each in client.files.list()] == [file.id]
        assert client.files.content(file.id).read() == content
