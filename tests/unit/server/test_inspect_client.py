"""inspect_ai against a real server; runs where inspect_ai is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("inspect_ai", reason="inspect_ai is not installed")

CITIES = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid"}


def answer(prompt: str) -> str:
    return "It is Paris." if "France" in prompt else "It is Rome." if "Italy" in prompt else "I don't know."


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of what inspect_ai stands on
def test_a_task_of_three_items(
    fake_host: Any, serve: Callable[..., httpx.Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspect_ai import Task
    from inspect_ai import eval as inspect_eval
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate

    url = str(serve(fake_host(answer)).base_url).rstrip("/")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LIMPIDE_BASE_URL", f"{url}/v1")
    monkeypatch.setenv("LIMPIDE_API_KEY", "none")
    samples = [Sample(input=f"What is the capital of {land}?", target=city) for land, city in CITIES.items()]
    task = Task(dataset=samples, solver=generate(), scorer=includes())
    [log] = inspect_eval(
        task, model="openai-api/limpide/fake", temperature=0.0, max_tokens=40, log_dir=str(tmp_path), display="none"
    )
    assert log.status == "success", log.error
    assert log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == pytest.approx(2 / 3)
    assert [sample.output.completion for sample in log.samples or ()] == [answer(land) for land in CITIES]
    [usage] = log.stats.model_usage.values()
    assert usage.output_tokens > 0
