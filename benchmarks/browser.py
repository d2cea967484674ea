"""The page in headless Chromium over scripted models, for what is measured in it and for its pictures."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

import limpide
from limpide.backends.local import LocalBackend
from limpide.backends.pool import ModelPool, Source
from limpide.server.app import create_app
from limpide.server.guards import Guards
from limpide.server.settings import ServerSettings

PAGE = Path(limpide.__file__).parent / "web"


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser with a profile of its own."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    control = shutil.which("chromedriver")
    if not browser or not control:
        raise SystemExit("Chromium or its driver is not installed (Debian: apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        switches = [
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--lang=en",
            f"--user-data-dir={profile}",
        ]
        if os.geteuid() == 0:
            switches.append("--no-sandbox")  # it refuses to run with it as root
        for switch in [*switches, "--window-size=1280,860", "--hide-scrollbars"]:
            options.add_argument(switch)
        driver = webdriver.Chrome(options, webdriver.ChromeService(control))
        try:
            yield driver
        finally:
            driver.quit()


@contextmanager
def serving(**backends: LocalBackend) -> Iterator[str]:
    """The URL of the whole server over these models."""
    pool = ModelPool([Source(name, lambda b=b: b, lambda: 0) for name, b in backends.items()], memory=1)  # type: ignore[misc]
    app = create_app(pool, ServerSettings(page=PAGE, drain_seconds=0), Guards())
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, lifespan="on", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=asyncio.run, args=[server.serve()])
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise SystemExit("the server did not start")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def wait(driver: Any, code: str, *arguments: Any) -> Any:
    """What an expression in the page gives, as soon as that is something."""
    return WebDriverWait(driver, 120, 0.05).until(lambda _: driver.execute_script(f"return {code}", *arguments), code)
