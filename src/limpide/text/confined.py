"""A process of our own for what a stranger's input makes a library do: there the kernel can bound what it costs."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

WALL_SECONDS = 10.0
"""Beside the processor time. Only for systems that can't limit that, and for machines that are busy."""
_LIFE = Path(__file__).with_name("confined_worker.py")
_EXIT_SECONDS = 1.0
_OUT_OF_TIME = {-int(getattr(signal, name)) for name in ("SIGPROF", "SIGKILL") if hasattr(signal, name)} | {1}
"""Exit codes of a worker that the kernel or our clock ended (1 is what TerminateProcess leaves on Windows)."""


class ConfinedWorker:
    """A file that answers one JSON object with another, as `confined_worker.py` asks. Safe to use from several threads.

    It is started when first needed, replaced when it was ended, and gone with this process. It limits itself; a clock
    here ends it where it can't.
    """

    def __init__(self, script: Path) -> None:
        self._script = script
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        atexit.register(self.close)

    def start(self) -> None:
        """Have a worker, without waiting until it is ready. Raises OSError if none can be started."""
        with self._lock:
            self._running()

    def ask(self, line: bytes, limit: int, seconds: float = 0.0) -> dict[str, Any]:
        """The worker's answer to a line that ends in a line break, of at most `limit` bytes.

        `seconds` is how much processor time it allows itself, if that is much.
        A worker that ended instead is reported as `error`: `time` if it took too long, otherwise `died`.
        Raises OSError if none can be started.
        """
        with self._lock:
            return self._exchange(line, limit, WALL_SECONDS + seconds)

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            if self._process is not None and self._owner == os.getpid():
                self._discard(self._process)

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is not None and self._owner == os.getpid():
            if process.poll() is None:
                return process
            self._discard(process)
        self._process = process = subprocess.Popen(  # noqa: S603 - our own script by our own interpreter
            [sys.executable, "-P", str(_LIFE), str(self._script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._owner = os.getpid()
        return process

    def _discard(self, process: subprocess.Popen[bytes], *, ended: bool = False) -> int:
        """Have it gone, and its exit code. `ended` is whether it is known to be about to exit by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_EXIT_SECONDS if ended else 0)
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process = None
        return process.wait()

    def _exchange(self, line: bytes, limit: int, wall_seconds: float) -> dict[str, Any]:
        process = self._running()
        clock = threading.Timer(wall_seconds, process.kill)
        clock.daemon = True
        clock.start()
        answer = b""
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - asked for above
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline(limit)
        except OSError:
            pass  # it was ended while we wrote: no answer
        except BaseException:
            self._discard(process)  # Ctrl-C between question and answer: the next one must not read this answer
            raise
        finally:
            clock.cancel()
        if not answer.endswith(b"\n"):
            code = self._discard(process, ended=True)
            return {"error": "time" if code in _OUT_OF_TIME else "died", "message": f"exit code {code}"}
        value = json.loads(answer)
        return value if isinstance(value, dict) else {"error": "failed"}
