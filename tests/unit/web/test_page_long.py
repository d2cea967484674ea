"""Long conversations, small screens, full storages: what people have after a year, or on a train."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from reader import Reader
from selenium.webdriver.common.keys import Keys

from limpide.backends.fake import FakeBackend

Serve = Callable[..., str]
Read = Callable[[str], Reader]

ANSWER = "# About {n}\n\nA paragraph with **weight** and `code`.\n\n- one\n- two\n\n```py\nprint({n})\n```\n"
KEEP = """
return Promise.all([import('/page/app.js'), import('/page/conversation.js')]).then(([{ app }, { addTurn, newConversation }]) => {
  const conversation = newConversation();
  for (const [role, text] of arguments[0]) addTurn(conversation, { parent: conversation.leaf, role, text, state: role === 'user' ? undefined : 'done' });
  app.library.save(conversation, ...Object.values(conversation.turns));
  return conversation.id;
})
"""  # noqa: E501
WATCH = """
window.touched = 0;
const settled = [...document.querySelectorAll('.turn')];
new MutationObserver((records) => {
  window.touched += records.filter((record) => settled.some((turn) => turn.contains(record.target))).length;
}).observe(document.querySelector('.log'), { childList: true, subtree: true, characterData: true, attributes: true });
"""
WIDTH = 360
VIEWS = ("", "#/compare", "#/models", "#/machine")
WIDE = "# A\n\n" + "x" * 300 + "\n\n| a | b | c |\n|-|-|-|\n| " + "long " * 9 + "| y | " + "z" * 60 + " |\n\n```\n" \
    + "code " * 20 + "\n```\n\n$$" + "a + " * 40 + "b$$\n"  # fmt: skip


def keep(page: Reader, *turns: tuple[str, str]) -> str:
    """Put a conversation into the browser, and give its address."""
    return f"#/chat/{page.script(KEEP, turns)}"


def test_two_hundred_messages_are_left_alone(serve: Serve, read: Read) -> None:
    """Typing, and an answer that is written, touch none of the turns that are there."""
    page = read(serve(fake=FakeBackend("word " * 100, model_context=32768)))
    turns = [
        turn for n in range(100) for turn in (("user", f"question {n}"), ("assistant", ANSWER.replace("{n}", str(n))))
    ]
    page.open(keep(page, *turns))
    assert len(page.driver.find_elements("css selector", ".turn")) == 200
    page.script(WATCH)
    page.ask("and one more")
    page.wait(".question .bubble", "and one more")
    assert "word word" in page.answered("word").text
    assert page.script("return window.touched") == 0
    page.script("document.querySelector('.turn .receipt, .turn button').click()")
    page.script("document.querySelector('.turn').append('x')")
    assert page.script("return new Promise((done) => setTimeout(() => done(window.touched)))") > 0  # it does look


@contextmanager
def phone(page: Reader) -> Iterator[None]:
    metrics = {"width": WIDTH, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        yield
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def beyond(page: Reader) -> list[str]:
    """What stands out of the screen at its end, outside of parts that scroll in themselves."""
    found: list[str] = page.script(f"""
        const scrolls = (e) => e.parentElement?.closest('.table-scroll, pre, .formula, .sidebar, .conversations, .offscreen');
        return [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && !scrolls(e)
            && getComputedStyle(e).position !== 'fixed' && e.getBoundingClientRect().right > {WIDTH} + 1)
          .map((e) => `${{e.tagName}}.${{e.className}} ${{e.getBoundingClientRect().right}}`)""")  # noqa: E501
    width = page.script("return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)") - WIDTH
    return [*found, *([f"the page scrolls by {width}"] if width > 0 else [])]


def test_no_view_is_wider_than_a_phone(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend(WIDE, thinking=WIDE)))
    page.script("localStorage.setItem('limpide.settings', JSON.stringify({ think: 'low' }))")
    with phone(page):
        for view in VIEWS:
            page.open(view)
            assert beyond(page) == [], view
        page.open("")
        page.ask("w" * 300)
        page.answered("A")
        page.click(".thinking summary")
        page.click(".receipt summary")
        assert beyond(page) == []
        page.click("button[aria-label=Settings]")
        page.wait(".panel")
        assert beyond(page) == []
        page.open("#/compare")
        page.wait("#compare-question").send_keys("wide?", Keys.ENTER)
        page.wait(".side:last-child .figures", "tokens/s")
        assert beyond(page) == []
        page.script("document.querySelector('main').append(Object.assign(document.createElement('hr'), {width: 900}))")
        assert beyond(page)  # it does look


def test_a_full_browser_says_so_and_goes_on(serve: Serve, read: Read) -> None:
    url = serve(fake=FakeBackend("ok"))
    page = read(url)
    page.driver.execute_cdp_cmd("Storage.overrideQuotaForOrigin", {"origin": url, "quotaSize": 1})
    try:
        page.ask("hello")
        page.answered("ok")
        assert "no room left" in page.wait(".notice").text
        page.ask("still there?")
        page.wait(".question .bubble", "still there?")
        page.answered("ok")
    finally:
        page.driver.execute_cdp_cmd("Storage.overrideQuotaForOrigin", {"origin": url})


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "null",
        "[]",
        '"x"',
        '{"temperature": {"a": 1}, "think": "x", "budget": -1, "theme": 7, "seed": 0.5, "x": 1}',
    ],
)
def test_settings_that_make_no_sense_are_as_by_default(serve: Serve, read: Read, kept: str) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    read_settings = "return import('/page/settings.js').then(({ readSettings }) => readSettings())"
    page.script("localStorage.removeItem('limpide.settings')")
    default: dict[str, Any] = page.script(read_settings)
    page.script("localStorage.setItem('limpide.settings', arguments[0])", kept)
    assert page.script(read_settings) == default
    page.script(
        "localStorage.setItem('limpide.settings', arguments[0])", json.dumps({"temperature": 0.5, "model": "x"})
    )
    assert page.script(read_settings) == default | {"temperature": 0.5, "model": "x"}


def test_a_browser_that_keeps_nothing_still_chats(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    broken = """
        for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });
        indexedDB.open = () => { throw new DOMException('no', 'SecurityError'); };
    """  # noqa: E501
    added = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": broken})
    try:
        page.open("")
        assert "keeps nothing" in page.wait(".welcome").text
        page.ask("hello")
        page.answered("ok")
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
