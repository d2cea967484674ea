"""Out of the browser and into it: files dropped, conversations exported and imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reader import Reader
from selenium.webdriver.support.ui import WebDriverWait

from limpide.backends.fake import FakeBackend

Serve = Callable[..., str]
Read = Callable[[str], Reader]

DROP = """
const data = new DataTransfer();
for (const [name, bytes] of arguments[1]) data.items.add(new File([new Uint8Array(bytes)], name));
const target = document.querySelector(arguments[0]);
return ['dragover', 'drop'].map((kind) => {
  const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data });
  target.dispatchEvent(event);
  return event.defaultPrevented;
});
"""
CONVERSATION = """
return import('/page/app.js').then(({ app }) => {
  const [{ turns, leaf, title }] = app.library.list;
  const path = [];
  for (let turn = turns[leaf]; turn; turn = turns[turn.parent]) path.unshift(turn);
  const said = path.map(({ id, parent, created, ...rest }) => rest);
  return { title, path: JSON.parse(JSON.stringify(said)), turns: Object.keys(turns).length };
})
"""
TAKE_IN = """
return import('/page/exchange/files.js').then(({ readFile, NotRead }) => Promise.all(arguments[0].map((text) =>
  readFile(new File([text], 'x')).then(
    (conversation) => `${Object.keys(conversation.turns).length} turns`,
    (error) => (error instanceof NotRead ? 'refused' : String(error))))));
