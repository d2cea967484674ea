"""A local task of lm-eval on our engine gives what its own way of scoring gives; runs where lm-eval is installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from limpide.backends.fake import FakeBackend
from limpide.core.errors import InvalidParameter
from limpide.core.ports import Backend
from limpide.evals import lm_eval_model

CHOICES = """
task: limpide_local_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list: [{{metric: acc}}]
"""


def generate(text: str, until: Sequence[str], most: int) -> str:
    return f"{text}|{','.join(until)}|{most}"


class Request:
    def __init__(self, *args: Any) -> None:
        self.args = args


def test_without_lm_eval_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval.api.model", None)
    with pytest.raises(InvalidParameter, match="lm-eval"):
        lm_eval_model.make_model(FakeBackend("yes"), generate)


def test_settings_that_would_have_no_effect_are_refused() -> None:
    assert lm_eval_model._settings({"until": "\n"}) == (["\n"], 256)
    assert lm_eval_model._settings({"until": ["a", "b"], "max_gen_toks": 5, "do_sample": False}) == (["a", "b"], 5)
    for asked in ({"do_sample": True}, {"temperature": 0.7}, {"top_k": 5}):
        with pytest.raises(InvalidParameter):
            lm_eval_model._settings(asked)


def test_requests_of_each_kind_are_answered_in_order() -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    backend = FakeBackend("yes")
    model = lm_eval_model.make_model(backend, generate)
    pairs = [("Is it? ", "yes"), ("Is it? ", "no"), ("Was it? ", "yes")]
    found = model.loglikelihood([Request(*pair) for pair in pairs])
    assert [greedy for _, greedy in found] == [True, False, True]
    assert found[1][0] == pytest.approx(backend.score(*pairs[1][:1], [pairs[1][1]])[0].total)
    texts = ["yes", "no and no"]
    assert model.loglikelihood_rolling([Request(text) for text in texts]) == pytest.approx(
        [backend.score("", [text])[0].total for text in texts]
    )
    assert model.generate_until([Request("Q", {"until": ["\n"], "max_gen_toks": 3})]) == ["Q|\n|3"]


def test_a_local_task_runs_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    documents = [{"question": f"{n}?", "choices": ["yes", "no"], "answer": n % 2} for n in range(4)]
    data = tmp_path / "test.jsonl"
    data.write_text("".join(json.dumps(document) + "\n" for document in documents))
    (tmp_path / "choices.yaml").write_text(CHOICES.format(data=data))
    backend: Backend = FakeBackend(" yes")
    results = lm_eval_model.evaluate(backend, generate, ["limpide_local_choices"], include_path=tmp_path)
    assert results["results"]["limpide_local_choices"]["acc,none"] == 0.5
    with pytest.raises(InvalidParameter, match="no_such_task"):
        lm_eval_model.evaluate(backend, generate, ["no_such_task"], include_path=tmp_path)
