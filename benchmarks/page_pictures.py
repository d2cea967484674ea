"""Pictures of the page for docs/page.md: each view in both themes, and some at a phone's width.

    python benchmarks/page_pictures.py docs/pictures

The models are scripts over the real engine and the real server: what they say is made up, all else is as it is. Doubt
can't be made up, and is SmolLM2's.
"""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path
from typing import Any

from browser import chromium, serving, wait
from selenium.webdriver.common.keys import Keys

from limpide.backends.fake import FakeBackend
from limpide.backends.local import LocalBackend
from limpide.hub import resolve

QUESTION = "Why does a sum of two odd numbers come out even?"
THINKING = "An odd number is 2a + 1. Two of them: 2a + 1 + 2b + 1. That is 2(a + b + 1): even. Say it with the formula."
ANSWER = """Because each odd number is **one more** than an even one, and the two extra ones make a pair:

$$(2a + 1) + (2b + 1) = 2(a + b + 1)$$

Whatever $a$ and $b$ are, the right side is twice a whole number. You can try it:

```python
all((x + y) % 2 == 0 for x in range(1, 99, 2) for y in range(1, 99, 2))
```

- 3 + 5 = 8
- 7 + 7 = 14
"""
SHORT = "Each odd number is one more than an even one; the two extra ones make a pair, so the sum is even."


class Photographer:
    """Takes pictures into a folder."""

    def __init__(self, driver: Any, url: str, folder: Path, kind: str) -> None:
        self.driver, self.url, self.folder, self.kind = driver, url, folder, kind

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """The size of what is seen, at two points a pixel as screens have today."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1.5, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, view: str, **settings: Any) -> None:
        """A view with these settings, as if they had been made before."""
        self.driver.get(f"{self.url}/page/icon.svg")
        self.driver.execute_script("localStorage.setItem('limpide.settings', arguments[0])", json.dumps(settings))
        self.driver.get(f"{self.url}/{view}")
        wait(self.driver, "document.documentElement.dataset.ready")

    def ask(self, text: str) -> None:
        """A question, until its answer is there."""
        wait(self.driver, "document.activeElement?.id === 'composer'")
        self.driver.switch_to.active_element.send_keys(text, Keys.ENTER)
        wait(self.driver, "[...document.querySelectorAll('.answer')].at(-1)?.getAttribute('aria-busy') === 'false'")

    def click(self, selector: str) -> None:
        """What a person would click."""
        self.driver.execute_script("arguments[0].click()", wait(self.driver, f"document.querySelector({selector!r})"))

    def take(self, name: str) -> None:
        """What is seen now, without a caret."""
        self.driver.execute_script("""
            if (!document.querySelector(':popover-open')) document.activeElement?.blur();
            document.querySelector('.announcements').classList.remove('shown')""")
        self.driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 400))")
        quality = {"quality": 80} if self.kind == "webp" else {}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": self.kind, **quality})
        (self.folder / f"{name}.{self.kind}").write_bytes(base64.b64decode(taken["data"]))


def chats(camera: Photographer, suffix: str, **settings: Any) -> None:
    camera.open("", think="low", **settings)
    camera.ask(QUESTION)
    camera.click(".thinking summary")
    camera.take(f"chat{suffix}")


def others(camera: Photographer, suffix: str, **settings: Any) -> None:
    camera.open("", **settings)
    camera.ask(QUESTION)
    camera.click(".receipt summary")
    camera.driver.execute_script("document.querySelector('.receipt').scrollIntoView({ block: 'center' })")
    camera.take(f"receipt{suffix}")
    camera.click("button[aria-label=Settings]")
    camera.take(f"settings{suffix}")
    camera.open("", sure=True, temperature=0, max_tokens=60, model="smollm2-135m", **settings)
    camera.ask("What is a river?")
    camera.click(".token:nth-child(14)")
    camera.take(f"sure{suffix}")
    camera.open("#/compare", price=0.06, **settings)
    camera.driver.execute_script("document.querySelector('#compare-question').focus()")
    camera.driver.switch_to.active_element.send_keys(QUESTION, Keys.ENTER)
    wait(camera.driver, "document.querySelector('.side:last-child .figures')?.textContent.includes('tokens/s')")
    camera.take(f"compare{suffix}")
    camera.open("#/models", **settings)
    camera.take(f"models{suffix}")
    camera.open("#/machine", **settings)
    busy(camera)
    camera.take(f"machine{suffix}")


def busy(camera: Photographer) -> None:
    """Some answers at once, so that there is something to see."""
    camera.driver.execute_script("""
        for (let at = 0; at < 40; at += 1) setTimeout(() => fetch('v1/chat/completions', { method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ model: 'aqua-1b', messages: [{ role: 'user', content: `again ${at}` }] }),
        }), at * 350)""")
    wait(camera.driver, "document.querySelector('.chart polyline')?.getAttribute('points')?.split(' ').length > 14")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=["webp", "png"], default="webp")
    asked = parser.parse_args()
    folder = asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    models = {
        "aqua-1b": FakeBackend(ANSWER, thinking=THINKING, name="aqua-1b"),
        "rivulet-base": FakeBackend(SHORT, name="rivulet-base", chat=False),
        "smollm2-135m": LocalBackend.open(resolve("smollm2-135m").path, name="smollm2-135m", context=2048),
    }
    with chromium() as driver, serving(**models) as url:
        camera = Photographer(driver, url, folder, asked.kind)
        for theme in ("light", "dark"):
            camera.size(1280, 860)
            chats(camera, f"-{theme}", theme=theme)
            others(camera, f"-{theme}", theme=theme)
            camera.size(390, 844, phone=True)
            chats(camera, f"-phone-{theme}", theme=theme)
    print(f"{sum(path.stat().st_size for path in folder.glob(f'*.{asked.kind}')) / 1e6:.2f} MB in {folder}")


if __name__ == "__main__":
    main()