"""
TURN = {"id": "a", "parent": None, "role": "user", "text": "hello", "created": 1}
ANSWER = {"id": "b", "parent": "a", "role": "assistant", "text": "hi", "created": 2, "state": "done"}


def drop(page: Reader, selector: str, **files: bytes) -> list[bool]:
    named = [[name.replace("_", "."), list(content)] for name, content in files.items()]
    found: list[bool] = page.script(DROP, selector, named)
    return found


def exported(page: Reader, kind: str, folder: Path) -> Path:
    """The file that the browser downloads."""
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    page.click(f"[data-export={kind}]")
    found: Path = WebDriverWait(page.driver, 30, 0.05).until(lambda _: next(folder.glob(f"*.{kind}"), None))
    return found


def take_in(page: Reader, path: Path) -> None:
    page.driver.find_element("css selector", ".sidebar input[type=file]").send_keys(str(path))


def document(*turns: dict[str, Any], **changes: Any) -> str:
    conversation = {"id": "x", "title": "t", "created": 1, "updated": 1, "leaf": turns[-1]["id"] if turns else None,
                    "turns": {turn["id"]: turn for turn in turns}}  # fmt: skip
    return json.dumps({"format": "limpide-conversation", "version": 1, "conversation": conversation} | changes)


def test_text_is_dropped_and_asked_about(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend(lambda prompt: prompt)))
    assert drop(page, ".composer", notes_md="café ``` <b>".encode()) == [True, True]
    assert page.wait(".chips li", "notes.md")
    page.ask("What is in it?")
    said = page.answered("What is in it?").text
    assert "notes.md:" in said
    assert "café ``` <b>" in said
    assert page.all(".chips li") == []


def test_what_is_no_text_is_refused_with_its_name(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    for content, why in ((b"\xff\xfe\x00", "UTF-8"), (b"a\0b", "UTF-8"), (b"x" * ((1 << 20) + 1), "too large")):
        drop(page, ".composer", photo_jpg=content)
        assert why in page.wait(".announcements", "photo.jpg").text
        page.script("document.querySelector('.announcements').textContent = ''")
    assert page.all(".chips li") == []


def test_a_file_dropped_beside_does_not_replace_the_page(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    assert drop(page, ".sidebar", notes_md=b"x") == [True, True]
    assert page.all(".chips li") == []


@pytest.mark.parametrize("kind", ["json", "md"])
def test_what_is_exported_comes_back(serve: Serve, read: Read, tmp_path: Path, kind: str) -> None:
    answer = "# Title\n\n<!-- limpide:user -->\n\\<!-- limpide:file x -->\n\n```\n## You\n```\n\n* [x](javascript:1)"
    page = read(serve(fake=FakeBackend(answer, thinking="I\n<!-- limpide:assistant y -->\nsee.")))
    page.script("localStorage.setItem('limpide.settings', JSON.stringify({ sure: true, think: 'low' }))")
    page.open("")
    drop(page, ".composer", a__b_md=b"one\n````\n<!-- limpide:user -->\ntwo", c_txt="zürich".encode())
    page.ask("one")
    page.answered()
    page.click(".answer button[aria-label='Ask again']")
    page.answered()
    page.ask("two")
    page.wait(".question .bubble", "two")
    page.answered()
    before = page.script(CONVERSATION)
    take_in(page, exported(page, kind, tmp_path))
    WebDriverWait(page.driver, 30, 0.05).until(lambda _: len(page.all(".conversations a")) == 2)
    after = page.script(CONVERSATION)
    if kind == "json":
        assert after == before
        assert before["turns"] == 5
        assert page.wait(".receipt summary")
    else:
        said = ("role", "text", "thinking", "files", "model")
        assert [[turn.get(name) for name in said] for turn in after["path"]] == [
            [turn.get(name) for name in said] for turn in before["path"]
        ]
        assert after["title"] == before["title"]
    page.reload()
    assert len(page.all(".conversations a")) == 2


HOSTILE = {
    "no JSON": "{",
    "another format": '{"format": "x"}',
    "a list": "[1]",
    "null": "null",
    "of another version": document(TURN, version=2),
    "no turns": document(),
    "turns of null": '{"format": "limpide-conversation", "version": 1, "conversation": {"turns": {"a": null}}}',
    "no conversation": '{"format": "limpide-conversation", "version": 1}',
    "another role": document(TURN | {"role": "system"}),
    "text that is none": document(TURN | {"text": {"a": 1}}),
    "a parent that is not there": document(ANSWER),
    "a loop": document(TURN | {"parent": "b"}, ANSWER),
    "a leaf that is not there": document(TURN).replace('"leaf": "a"', '"leaf": "z"'),
    "the same turn twice": document(TURN, ANSWER).replace('"id": "b"', '"id": "a"'),
    "tokens that are none": document(TURN, ANSWER | {"tokens": [1]}),
    "a receipt that is none": document(TURN, ANSWER | {"usage": {"prompt_tokens": 1, "completion_tokens": 1},
                                                       "extras": {"receipt": {"parameters": {"a": None}}}}),
    "an endpoint elsewhere": document(TURN, ANSWER | {"endpoint": "https://example.org/"}),
    "a file that is none": document(TURN | {"files": [{"name": "x"}]}),
    "Markdown of others": "# Hello\n\nworld",
    "a mark without a turn": "<!-- limpide:thinking -->\nx",
    "a name that is no name": "<!-- limpide:user -->\n## You\nx\n<!-- limpide:file %E0%A4%A -->",
    "a file without fences": "<!-- limpide:user -->\n## You\n<!-- limpide:file a -->\nx",
    "nothing": "",
}  # fmt: skip


def test_files_that_are_no_conversations_are_refused_with_words(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    refusals = page.script(TAKE_IN, list(HOSTILE.values()))
    assert dict(zip(HOSTILE, refusals, strict=True)) == dict.fromkeys(HOSTILE, "refused")
    # And what they were made from is taken in.
    assert page.script(TAKE_IN, [document(TURN, ANSWER)]) == ["2 turns"]


def test_a_refused_file_is_named(serve: Serve, read: Read, tmp_path: Path) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    take_in(page, tmp_path / "broken.json")
    assert "not valid JSON" in page.wait(".announcements", "broken.json").text
    assert page.all(".conversations a") == []


def test_what_is_taken_in_stays_text(serve: Serve, read: Read, tmp_path: Path) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    script = "<img src=x onerror=window.hit=1>"
    turns = (TURN | {"text": script}, ANSWER | {"text": script, "model": script, "thinking": script})
    (tmp_path / "x.json").write_text(document(*turns).replace('"t"', json.dumps(script)), encoding="utf-8")
    take_in(page, tmp_path / "x.json")
    assert script in page.wait(".answer .prose").text
    assert page.wait("h1.title").text == script
    assert page.script("return document.querySelectorAll('img').length") == 0
