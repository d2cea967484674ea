"""Whatever a model or a file says stays text."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from run_folders import MANIFEST, NEW, record, write

from limpide.evals.prices import Price, Prices
from limpide.evals.report import as_html, as_json, as_markdown, find_sources, report_data
from limpide.evals.report.html import visible
from limpide.evals.report.markdown import plain_text
from limpide.evals.report.text import MOST_CHARACTERS

NASTY = (
    "</p></main></style><script>document.title='taken'</script><img src=x onerror=alert(1)>"
    "<svg/onload=alert(1)>\"' onmouseover='x' {{ 7*7 }} {% raw %}"
)
HARMLESS = {"html", "head", "body", "main", "meta", "title", "style", "h1", "h2", "h3", "h4", "p", "br", "bdi", "span"}
HARMLESS |= {
    "small",
    "strong",
    "code",
    "div",
    "ul",
    "li",
    "dl",
    "dt",
    "dd",
    "details",
    "summary",
    "figure",
    "figcaption",
}
HARMLESS |= {"table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "g", "line", "circle", "text"}


class Reader(HTMLParser):
    """Every element, attribute and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(folder: Path) -> list[Path]:
    backend = replace(NEW.backend, engine=NASTY)
    said = {"slice": NASTY, "answer": NASTY, "thinking": NASTY}
    call = ({"name": NASTY, "arguments": NASTY},)
    manifest = replace(MANIFEST, model=NASTY, task=NASTY, started_at=NASTY, sampling={NASTY: NASTY})
    other = replace(NEW, model=NASTY + "2", task=NASTY, backend=backend)
    bad = replace(record(3, 0.0), score=None, error=NASTY)
    return [
        write(folder / "a", manifest, [*(record(n, 1.0, item=f"{n}{NASTY}", **said) for n in range(3)), bad]),
        write(folder / "b", other, [record(n, 0.0, item=f"{n}{NASTY}", tool_calls=call, **said) for n in range(3)]),
        write(folder / "c", replace(manifest, thinking="64"), [record(n, 0.0, item=f"{n}{NASTY}") for n in range(3)]),
    ]


def test_markup_stays_text(tmp_path: Path) -> None:
    prices = Prices("<img src=x>", {name: Price(1.0, 1.0, 1.0) for name in (NASTY, NASTY + "2")})
    page = as_html(report_data(find_sources(hostile(tmp_path)), prices))
    read = Reader(page)
    assert read.tags <= HARMLESS
    assert not {name for name in read.attributes if name.startswith("on")}
    assert "src" not in read.attributes
    assert "href" not in read.attributes
    assert NASTY in read.text
    assert "49" not in read.text.split("taken")[1][:80]  # templates in answers are not run
    assert "http://" not in page
    assert "https://" not in page


def test_the_parser_of_this_test_would_see_it() -> None:
    read = Reader(f"<p>{NASTY}</p>")
    assert {"script", "img"} <= read.tags
    assert "onerror" in read.attributes


def test_what_reorders_or_hides_text_is_shown() -> None:
    shown = visible("safe\u202eevil\u2066\u200b\x1b[2J\x00\ud800 \U000e0041 ok")
    for name in ("U+202E", "U+2066", "U+200B", "U+001B", "U+0000", "U+D800", "U+E0041"):
        assert f'<span class="hidden-character">{name}</span>' in shown
    assert not set("\u202e\u2066\u200b\x1b\x00\ud800\U000e0041") & set(shown)
    assert visible("👩‍🔬 e\u0301 مرحبا") == "👩‍🔬 e\u0301 مرحبا"
    shown.encode()
    assert visible("<b>\u202e<i>") == '&lt;b&gt;<span class="hidden-character">U+202E</span>&lt;i&gt;'


def test_lone_surrogates_can_be_written(tmp_path: Path) -> None:
    bad = "x\ud800"
    manifests = [replace(each, model=f"{each.model}{bad}", task=bad) for each in (MANIFEST, NEW)]
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, manifest, score in zip(folders, manifests, (0.0, 1.0), strict=True):
        write(folder, MANIFEST, [])
        (folder / "manifest.json").write_text(json.dumps({**manifest.as_dict(), "items": 4}))
        records = [record(n, score, slice=bad, answer=bad) for n in range(4)]
        (folder / "items.jsonl").write_text("".join(json.dumps(each.as_dict()) + "\n" for each in records))
    prices = Prices(bad, {each.model: Price(1.0, 1.0, 1.0) for each in manifests})
    data = report_data(find_sources(folders), prices)
    assert "U+D800" in as_html(data).encode().decode()
    assert "U+D800" in as_markdown(data).replace("&#", "").encode().decode()
    assert json.loads(as_json(data).encode())["tasks"] == [bad]


def test_a_gigantic_answer_is_cut_and_says_by_how_much(tmp_path: Path) -> None:
    huge = "word " * 400_000
    folders = [
        write(tmp_path / "a", MANIFEST, [record(0, 1.0, answer=huge), record(1, 1.0)]),
        write(tmp_path / "b", NEW, [record(0, 0.0, thinking=huge), record(1, 1.0)]),
    ]
    page = as_html(report_data(find_sources(folders)))
    assert len(page) < 60_000
    assert page.count(f"… and {len(huge) - MOST_CHARACTERS:,} more characters") == 2


def test_markdown_has_no_markup_of_others() -> None:
    told = plain_text("a | b\n# <b>c</b> [d](x) ![e](y) `f` @g https://h \u202e *i* _j_ $k$")
    assert not set("|<>[]`@*_$\n\u202e") & set(told)
    assert "://" not in told
    assert "⟨U+202E⟩" in told.replace("&#", "")
    assert len(plain_text("x" * 5000)) < 300


def test_a_hostile_name_breaks_no_table(tmp_path: Path) -> None:
    folders = hostile(tmp_path)
    for line in as_markdown(report_data(find_sources(folders))).splitlines():
        assert "<" not in line
        if line.startswith("|"):
            assert line.count("|") in (5, 6, 7)
