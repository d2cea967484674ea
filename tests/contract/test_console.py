"""The installed command as a process of its own, with the real model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("smollm2_path")


def test_ctrl_c_ends_the_answer_with_130() -> None:
    command = [sys.executable, "-m", "limpide", "ask", "--ignore-eos", "--max-tokens", "4000", "Count to a thousand."]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_a_reader_that_leaves_ends_the_answer() -> None:
    command = [sys.executable, "-m", "limpide", "ask", "--ignore-eos", "--max-tokens", "4000", "Count to a thousand."]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.wait(timeout=120)
    assert process.returncode in (1, 141)


def test_bench_reports_what_it_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "limpide", "bench", "-p", "32", "-n", "4", "-r", "2", "--json"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    record = json.loads(done.stdout)
    assert record["schema"] == "limpide.bench/1"
    assert len(record["prompt_samples"]) == len(record["generation_samples"]) == 2
    assert record["threads"] == 1
    for name in ("prompt_tokens_per_second", "generation_tokens_per_second", "load_seconds", "read_bandwidth"):
        assert record[name] > 0
    assert 0 < record["bandwidth_fraction"] < 1.5
    assert record["bandwidth_fraction"] == pytest.approx(
        record["bytes_per_token"] * record["generation_tokens_per_second"] / record["read_bandwidth"]
    )
    # The output matrix is the tied embedding, so nearly the whole file is read for each token.
    assert 75e6 < record["bytes_per_token"] < 99e6
    assert record["peak_rss_bytes"] > record["bytes_per_token"]
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_chat_at_a_terminal(tmp_path: Path) -> None:
    """Ctrl-C ends the answer and not the chat, Ctrl-D leaves, and the history is kept for its owner alone."""
    import pty

    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "limpide", "chat", "--set", "ignore_eos=on", "--set", "max_tokens=4000"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm", "LIMPIDE_HOME": ""}
    # A session of its own, whose terminal this is: that is who Ctrl-C goes to.
    start = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", start, *command],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env=environment,
    ) as process:
        os.close(follower)

        def until(mark: bytes) -> bytes:
            seen = b""
            while mark not in seen:
                seen += os.read(leader, 4096)  # a chat that ended raises OSError here
            return seen

        def send(keys: bytes) -> None:
            os.write(leader, keys)

        assert b"Ctrl-D to leave" in until(b"> ")
        send(b"Count to a thousand.\n")
        until(b"thousand.\r\n")
        until(b" ")  # the answer has begun
        send(b"\x03")
        assert b"\x1b[2minterrupted" in until(b"> ")
        send(b"/think 30\n")
        assert b"think 30" in until(b"> ")
        send(b"\x04")
        process.wait(timeout=60)
        os.close(leader)
    assert process.returncode == 0
    history = tmp_path / "limpide" / "chat_history"
    assert history.read_text() == "Count to a thousand.\n/think 30\n"
    assert history.stat().st_mode & 0o077 == 0
