"""What the page costs: its first paint, what it adds to the time to the first token, and frames that come late.

    python benchmarks/page.py

The model is a script over the real engine and the real server, so that the page is what is measured. The API's own time
to the first token is taken by a client without a browser; the page's is from the key that sends to the moment at which
the browser says that the first words were drawn.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import httpx
from browser import chromium, serving, wait
from selenium.webdriver.common.keys import Keys

from limpide.backends.fake import FakeBackend
from limpide.backends.scripted import reply_script

TIMES = 15
ANSWER = ("## A title\n\nA paragraph with **some** weight, `code` and a formula $x^2$.\n\n- one\n- two\n\n"
          "```py\nprint('hello')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n") * 15  # fmt: skip
WATCH = """
window.measured = {};
document.addEventListener('keydown', (event) => { if (event.key === 'Enter') measured.sent = event.timeStamp; }, true);
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!measured.shown) measured.shown = entry.renderTime;
}).observe({ type: 'element' });
new MutationObserver(() => {
  const [first] = document.querySelectorAll('.answer .prose > *');
  if (measured.sent) first?.setAttribute('elementtiming', 'first');
}).observe(document.querySelector('.log'), { childList: true, subtree: true, characterData: true });
"""
LETTER = """
window.measured = {};
const place = document.body.appendChild(document.createElement('p'));
place.style.cssText = 'position: fixed; top: 50%; left: 50%';
new PerformanceObserver((list) => { measured.shown ??= list.getEntries()[0].renderTime; }).observe({ type: 'element' });
document.addEventListener('keydown', (event) => {
  measured.sent = event.timeStamp;
  place.setAttribute('elementtiming', 'letter');
  place.textContent = 'a letter';
}, { once: true });
"""
FRAMES = """
window.gaps = [];
let last = performance.now();
const frame = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
"""


class PacedBackend(FakeBackend):
    """Says ANSWER at a pace."""

    def __init__(self, per_second: float) -> None:
        script = reply_script(lambda _: ANSWER, lambda _: "")
        self._next = 0.0

        def next_token(tokens: Sequence[int]) -> int:
            token = script(tokens)
            if bytes(t for t in tokens if t < 256).endswith(b"#") or time.monotonic() - self._next < 1:
                self._next = max(self._next + 1 / per_second, time.monotonic())
                time.sleep(max(0.0, self._next - time.monotonic()))
            return token

        super().__init__(script=next_token, model_context=32768)


def opened(driver: Any, url: str) -> None:
    driver.get("about:blank")
    driver.get(url)
    wait(driver, "document.documentElement.dataset.ready")


def ask(driver: Any) -> None:
    driver.switch_to.active_element.send_keys("hello", Keys.ENTER)


def first_paint(driver: Any, url: str) -> None:
    took = []
    for _ in range(TIMES):
        opened(driver, url)
        took.append(wait(driver, "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"))
    print(f"first contentful paint: {median(took):.0f} ms, {max(took):.0f} ms at most")


def first_content(url: str) -> float:
    """Milliseconds until a client has the first words."""
    body = {"stream": True, "think": "off", "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}
    first = None
    with httpx.Client(base_url=url, timeout=60) as client:
        client.get("/v1/models")  # the connection is there, as the page's is
        began = time.perf_counter()
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                if (
                    first is None
                    and line.startswith("data: {")
                    and json.loads(line[6:])["choices"][0]["delta"].get("content")
                ):
                    first = (time.perf_counter() - began) * 1000
    assert first is not None
    return first


def first_token(driver: Any, url: str) -> None:
    """With a page that was just opened, whose code runs for the first time, and in the next chat on it."""
    by_client, cold, warm, letter = [], [], [], []
    driver.execute_script("localStorage.setItem('limpide.settings', JSON.stringify({ max_tokens: 8 }))")
    for _ in range(TIMES):
        by_client.append(first_content(url))
        opened(driver, url)
        driver.execute_script(LETTER)
        driver.switch_to.active_element.send_keys("x")
        letter.append(wait(driver, "measured.shown && measured.shown - measured.sent"))
        opened(driver, url)
        cold.append(shown(driver))
        driver.execute_script("location.hash = '#/chat'")
        wait(driver, "document.querySelector('.welcome') && document.activeElement.id === 'composer'")
        warm.append(shown(driver))
    print(f"time to the first token: {median(by_client):.0f} ms by the API; on the page "
          f"{median(cold) - median(by_client):.0f} ms more at first, "
          f"then {median(warm) - median(by_client):.0f} ms more; "
          f"this browser takes {median(letter):.0f} ms to draw a letter for a key")  # fmt: skip


def shown(driver: Any) -> float:
    """Milliseconds from the key to the first words; ends with the answer."""
    driver.execute_script(WATCH)
    ask(driver)
    took: float = wait(driver, "measured.shown > 1 && measured.shown - measured.sent")
    wait(driver, "document.querySelector('.answer[aria-busy=false]')")
    return took


def frames(driver: Any, per_second: float) -> None:
    with serving(fake=PacedBackend(per_second)) as url:
        opened(driver, url)
        driver.execute_script(FRAMES)
        began = time.perf_counter()
        ask(driver)
        wait(driver, "document.querySelector('.answer[aria-busy=false]')")
        seconds = time.perf_counter() - began
        gaps = driver.execute_script("return gaps.slice(2)")
    late = [gap for gap in gaps if gap > 50]
    driver.execute_script("localStorage.clear()")
    print(f"{len(ANSWER)} tokens in {seconds:.1f} s ({len(ANSWER) / seconds:.0f}/s): {len(gaps)} frames, "
          f"{len(late)} over 50 ms, the longest {max(gaps):.0f} ms")  # fmt: skip


def main() -> None:
    with chromium() as driver:
        with serving(fake=FakeBackend(ANSWER, model_context=32768)) as url:
            first_paint(driver, url)
            first_token(driver, url)
        for per_second in (200, 800):
            frames(driver, per_second)


if __name__ == "__main__":
    main()
