"""An answer that grows looks in the end as if it had come at once, and costs no more the longer it gets."""

from __future__ import annotations

from collections.abc import Callable

from reader import Reader

from limpide.backends.fake import FakeBackend

Serve = Callable[..., str]
Read = Callable[[str], Reader]

TEXTS = [
    "# A\n\npara *one*\ntwo\n\n- a\n\n- b\n  c\n\n  d\n\nafter\n\n1. x\n\n2. y\n\n2\n\n3. z\n",
    "```py\ncode\n\n\nmore\n```\n\n~~~\nopen\n\n# no heading\n",
    "$$\na\n\\[b\n\nc$$\n\n$$\nx\n$$\n\n\\[ y \\]\n\nend",
    "> quote\n> more\n\n> again\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nx\r\n\r\ny\rz\n\n***\n",
    "- - -\n\n-\n\n- i\n\n\n\n\n- far\n",
    "a\n \nb\n\t\n    c\n\n1)\n\n1) one\n\n   ```\n   in\n\n   it\n   ```\n\nlast",
]
GROW = """
return import('/page/markdown/render.js').then(({ Prose }) => arguments[0].map((text) => {
  const grown = new Prose();
  for (let end = 0; end <= text.length; end += 1) grown.show(text.slice(0, end));
  const whole = new Prose();
  whole.show(text);
  return [grown.element.outerHTML, whole.element.outerHTML];
}))
"""
MADE = """
return import('/page/markdown/render.js').then(({ Prose }) => {
  const prose = new Prose();
  const watching = new MutationObserver(() => {});
  watching.observe(prose.element, { childList: true });
  const part = 'A paragraph with *weight*.\\n\\n- one\\n- two\\n\\n';
  return Array.from({ length: 200 }, (_, at) => {
    prose.show(part.repeat(at + 1));
    const made = watching.takeRecords().flatMap((record) => [...record.addedNodes]);
    return [made.length, prose.text.length - prose.characters];
  });
})
"""


def test_what_grows_is_what_comes_at_once(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    for grown, whole in page.script(GROW, TEXTS):
        assert grown == whole


def test_what_is_settled_is_neither_read_nor_made_again(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend("ok")))
    steps = page.script(MADE)
    assert max(made for made, _ in steps) <= 3
    assert max(unsettled for _, unsettled in steps) < 150
