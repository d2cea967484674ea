"""How sure, side by side, models, the machine; languages, keyboard and screen readers."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pytest
from reader import Reader
from selenium.webdriver.common.keys import Keys

from limpide.backends.fake import FakeBackend

Serve = Callable[..., str]
Read = Callable[[str], Reader]
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")  # axe-core as a package brings it


def serious(page: Reader) -> list[str]:
    """What axe-core finds that would keep somebody out."""
    if not page.script("return Boolean(window.axe)"):
        page.script(AXE)
    found = page.driver.execute_async_script(
        "const done = arguments[0]; axe.run({ resultTypes: ['violations'] }).then(r => done(r.violations))"
    )
    return [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary'][:160]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_tokens_show_their_doubt_and_another_can_be_taken(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("abc")))
    page.script("localStorage.setItem('limpide.settings', JSON.stringify({ sure: true, temperature: 0 }))")
    page.open("")
    page.ask("letters")
    page.answered()
    assert [token.text for token in page.all(".token")] == ["a", "b", "c"]
    assert page.wait(".entropy figcaption", "bits")
    page.script("document.querySelector('.token').focus()")
    page.press(Keys.ARROW_RIGHT)
    page.press(Keys.ENTER)
    assert page.wait(".alternatives .came", "b")
    page.wait(".alternatives li:not(.came) button").click()
    page.wait(".answer .branches", "2/2")
    page.answered()
    assert [token.text for token in page.all(".token")][:1] == ["a"]
    assert "b" not in [token.text for token in page.all(".token")][1]
    page.reload()
    assert page.all(".token")[0].text == "a"


def test_two_answers_side_by_side(serve: Serve, read: Read) -> None:
    page = read(serve(one=FakeBackend("First.", name="one"), two=FakeBackend("Second.", name="two")))
    page.open("#/compare")
    page.wait(".side:last-child select option[value=two]").click()
    page.wait("#compare-question").send_keys("who?")
    page.click(".compare-form button")
    assert page.wait(".side:first-child .prose", "First.")
    assert page.wait(".side:last-child .prose", "Second.")
    page.wait(".side:last-child .figures", "tokens/s")


def test_models_say_what_they_can_and_are_loaded(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok"), base=FakeBackend("ok", name="base", chat=False)))
    page.open("#/models")
    page.click(".model-card:last-child button", "Load")
    card = page.wait(".model-card:last-child", "Apache-2.0").text
    assert "can’t think first" in card
    assert "8,192 tokens" in card
    page.click(".model-card:last-child button", "Use")
    page.wait("select[aria-label=Thinking]:disabled")
    assert "only continues text" in page.wait(".welcome").text


def test_the_machine_is_shown_as_it_changes(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    page.ask("hello")
    page.answered("ok")
    page.open("#/machine")
    page.wait(".chart strong", "0")
    assert "Answer tokens\n3" in page.wait(".totals", "Answer tokens\n3").text


def test_everything_can_be_reached_by_keys(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("It is `so`.")))
    page.wait("#composer")
    page.press("hello", Keys.ENTER)
    page.answered("It is so.")
    page.script("document.activeElement.blur(); document.body.focus()")
    reached = []
    for _ in range(40):
        page.press(Keys.TAB)
        reached.append(page.focused)
    wanted = (
        "To the content, New chat, Search, Side by side, Theme, Edit, Ask again, Message, Model, Thinking, Settings"
    )
    for name in (*wanted.split(", "), "Send", "Add text files", "Export as Markdown"):
        assert any(name in each for each in reached), f"{name} is not among {reached}"
    page.script("document.querySelector('#composer').focus()")
    page.press(Keys.ALT, "s")
    assert page.wait(".panel", "Temperature")
    page.press(Keys.ESCAPE)
    page.wait_gone(".panel")
    assert page.focused == "Message"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_keeps_anybody_out(serve: Serve, read: Read, theme: str) -> None:
    page = read(
        serve(
            fake=FakeBackend("# Title\n\n- one\n\n```py\ncode\n```\n\n| a | b |\n|-|-|\n| $x^2$ | `y` |", thinking="so")
        )
    )
    page.script(
        "localStorage.setItem('limpide.settings', JSON.stringify({ theme: arguments[0], think: 'low' }))", theme
    )
    for view in ("", "#/compare", "#/models", "#/machine"):
        page.open(view)
        assert serious(page) == [], view
    page.open("")
    page.ask("hello")
    page.answered("Title")
    page.click(".receipt summary")
    page.click(".thinking summary")
    page.press(Keys.ALT, "s")
    page.wait(".panel")
    assert serious(page) == []
    page.script("localStorage.setItem('limpide.settings', JSON.stringify({ theme: arguments[0], sure: true }))", theme)
    page.open("")
    page.ask("hello")
    page.answered()
    page.wait(".token")
    assert serious(page) == []


def test_axe_would_see_a_violation(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    page.script("document.querySelector('#composer').removeAttribute('aria-label');"
                "document.querySelector('#composer').removeAttribute('placeholder')")  # fmt: skip
    assert any(each.startswith("label") for each in serious(page))


def test_both_languages_say_the_same_things() -> None:
    import re

    from page_server import PAGE

    names = [
        re.findall(r"^  (\w+): (.*)$", (PAGE / "words" / f"{each}.js").read_text("utf-8"), re.M)
        for each in ("en", "fr")
    ]
    english, french = ({name: sorted(re.findall(r"\{\w+\}", text)) for name, text in each} for each in names)
    assert english == french
    used = {word for path in PAGE.rglob("*.js") for word in re.findall(r"\bt\(\"(\w+)\"", path.read_text("utf-8"))}
    assert used <= english.keys()


def test_a_french_browser_reads_french(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    agent = page.script("return navigator.userAgent")
    page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": "fr-FR,fr"})
    try:
        page.open("")
        assert page.wait(".welcome h2").text == "Interrogez votre modèle"
        assert page.script("return document.documentElement.lang") == "fr"
    finally:
        page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": "en"})
