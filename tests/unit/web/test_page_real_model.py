"""The page over `limpide serve` as a process of its own with SmolLM2: a cold start, and a server that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reader import Reader

Read = Callable[[str], Reader]


@contextmanager
def limpide_serve(model: Path, state: Path, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its URL, and the process; killed in the end, if it still runs."""
    folders = {f"XDG_{name}_HOME": str(state / name.lower()) for name in ("STATE", "CONFIG", "DATA")}
    process = subprocess.Popen(
        [sys.executable, "-m", "limpide", "serve", str(model), "--port", str(port), "--context", "512", "--offline"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **folders},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removesuffix("/v1"), process
    finally:
        process.kill()
        process.communicate()


def test_a_first_chat_and_a_server_that_is_killed_in_the_middle(read: Read, smollm2_path: Path, tmp_path: Path) -> None:
    with limpide_serve(smollm2_path, tmp_path) as (url, process):
        page = read(url)
        page.script("localStorage.setItem('limpide.settings', JSON.stringify({ temperature: 0, max_tokens: 12 }))")
        page.open("")
        page.ask("What is the capital of France? One sentence.")
        assert "Paris" in page.answered("Paris").text
        assert "tokens/s" in page.wait(".receipt summary").text
        page.expected.append("ERR_")
        page.script("localStorage.setItem('limpide.settings', JSON.stringify({ temperature: 0, max_tokens: 120 }))")
        page.reload()
        page.ask("Write a long story about a river.")
        page.wait(".question .bubble", "a river")
        page.wait(".answer[aria-busy=true] .prose", " ")
        process.kill()
        assert "Broken off." in page.wait(".problem").text
        begun = page.all(".answer .prose")[-1].text
        assert len(begun) > 3
        page.wait("#composer").send_keys("half a thou")
    with limpide_serve(smollm2_path, tmp_path, int(url.rpartition(":")[2])):
        page.reload()
        assert page.wait("#composer").get_attribute("value") == "half a thou"
        assert page.all(".answer .prose")[-1].text == begun
        page.click(".answer button", "Write on")
        page.wait(".answer .branches", "2/2")
        page.wait_gone(".answer[aria-busy=true]")
        assert page.all(".problem") == []
        written = page.all(".answer .prose")[-1].text
        assert written.startswith(begun)
        assert len(written) > len(begun)
        page.driver.get("about:blank")
