"""Somebody who reads the page: looks at it, types, clicks, and waits for what comes."""

from __future__ import annotations

from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 30


class Reader:
    """The page in a browser."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.url = url
        self.expected: list[str] = []
        """Parts of messages in the console that a test provokes."""
        self.open("")

    def open(self, view: str) -> None:
        """Go to a view, with a fresh page."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/{view}")
        self.wait("html[data-ready], #key")

    def reload(self) -> None:
        self.driver.refresh()
        self.wait("html[data-ready]")

    def all(self, selector: str) -> list[WebElement]:
        """All elements that are shown."""
        return [found for found in self.driver.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()]

    def wait(self, selector: str, text: str = "") -> WebElement:
        """The last element that is shown and has this text, as soon as there is one."""

        def look(_: Any) -> WebElement | None:
            return next((found for found in reversed(self.all(selector)) if text in found.text), None)

        found: WebElement = WebDriverWait(self.driver, PATIENCE, 0.05, _stale()).until(
            look, f"{selector} with {text!r}"
        )
        return found

    def wait_gone(self, selector: str) -> None:
        WebDriverWait(self.driver, PATIENCE, 0.05, _stale()).until(lambda _: not self.all(selector), f"{selector} goes")

    def ask(self, text: str) -> None:
        """Type a question and send it."""
        self.wait("#composer").send_keys(text, Keys.ENTER)

    def answered(self, text: str = "") -> WebElement:
        """The last answer, when it is complete."""
        self.wait_gone(".answer[aria-busy=true]")
        return self.wait(".answer", text)

    def click(self, selector: str, text: str = "") -> None:
        self.wait(selector, text).click()

    def choose(self, selector: str, value: str) -> None:
        """Choose in a select."""
        self.wait(f"{selector} option[value={value}]").click()

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def script(self, code: str, *arguments: Any) -> Any:
        """What code in the page returns."""
        return self.driver.execute_script(code, *arguments)

    @property
    def focused(self) -> str:
        """Name of what has the focus."""
        return str(
            self.script("const e = document.activeElement; return e.getAttribute('aria-label') || e.textContent")
        )

    def check_log(self) -> None:
        """Nothing in the console but what was expected: no error, no violation of the policy."""
        entries = [
            entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
        ]
        assert [entry for entry in entries if not any(part in entry for part in self.expected)] == []


def _stale() -> tuple[type[Exception], ...]:
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    return (NoSuchElementException, StaleElementReferenceException)
