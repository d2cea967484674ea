"""Chatting: from a first question to branches, and through everything that can break."""

from __future__ import annotations

from collections.abc import Callable

from page_server import serving
from reader import Reader
from selenium.webdriver.common.keys import Keys

from limpide.backends.fake import FakeBackend
from limpide.backends.pool import ModelPool, Source
from limpide.server.guards import Guards

LONG = "la " * 1500
Serve = Callable[..., str]
Read = Callable[[str], Reader]


def test_a_first_question_is_answered_with_a_receipt_and_kept(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("It is **Paris**.")))
    page.ask("The capital of France?")
    assert page.answered().find_element("css selector", "strong").text == "Paris"
    page.click(".receipt summary")
    receipt = page.wait(".receipt-body").text
    assert "0.7" in receipt  # the temperature that the page sent
    assert "OpenAI's default" in receipt  # and one that it did not
    assert "SHA-256" in receipt
    page.reload()
    assert "It is Paris." in page.wait(".answer").text
    assert page.wait(".conversations a").text == "The capital of France?"


def test_stop_ends_an_answer_and_keeps_it(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend(LONG)))
    page.ask("sing")
    page.wait(".answer .prose", "la la")
    page.click(".send")
    assert "You stopped it here" in page.answered().text
    assert 0 < len(page.wait(".answer .prose").text) < len(LONG) - 100
    assert page.wait(".receipt summary")  # the stream came to its end in the usual way


def test_answer_now_ends_the_thinking(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("Done.", thinking=LONG)))
    page.choose(".dial select", "max")
    page.ask("think")
    page.wait(".thinking summary", "Thinking…")
    page.click(".thinking-row button", "Answer now")
    answer = page.answered("Done.")
    assert "Thought for" in answer.text
    assert LONG[:20] not in answer.text  # it is folded
    page.click(".thinking summary")
    assert page.wait(".thought").text.startswith("la la")


def test_editing_and_asking_again_make_branches(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend(lambda prompt: f"echo {prompt.rpartition('user|>')[2] or prompt[-3:]}")))
    page.ask("one")
    page.answered()
    page.click(".question button[aria-label=Edit]")
    page.press(Keys.CONTROL, "a")
    page.press("two", Keys.ENTER)
    page.answered()
    assert page.wait(".question .bubble").text == "two"
    assert page.wait(".question .branches").text == "2/2"
    page.click(".question button[aria-label='Previous version']")
    assert page.wait(".question .bubble").text == "one"
    page.click(".answer button[aria-label='Ask again']")
    page.answered()
    assert page.wait(".answer .branches").text == "2/2"
    page.reload()
    assert page.wait(".question .bubble").text == "one"


def test_a_reload_in_the_middle_says_what_happened(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend(LONG)))
    page.expected.append("ERR_")
    page.ask("sing")
    page.wait(".answer .prose", "la la")
    page.reload()
    assert "Broken off." in page.wait(".problem").text
    assert page.wait(".answer .prose").text.startswith("la la")
    page.click(".answer button", "Write on")
    page.wait(".answer .branches", "2/2")
    page.answered()
    assert page.wait(".answer .prose").text == LONG.strip()


def _pool() -> ModelPool:
    return ModelPool([Source("fake", lambda: FakeBackend("Here again."), lambda: 0)], memory=1)


def test_a_server_that_goes_and_comes_back_costs_nothing_that_was_typed(read: Read) -> None:
    with serving(_pool(), Guards()) as url:
        page = read(url)
        page.expected.append("ERR_")
    page.ask("Are you there?")
    assert "limpide serve" in page.wait(".problem").text
    assert page.wait(".question .bubble").text == "Are you there?"
    with serving(_pool(), Guards(), int(url.rpartition(":")[2])):
        page.click(".problem button", "Ask again")
        page.answered("Here again.")
        page.driver.get("about:blank")


def test_what_was_typed_and_not_sent_is_kept(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    page.wait("#composer").send_keys("half a thou")
    page.reload()
    assert page.wait("#composer").get_attribute("value") == "half a thou"


def test_conversations_are_found_and_deleted(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    for question in ("about apples", "about pears"):
        page.open("")
        page.ask(question)
        page.answered("ok")
    page.wait("input[type=search]").send_keys("pears")
    page.wait_gone(".conversations a[href]:not([aria-current])")
    assert [link.text for link in page.all(".conversations a")] == ["about pears"]
    page.script("arguments[0].focus()", page.driver.find_element("css selector", ".conversations button"))
    page.press(Keys.ENTER)
    page.click("dialog button.danger")
    assert page.wait(".conversations", "Nothing found.")
    page.reload()
    assert page.wait(".conversations a").text == "about apples"
