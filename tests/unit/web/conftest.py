"""The page in a real browser, against the real server. Without Chromium and its driver these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from page_server import serving
from reader import Reader

from limpide.backends.fake import FakeBackend
from limpide.backends.pool import ModelPool, Source
from limpide.server.guards import Guards

webdriver = pytest.importorskip("selenium.webdriver", reason="the page's tests need selenium")


def _found(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests; each has an origin of its own, as its server has a port of its own."""
    browser, control = _found("chromium", "chromium-browser", "google-chrome"), _found("chromedriver")
    if not browser or not control:
        pytest.skip("Chromium or its driver is not installed (Debian: apt install chromium chromium-driver)")
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


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serves scripted models with the page, and gives the URL: `serve(fake=FakeBackend(…))`."""
    with ExitStack() as running:

        def start(*, guards: Guards | None = None, port: int = 0, **backends: FakeBackend) -> str:
            sources = [Source(name, lambda b=b: b, lambda: 0) for name, b in backends.items()]  # type: ignore[misc]
            return running.enter_context(serving(ModelPool(sources, memory=1), guards or Guards(), port))

        yield start


@pytest.fixture
def read(driver: Any) -> Iterator[Callable[[str], Reader]]:
    """Opens the page at a URL. In the end nothing may have gone wrong in it, and no policy been broken."""
    opened: list[Reader] = []

    def open_page(url: str) -> Reader:
        driver.get_log("browser")
        opened.append(Reader(driver, url))
        return opened[-1]

    yield open_page
    for reader in opened:
        reader.check_log()
    driver.get("about:blank")
