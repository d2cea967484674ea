"""`limpide serve` as a process of its own, with the real model."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from limpide.cli.running import run
from limpide.cli.serving import listen
from limpide.core.errors import InvalidParameter
from limpide.server.limits import Limits
from limpide.server.settings import ServerSettings


def test_serves_says_where_and_drains(smollm2_path: Path, tmp_path: Path) -> None:
    process = serving(str(smollm2_path), "--context", "512", state=tmp_path, LIMPIDE_THINK="off")
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/v1")
        [model] = httpx.get(f"{url}/models").json()["data"]
        assert (model["id"], model["limpide"]["context"]) == (smollm2_path.stem, 512)
        kept = httpx.post(f"{url}/responses", json={"input": "hi", "max_output_tokens": 5}, timeout=60).json()
        assert httpx.get(f"{url}/responses/{kept['id']}").json() == kept
        assert (tmp_path / "limpide" / "server.db").stat().st_mode & 0o777 == 0o600
        body = {"messages": [{"role": "user", "content": "Count to one hundred."}], "stream": True, "max_tokens": 60}
        with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=60) as response:
            lines = response.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert "data: [DONE]" in rest, "what runs comes to its end"
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert out == ""
    assert "curl" in err
    assert "Traceback" not in err


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InvalidParameter) as refused:
            listen("127.0.0.1", port)
    assert refused.value.value == port
    assert f"--port {port + 1}" in (refused.value.hint or "")


def test_limits_are_what_was_asked_for(smollm2_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[Any, Any]] = []
    monkeypatch.setattr("limpide.cli.serving.run", lambda _, settings, guard, *__: served.append((settings, guard)))
    monkeypatch.setenv("LIMPIDE_MAX_BODY", "3")
    flags = ["--max-file", "5", "--max-unread", "7", "--keep-days", "2", "--max-stored", "64", "--batch-lines", "9"]
    assert run(["serve", str(smollm2_path), "--port", "0", "--offline", *flags]) == 0
    assert run(["serve", str(smollm2_path), "--port", "0", "--offline", "--max-body", "16"]) == 0
    (settings, guard), (plain, plain_guard) = served
    assert (guard.limits.body_bytes, guard.limits.file_bytes, guard.limits.unread_seconds) == (3 << 20, 6 << 20, 7.0)
    assert (settings.file_bytes, settings.keep_days, settings.database_bytes) == (5 << 20, 2, 64 << 20)
    assert settings.batch_lines == 9
    default, limits = ServerSettings(), Limits()
    for name in ("file_bytes", "keep_days", "database_bytes", "batch_lines"):
        assert getattr(plain, name) == getattr(default, name), name
    for name in ("body_bytes", "unread_seconds"):
        assert getattr(plain_guard.limits, name) == getattr(limits, name), name


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--max-body", "0"), ("--max-file", "x"), ("--max-unread", "0"), ("--keep-days", "-1"), ("--max-stored", "1")],
)
def test_a_limit_has_limits(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", flag, value]) == 2
    assert flag in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_are_kept_out(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--host", host]) == 2
    assert host in capsys.readouterr().err


def test_an_unknown_model_is_named_before_anything_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    handlers = logging.getLogger().handlers[:]
    assert run(["serve", "smolm2-135m", "--port", "0"]) == 2
    assert "smollm2-135m" in capsys.readouterr().err
    assert logging.getLogger().handlers == handlers, "the log is the server's only while it runs"


def serving(*arguments: str, state: Path, **environment: str) -> subprocess.Popen[str]:
    """`limpide serve` on a free port; the first line that it writes is its URL."""
    return subprocess.Popen(
        [sys.executable, "-m", "limpide", "serve", *arguments, "--port", "0", "--offline"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(state), "XDG_CONFIG_HOME": str(state / "config"), **environment},
    )


def test_two_models_a_late_key_and_an_end_in_the_middle_of_work(smollm2_path: Path, tmp_path: Path) -> None:
    """What a server is told to end in the middle of is finished in time, or by the next one."""
    other = tmp_path / "other.gguf"
    other.symlink_to(smollm2_path)
    asked = (str(smollm2_path), str(other), "--context", "512", "--idle", "1", "--drain", "20")
    line = {"model": "other", "messages": [{"role": "user", "content": "Count."}], "max_tokens": 40, "temperature": 0}
    first = serving(*asked, state=tmp_path)
    try:
        client = client_of(first)
        assert [model.id for model in client.models.list()] == [smollm2_path.stem, "other"]
        assert states(client) == {smollm2_path.stem: "loaded", "other": "unloaded"}
        answers = [client.chat.completions.create(**{**line, "model": name}) for name in (smollm2_path.stem, "other")]
        assert answers[0].choices[0].message.content == answers[1].choices[0].message.content
        while states(client) != {smollm2_path.stem: "unloaded", "other": "unloaded"}:  # nobody asks for a second
            pass

        made = [sys.executable, "-m", "limpide", "keys", "create", "late", "--tokens-per-day", "1"]
        environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
        key = subprocess.run(made, capture_output=True, text=True, env=environment, check=True).stdout.strip()
        late = client.with_options(api_key=key)
        late.chat.completions.create(**line)
        with pytest.raises(openai.RateLimitError):
            late.chat.completions.create(**line)

        lines = [
            {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": line}
            for number in range(6)
        ]
        file = client.files.create(file=("in", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
        batch: Any = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        background = client.responses.create(
            model="other", input="Count.", background=True, max_output_tokens=60, temperature=0
        )
        while client.batches.retrieve(batch.id).status != "in_progress":
            pass
        first.send_signal(signal.SIGTERM)
        _, err = first.communicate(timeout=60)
    finally:
        first.kill()
    assert first.returncode == 0
    assert "Traceback" not in err
    second = serving(*asked, state=tmp_path)
    try:
        client = client_of(second)
        drained = client.responses.retrieve(background.id)
        assert drained.status in ("completed", "incomplete"), drained.error
        assert drained.usage
        while batch.status not in ("completed", "failed", "expired"):
            batch = client.batches.retrieve(batch.id)
        assert (batch.status, batch.request_counts.completed) == ("completed", 6)
    finally:
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=60)
        second.kill()
    assert second.returncode == 0


def client_of(process: subprocess.Popen[str]) -> openai.OpenAI:
    assert process.stdout is not None
    return openai.OpenAI(base_url=process.stdout.readline().strip(), api_key="none", max_retries=0, timeout=60)


def states(client: openai.OpenAI) -> dict[str, str]:
    return {model.id: model.limpide["state"] for model in client.models.list()}  # type: ignore[attr-defined]
