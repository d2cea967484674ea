"""The page as a browser shows it: both themes, wide and narrow, on paper, and for a screen reader."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from test_hostile_report import hostile

from limpide.evals.prices import Prices
from limpide.evals.report import as_html, find_sources, report_data


def show(driver: Any, page: Path, theme: str, width: int) -> None:
    scheme = [{"name": "prefers-color-scheme", "value": theme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get_log("browser")
    driver.get(page.as_uri())


@pytest.fixture
def window(driver: Any) -> Any:
    yield driver
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.get("about:blank")


def serious(driver: Any) -> list[str]:
    """What axe-core finds that would keep somebody out."""
    driver.execute_script((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run({ resultTypes: ['violations'] }).then(r => done(r.violations))"
    )
    return [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary'][:160]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(("theme", "width"), [("light", 1200), ("dark", 1200), ("light", 360), ("dark", 360)])
def test_it_fits_and_can_be_read(window: Any, folders: list[Path], prices: Path, theme: str, width: int) -> None:
    page = folders[0].parent / "report.html"
    page.write_text(as_html(report_data(find_sources(folders), Prices.read(prices))), encoding="utf-8")
    show(window, page, theme, width)
    assert window.execute_script("return document.documentElement.scrollWidth") <= width
    assert len(window.find_elements("css selector", "svg.strip")) > 20
    assert len(window.find_elements("css selector", "svg.chart")) == 2
    ground = window.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
    assert ground == ("rgb(251, 252, 252)" if theme == "light" else "rgb(15, 21, 24)")
    assert serious(window) == []
    assert window.get_log("browser") == []


def test_axe_would_find_what_is_wrong(window: Any, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<!doctype html><title>x</title><p style='color:#ccc;background:#fff'>pale</p>")
    show(window, page, "light", 1200)
    assert any(each.startswith("color-contrast") for each in serious(window))


def test_a_hostile_page_runs_nothing_and_fits_a_phone(window: Any, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(as_html(report_data(find_sources(hostile(tmp_path / "runs")))), encoding="utf-8")
    show(window, page, "dark", 360)
    assert "taken" in window.find_element("css selector", "h1").text
    assert window.title.startswith("Evaluation of ")
    assert window.execute_script("return document.querySelectorAll('script, img, [onload], [onerror]').length") == 0
    assert window.execute_script("return document.documentElement.scrollWidth") <= 360
    assert window.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert window.get_log("browser") == []
