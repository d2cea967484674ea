"""The models' view against `limpide serve`, with the real model and a small hub: what fits, pulls, loads, and fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_server import serving
from reader import PATIENCE, Reader
from selenium.webdriver.support.ui import WebDriverWait
from stocked_server import SMOLLM2, SMOLLM2_FILE, stocked
from test_page_views import serious

from fakehub import FakeHub
from fakehub import serve as serve_hub
from limpide.backends.fake import FakeBackend
from limpide.backends.pool import ModelPool, Source
from limpide.hub import CATALOG, LICENCES
from limpide.hub.speed import ARCHITECTURES, slowed_by, stored_slowly
from limpide.hub.stock import HubStock, Serving
from limpide.server.guards import Guards

Read = Callable[[str], Reader]
SMALL, GEMMA = "[data-model='smollm2-135m']", "[data-model='gemma3-270m']"

HEAR = """
window.heard = [];
const place = document.querySelector('#announcements');
new MutationObserver(() => window.heard.push(place.textContent)).observe(place, { childList: true });
"""


def until(page: Reader, true: Callable[[], bool]) -> None:
    WebDriverWait(page.driver, PATIENCE, 0.05).until(lambda _: true())


def names(page: Reader) -> list[str]:
    """The models that could be had and are shown."""
    cards = "document.querySelectorAll('[aria-labelledby=others-title] [data-model]')"
    found: list[str] = page.script(f"return [...{cards}].map(card => card.dataset.model)")
    return found


@pytest.fixture(scope="module")
def hub(smollm2_path: Path) -> Iterator[FakeHub]:
    with serve_hub() as running:
        running.repos[SMOLLM2] = {SMOLLM2_FILE: smollm2_path.read_bytes()}
        yield running


@pytest.fixture(scope="module")
def server(hub: FakeHub, smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    mine = folder / "mine.gguf"
    mine.symlink_to(smollm2_path)
    with stocked(mine, folder / "home", hub.url) as url:
        yield url


def test_a_pull_is_watched_cancelled_taken_up_and_used_in_a_chat(hub: FakeHub, server: str, read: Read) -> None:
    hub.slow_after = 30_000_000
    page = read(server)
    page.script("localStorage.setItem('limpide.settings', JSON.stringify({ temperature: 0 }))")
    page.open("#/models")
    assert page.wait(f"{SMALL} .state").text == "not here"
    page.script(HEAR)
    page.click(f"{SMALL} [data-action=pull]")
    share = f'const bar = document.querySelector("{SMALL} progress"); return bar ? bar.value / bar.max : 0'
    until(page, lambda: 0.3 < page.script(share) < 1)
    assert "of 98 MB" in page.wait(f"{SMALL} .pull").text
    assert page.focused == "Cancel", "the button that was pressed is gone; the focus is on what took its place"
    heard = page.script("return window.heard")
    assert heard[0] == "Pulling SmolLM2 135M Instruct"
    assert len(heard) <= 4, "screen readers are told now and then, not all the time"
    page.reload()
    page.wait(f"{SMALL} .pull", "98 MB")
    page.click(f"{SMALL} [data-action=cancel]")
    page.wait(f"{SMALL} .note", "Cancelled.")
    assert page.wait(f"{SMALL} .state").text == "not here"
    assert [model["id"] for model in page.script("return fetch('/v1/models').then(r => r.json())")["data"]] == ["mine"]

    hub.hurry.set()
    hub.ranges.clear()
    page.click(f"{SMALL} [data-action=pull]")
    page.wait(f"{SMALL} .state", "not loaded")
    assert hub.ranges, "it went on from what had come"
    page.click(f"{SMALL} [data-action=load]")
    page.wait(f"{SMALL} .state.loaded")
    assert "the server’s memory went from" in page.wait(f"{SMALL} .note", "Loaded:").text
    page.click(f"{SMALL} [data-action=use]")
    page.ask("What is the capital of France?")
    page.answered("Paris")
    page.open("#/models")
    page.click(f"{SMALL} [data-action=unload]")
    page.wait(f"{SMALL} .state.unloaded")
    assert page.wait(f"{SMALL} .note", "Unloaded: the server’s memory went from")
    assert serious(page) == []


def test_terms_are_read_before_a_pull_and_a_failed_one_says_what_to_do(server: str, read: Read) -> None:
    page = read(server)
    page.open("#/models")
    page.click(f"{GEMMA} [data-action=pull]")
    dialog = page.wait("dialog")
    assert "within limits" in dialog.text
    assert "Prohibited Use Policy" in dialog.text
    assert serious(page) == []
    page.click("dialog .primary")
    assert page.all("dialog"), "not without the box"
    page.click("dialog button", "Cancel")
    page.wait_gone("dialog")
    assert not page.all(f"{GEMMA} .pull")
    page.click(f"{GEMMA} [data-action=pull]")
    page.click("#accept-terms")
    page.click("dialog .primary")
    problem = page.wait(f"{GEMMA} .problem").text
    assert "The download failed." in problem
    assert "Check this machine’s network" in problem
    assert "limpide models" not in problem
    assert page.wait(f"{GEMMA} [data-action=pull]")
    page.wait("#hub-name").send_keys("hf:nobody/nothing\n")
    assert "There is no such model." in page.wait("[data-model='hf:nobody/nothing'] .problem").text


def test_what_fits_is_shown_and_found(server: str, read: Read) -> None:
    page = read(server)
    page.open("#/models")
    page.wait(SMALL)
    everything = len(page.all("[data-model]"))
    assert everything >= len(CATALOG)
    huge = page.wait("[data-model='deepseek-r1']").text
    assert "doesn’t fit" in huge
    assert "and models may take" in huge
    assert "tokens/s" in page.wait(SMALL).text
    page.click(".filter label", "Fits here")
    page.wait_gone("[data-model='deepseek-r1']")
    page.wait(".filter input[type=search]").send_keys("granite apache")
    until(page, lambda: not any("gemma" in name for name in names(page)))
    found = names(page)
    assert found
    assert all("granite" in name for name in found)
    assert f"{len(found)} of " in page.wait(".catalog [role=status]").text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_keeps_nobody_out_also_on_a_phone(server: str, read: Read, theme: str) -> None:
    page = read(server)
    page.script("localStorage.setItem('limpide.settings', JSON.stringify({ theme: arguments[0] }))", theme)
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        page.open("#/models")
        page.click(f"{GEMMA} summary")
        page.wait(f"{GEMMA} .licence", "Gemma Terms of Use")
        assert serious(page) == []
        assert page.script("return document.querySelector('.view').scrollWidth") <= 360
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_an_offline_server_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
    monkeypatch.setenv("LIMPIDE_HOME", str(tmp_path))
    pool = ModelPool([Source("fake", lambda: FakeBackend("ok"), lambda: 0)], memory=1 << 30)
    stock = HubStock([], Serving(memory=1 << 30, offline=True), lambda *_: None)
    with serving(pool, Guards(), stock=stock) as url:
        page = read(url)
        page.expected.append("403")
        page.open("#/models")
        page.click(f"{SMALL} [data-action=pull]")
        problem = page.wait(f"{SMALL} .problem").text
        assert "must not use the network" in problem
        assert "--offline" in problem


@pytest.fixture
def french(server: str, read: Read) -> Iterator[Reader]:
    page = read(server)
    agent = page.script("return navigator.userAgent")
    page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": "fr-FR,fr"})
    page.open("#/models")
    yield page
    page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": "en"})


def test_every_sentence_about_models_is_known_in_french(french: Reader) -> None:
    sentences = {line for licence in LICENCES.values() for line in licence.plainly()}
    sentences |= {why for reasons in ARCHITECTURES.values() for why in reasons}
    sentences |= {stored_slowly("Q2_K"), *slowed_by("nobody's")} | {
        entry.note for entry in CATALOG.values() if entry.note
    }
    asked = "return import('/page/words/plain.js').then(({ inFrench }) => arguments[0].map(inFrench))"
    known = dict(zip(sentences, french.script(asked, list(sentences)), strict=True))
    assert [sentence for sentence, said in known.items() if said is None] == []
    assert [said for said in known.values() if "{}" in said] == []
    assert french.script(asked, ["nobody has said this"]) == [None]
    french.click(f"{GEMMA} summary")
    text = french.wait(f"{GEMMA} .licence").text
    assert "Google peut restreindre un usage contraire aux conditions" in text
    assert "Puis-je gagner de l’argent avec ?" in text
    assert "Mo" in french.wait(f"{GEMMA} .tiles").text
