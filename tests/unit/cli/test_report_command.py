"""`limpide eval report` over runs that the command line itself made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def kept(limpide: Any, tmp_path: Path) -> Path:
    """A comparison of two scripted models, with a margin that was promised."""
    questions = tmp_path / "questions.jsonl"
    lines = [{"id": f"q{n}", "prompt": f"Please say word{n}", "reference": f"word{n}"} for n in range(40)]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    scripts: dict[str, Any] = {
        "good": lambda prompt: prompt.rpartition("say ")[2].removesuffix("<|end|>"),
        "bad": lambda prompt: "<script>alert(1)</script>",
    }

    def open_model(choice: Any) -> Any:
        limpide.options = {"reply": scripts[choice.reference]}
        return limpide.open_model(choice)

    limpide.monkeypatch.setattr("limpide.cli.compare.open_model", open_model)
    folder = tmp_path / "kept"
    asked = ("--task", "my", "--file", str(questions), "--margin", "0.1", "-o", str(folder))
    assert limpide("compare", "good", "bad", *asked).code == 10
    return folder


def test_page_json_and_markdown_are_written(limpide: Any, kept: Path, tmp_path: Path) -> None:
    page, numbers, text = (tmp_path / name for name in ("report.html", "report.json", "report.md"))
    shown = limpide(
        "eval", "report", str(kept), "-o", str(page), "--json", str(numbers), "--markdown", str(text), "--items", "2"
    )
    assert shown.code == 0, shown.err
    assert shown.out == ""
    assert str(page) in shown.err
    data = json.loads(numbers.read_text())
    compared = json.loads(limpide("compare", str(kept / "a"), str(kept / "b"), "--margin", "0.1", "--json").out)
    [comparison] = data["comparisons"]
    assert comparison["verdict"] == compared["verdict"] == "WORSE"
    for name in ("difference", "test", "verdict"):
        assert comparison["tasks"][0][name] == compared["tasks"][0][name]
    html = page.read_text()
    assert '<span class="verdict worse">WORSE</span>' in html
    assert html.count('<div class="item">') == 2
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "**WORSE** by a margin of 10 points, registered before B's first item." in text.read_text()


def test_without_a_file_markdown_is_printed(limpide: Any, kept: Path) -> None:
    shown = limpide("eval", "report", str(kept / "a"))
    assert shown.code == 0, shown.err
    assert shown.out.startswith("# Evaluation of good\n")
    assert "| good, thinking off | all | 40 | 100.0\u00a0% | 91.2 to 100.0\u00a0% |" in shown.out


def test_prices_make_costs(limpide: Any, kept: Path, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "EUR"\n[models.good]\ninput = 1.0\noutput = 4.0\n')
    shown = limpide("eval", "report", str(kept), "--prices", str(prices))
    assert " EUR |" in shown.out
    assert "bad, thinking off: no cost, since the list has no price: my." in shown.out


def test_what_is_no_run_and_what_cannot_be_written_are_refused(limpide: Any, kept: Path, tmp_path: Path) -> None:
    nothing = limpide("eval", "report", str(tmp_path / "nothing"))
    assert nothing.code != 0
    assert "there is no run in" in nothing.err
    nowhere = limpide("eval", "report", str(kept), "-o", str(tmp_path / "no" / "report.html"))
    assert nowhere.code != 0
    assert "report.html" in nowhere.err
