"""`limpide serve` as a process, for benchmarks: started, found ready, looked at from outside, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

import psutil


class ServerProcess:
    """A server with a state of its own in `folder`; what it says on stderr goes to a file there."""

    def __init__(self, folder: Path, model: str, *options: str) -> None:
        self.log = folder / "stderr.log"
        command = [sys.executable, "-m", "limpide", "serve", model, "--port", "0", "--offline", *options]
        folders = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("STATE", "CONFIG", "DATA")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **folders}
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if not line.startswith("http://"):
            self._process.wait()
            raise SystemExit(f"the server did not start:\n{self.said()[-3000:]}")
        self.url = line.removesuffix("/v1")
        self._rest: list[bytes] = []
        self._reader = Thread(target=lambda stdout: self._rest.append(stdout.read()), args=[self._process.stdout])
        self._reader.start()
        self._seen = psutil.Process(self._process.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def said(self) -> str:
        """Its stderr so far."""
        return self.log.read_text(errors="replace")

    def look(self) -> dict[str, float]:
        """Resident memory in MB (its own, and its children's), threads, descriptors, and children."""
        children = self._seen.children(recursive=True)
        resident = 0
        for child in children:
            with suppress(psutil.NoSuchProcess):
                resident += child.memory_info().rss
        return {
            "rss_mb": self._seen.memory_info().rss / 1e6,
            "children_rss_mb": resident / 1e6,
            "threads": self._seen.num_threads(),
            "descriptors": self._seen.num_fds(),
            "children": len(children),
        }

    def faults_inside(self) -> list[str]:
        """Nothing can be said of the inside of a process."""
        return []

    def terminate(self, seconds: float = 60) -> tuple[int | None, list[str]]:
        """SIGTERM. Its exit code, None if it had to be killed; and the children it left behind."""
        children = self._seen.children(recursive=True) if self.alive else []
        self._process.send_signal(signal.SIGTERM)
        try:
            code: int | None = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = None
        self._reader.join()
        left = [str(child.cmdline()) for child in psutil.wait_procs(children, timeout=5)[1]]
        return code, left

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
