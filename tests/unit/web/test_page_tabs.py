"""One conversation in several views and tabs: everybody sees it, and nobody loses what was said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from held_backend import HeldBackend
from reader import Reader
from selenium.webdriver.common.keys import Keys

from limpide.backends.fake import FakeBackend

Serve = Callable[..., str]
Read = Callable[[str], Reader]


@contextmanager
def second_tab(page: Reader) -> Iterator[str]:
    """Another tab, in which the driver is; in the end it is closed, and the first has the driver again."""
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        yield first
    finally:
        page.driver.close()
        page.driver.switch_to.window(first)


def test_an_answer_goes_on_while_one_looks_elsewhere(serve: Serve, read: Read) -> None:
    backend = HeldBackend("The beginning", " and the end.")
    page = read(serve(fake=backend))
    page.ask("tell")
    page.wait(".answer .prose", "The beginning")
    page.script("location.hash = '#/machine'")
    page.wait(".charts")
    page.click(".conversations a", "tell")
    assert page.wait(".answer .prose").text == "The beginning"
    backend.go_on()
    assert page.answered("The beginning and the end.")


def test_a_deleted_conversation_stays_deleted(serve: Serve, read: Read) -> None:
    """Also when an answer in it was being written: its end, which comes later, must not bring it back."""
    backend = HeldBackend("The beginning", " and the end.")
    page = read(serve(fake=backend))
    page.ask("tell")
    page.wait(".answer .prose", "The beginning")
    page.script("document.querySelector('.conversations button').focus()")
    page.press(Keys.ENTER)
    page.click("dialog button.danger")
    page.wait(".welcome")
    backend.go_on()
    page.ask("another")
    page.answered("The beginning and the end.")
    assert [link.text for link in page.all(".conversations a")] == ["another"]
    page.reload()
    assert [link.text for link in page.all(".conversations a")] == ["another"]


def test_two_tabs_lose_nothing(serve: Serve, read: Read) -> None:
    backend = HeldBackend("The beginning", " and the end.")
    page = read(serve(fake=backend))
    page.ask("first")
    page.wait(".answer .prose", "The beginning")
    place = page.script("return location.hash")
    with second_tab(page) as first:
        page.open(place)
        # The other tab's answer is being written, not broken off, and nothing is asked into it.
        assert "in another tab" in page.wait(".answer .waiting").text
        page.ask("too early")
        assert page.wait(".announcements.shown", "Wait for the end")
        assert page.wait("#composer").get_attribute("value") == "too early"
        backend.go_on()
        assert page.answered("The beginning and the end.")
        page.press(Keys.CONTROL, "a")
        page.ask("second")
        page.wait(".question .bubble", "second")
        page.answered()
        second = page.driver.current_window_handle
        page.driver.switch_to.window(first)
        page.wait(".question .bubble", "second")
        page.ask("third")
        page.wait(".question .bubble", "third")
        page.answered()
        page.driver.switch_to.window(second)
        page.wait(".question .bubble", "third")
        page.answered()
    page.reload()
    assert [bubble.text for bubble in page.all(".question .bubble")] == ["first", "second", "third"]
    assert len(page.all(".answer .receipt")) == 3


def test_two_tabs_that_ask_at_once_make_two_versions(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    page.ask("first")
    page.answered("ok")
    # Two libraries, as two tabs have them, of which neither has heard of the other's new turn.
    page.script("""
    return Promise.all([import('/page/library.js'), import('/page/app.js'), import('/page/conversation.js')]).then(
      async ([{ Library }, { app }, { addTurn }]) => {
        const other = new Library();
        await other.open();
        other.channel.onmessage = app.library.channel.onmessage = null;
        for (const [library, text] of [[app.library, 'here'], [other, 'there']]) {
          const [conversation] = library.list;
          const question = addTurn(conversation, { parent: conversation.leaf, role: 'user', text });
          library.save(conversation, question);
        }
      })""")
    page.reload()
    assert page.wait(".question .branches").text in ("1/2", "2/2")


def test_what_was_typed_after_a_first_question_is_kept(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    page.ask("first")
    page.answered("ok")
    page.wait("#composer").send_keys("half a thou")
    page.reload()
    assert page.wait("#composer").get_attribute("value") == "half a thou"
    page.script("location.hash = '#/chat'")
    page.wait(".welcome")
    assert page.wait("#composer").get_attribute("value") == ""


def test_the_settings_of_one_tab_are_those_of_the_other(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    with second_tab(page):
        page.open("")
        page.choose(".dial select", "high")
        page.choose("select[aria-label=Theme]", "dark")
    page.wait("html[data-theme=dark]")
    assert page.script("return document.querySelector('.dial select').value") == "high"
