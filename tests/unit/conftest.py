"""What tests of several parts share: one real browser, without which its tests are skipped, and tidiness."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest


def _found(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests; each has an origin of its own, as its server has a port of its own."""
    browser, control = _found("chromium", "chromium-browser", "google-chrome"), _found("chromedriver")
    if not browser or not control:
        pytest.skip("Chromium or its driver is not installed (Debian: apt install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="tests of pages need selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    profile = tmp_path_factory.mktemp("profile")
    switches = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en", f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        switches.append("--no-sandbox")  # it refuses to run with it as root
    for switch in [*switches, "--window-size=1200,900"]:
        options.add_argument(switch)
    options.add_experimental_option("prefs", {"intl.accept_languages": "en"})
    running = webdriver.Chrome(options, webdriver.ChromeService(control))
    yield running
    running.quit()


@pytest.fixture(autouse=True)
def official_clients_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test leaves open, the collector would find in the middle of another test, which then fails for it."""
    made: list[Any] = []
    for name, kind in (("openai", "OpenAI"), ("anthropic", "Anthropic")):
        if name not in sys.modules:
            continue
        client = getattr(sys.modules[name], kind)

        def begin(self: Any, *given: Any, _begin: Any = client.__init__, **named: Any) -> None:
            _begin(self, *given, **named)
            made.append(self)

        monkeypatch.setattr(client, "__init__", begin)
    yield
    for each in made:
        each.close()
