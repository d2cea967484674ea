"""A server on this machine is found and used, and a note of one that is gone is not believed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpide.cli.nearby import announced, find
from limpide.cli.opening import Choice
from limpide.cli.options import NumericsChoice


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("LIMPIDE_API_KEY", raising=False)
    return tmp_path / "limpide" / "servers"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limpide", *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def server(state: Path, smollm2_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    model = state.parent / "mine.gguf"
    model.parent.mkdir(parents=True)
    model.symlink_to(smollm2_path)
    command = [sys.executable, "-m", "limpide", "serve", str(model), "--context", "512", "--port", "0", "--offline"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(state)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as it:
        assert it.stdout is not None
        assert it.stdout.readline().startswith("http://")
        yield it, model
        it.kill()


def test_a_server_is_used_and_said_so(server: tuple[subprocess.Popen[str], Path], state: Path) -> None:
    process, model = server
    question = ("-m", str(model), "--max-tokens", "8", "--offline", "What is the capital of France?")
    served = run("ask", *question, LIMPIDE_HERE="0")
    assert served.returncode == 0, served.stderr
    assert "answered by the server at http://127.0.0.1:" in served.stderr
    here = run("ask", *question, "--here")
    assert "answered by" not in here.stderr
    assert served.stdout == here.stdout != ""

    address = served.stderr.split(" ")[5].rstrip(",")
    by_address = run("ask", "-m", f"{address}#mine", *question[2:])
    assert by_address.returncode == 0, by_address.stderr
    assert by_address.stdout == here.stdout

    choice = Choice(str(model), offline=True)
    found = find(choice)
    assert found is not None
    assert found.info.context == 512
    found.close()
    # What the server does not offer is done here.
    for other in (
        Choice(str(model), NumericsChoice.EXACT),
        Choice(str(model), context=64),
        Choice(str(model), threads=1),
        Choice("another"),
    ):
        assert find(other) is None

    [note] = state.glob("*.json")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert find(choice) is None
    assert not note.exists(), "the lock went with the process, and the note is not believed"


def test_a_note_goes_when_the_server_ends_in_order(state: Path) -> None:
    with announced("http://127.0.0.1:1", [("smollm2-135m", "smollm2-135m")]):
        [note] = state.glob("*.json")
        assert state.stat().st_mode & 0o077 == 0
        assert find(Choice("smollm2-135m")) is None, "nobody listens there"
        assert note.exists()
    assert not note.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1, "models": []}', '{"url": "http://a", "models": [1]}'])
def test_a_broken_note_is_passed_over(state: Path, text: str) -> None:
    with announced("http://127.0.0.1:1", []):
        next(state.glob("*.json")).write_text(text)
        assert find(Choice("smollm2-135m")) is None


def test_a_directory_that_cannot_be_written_is_no_reason_not_to_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limpide").write_text("a file where the directory should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with announced("http://127.0.0.1:1", []):
        assert find(Choice("smollm2-135m")) is None


def test_an_address_elsewhere_and_offline() -> None:
    refused = run("ask", "-m", "http://192.0.2.1", "--offline", "hello")
    assert refused.returncode == 3
    assert "--offline" in refused.stderr
