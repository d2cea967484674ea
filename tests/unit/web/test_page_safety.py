"""What a model writes stays text, whatever it writes; and the page asks nobody but its server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from page_server import PAGE
from reader import Reader

from limpide.backends.fake import FakeBackend
from limpide.server.access import KeyRules, KeyStore, new_key
from limpide.server.guards import Guards

Serve = Callable[..., str]
Read = Callable[[str], Reader]

HOSTILE = """<script>window.hit = 1</script><img src=x onerror="window.hit = 2">

<svg/onload=window.hit=3> **<iframe srcdoc="<script>parent.hit=4</script>">**

[a](javascript:window.hit=5) [b](data:text/html,<script>1</script>) [c]( JaVaScRiPt:alert(1)) [d](vbscript:x) [ok](https://example.org/a)

![pixel](https://example.org/pixel.png) <https://example.org/b> <javascript:alert(1)>

| <b>x</b> | y |
|---|---|
| `<script>` | $<img src=x>$ |

```html"onmouseover="x
<script>window.hit = 6</script>
```

$\\frac{a}{<script>}$ and \\(\\href{javascript:alert(1)}{x}\\)

access\u202elevel\u202c and\u2066 more\u200b
"""


ENDLESS = [
    "x" * 2_000_000, "*a " * 6000, "[" * 19000, "> " * 5000, "`" * 19999 + "a", "**a" * 6000, "$a" * 9000, "- " * 4000,
    "|" * 15000 + "\n" + "|-" * 9000, "_a_" * 6000, "\\(" * 6000, "\n" * 100_000, "- a\n\n\n\n" * 9000, "<" * 19000,
    "![](" * 3900, "$" + "{" * 3000 + "$", "$" + "x^" * 1500 + "$",
]  # fmt: skip
MEASURE = """
return import('/page/markdown/render.js').then(({ Prose }) => {
  const began = performance.now();
  for (const text of arguments[0]) new Prose().show(text);
  return performance.now() - began;
})"""


def test_hostile_output_stays_text(serve: Serve, read: Read) -> None:
    page = read(serve(fake=FakeBackend(HOSTILE)))
    page.ask("attack")
    text = page.answered().text
    assert "<script>window.hit = 1</script>" in text
    assert "U+202E" in text
    assert page.script("return window.hit ?? null") is None
    answer = "document.querySelector('.answer .prose')"
    assert page.script(f"return {answer}.querySelectorAll('script, img, iframe, object, form, style').length") == 0
    attributes = page.script(f"return [...{answer}.querySelectorAll('*')].flatMap(e => e.getAttributeNames())")
    assert not [name for name in attributes if name.startswith("on")]
    links = page.script(f"return [...{answer}.querySelectorAll('a')].map(a => [a.href, a.rel])")
    assert {href for href, _ in links} == {f"https://example.org/{name}" for name in ("a", "pixel.png", "b")}
    assert {rel for _, rel in links} == {"noopener noreferrer"}


def test_the_policy_holds_where_the_page_itself_would_err(serve: Serve, read: Read) -> None:
    """What the tests above rely on: without our care, the browser would still refuse."""
    page = read(serve(fake=FakeBackend("ok")))
    page.expected += ["TrustedHTML", "Content Security Policy", "Refused"]
    tried = "try { document.body.innerHTML = '<b>x</b>'; return 'made'; } catch (error) { return error.name; }"
    assert page.script(tried) == "TypeError"
    asked = "return fetch('https://example.org/').then(() => 'sent', () => 'refused')"
    assert page.script(asked) == "refused"


def test_a_gigantic_line_and_endless_marks_do_not_stop_the_page(serve: Serve, read: Read) -> None:
    url = serve(fake=FakeBackend("ok"))
    page = read(url)
    spent = page.script(MEASURE, ENDLESS)
    assert spent < 15_000  # each of them is a second's work at most, not a minute's
    page.ask("hello")
    page.answered("ok")


def test_a_key_is_asked_for_and_kept_for_the_tab(serve: Serve, read: Read, tmp_path: Path) -> None:
    with KeyStore(tmp_path / "keys.sqlite") as store:
        text, key = new_key("alice", KeyRules())
        store.add(key)
        page = read(serve(guards=Guards(require_keys=True, keys=store), fake=FakeBackend("ok")))
        page.expected.append("401")
        page.wait("#key").send_keys("lmp_wrong\n")
        page.wait("dialog", "not a key")
        page.wait("#key").send_keys(text, "\n")
        page.wait_gone("dialog")
        page.wait("html[data-ready]")
        page.ask("hello")
        page.answered("ok")
        assert page.script("return sessionStorage.getItem('limpide.key')") == text
        assert (
            page.script("return JSON.stringify(localStorage).includes(sessionStorage.getItem('limpide.key'))") is False
        )
        page.reload()
        page.ask("again")
        page.answered("ok")


@pytest.mark.parametrize("path", sorted(PAGE.rglob("*.*")), ids=lambda path: path.name)
def test_no_file_names_another_host_or_makes_html(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    allowed = ("http://www.w3.org/",)
    places = [part for part in text.split("http")[1:] if part.startswith(("://", "s://"))]
    assert not [place[:40] for place in places if not f"http{place}".startswith(allowed) and place[4:5].isalnum()]
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ):
        assert word not in text
