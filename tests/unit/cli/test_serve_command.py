"""`limpide serve` as a process of its own, with the real model."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from limpide.cli.running import run
from limpide.cli.serving import listen
from limpide.core.errors import InvalidParameter


def test_serves_says_where_and_drains(smollm2_path: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "limpide", "serve", str(smollm2_path), "--port", "0", "--offline", "--context", "512"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LIMPIDE_THINK": "off", "XDG_STATE_HOME": str(tmp_path)},
    )
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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_are_kept_out(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--host", host]) == 2
    assert host in capsys.readouterr().err


def test_an_unknown_model_is_named_before_anything_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    handlers = logging.getLogger().handlers[:]
    assert run(["serve", "smolm2-135m", "--port", "0"]) == 2
    assert "smollm2-135m" in capsys.readouterr().err
    assert logging.getLogger().handlers == handlers, "the log is the server's only while it runs"
