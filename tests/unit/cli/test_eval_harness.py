"""Tasks of lm-eval from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import CommandLine

TASKS = """
task: limpide_{name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: {kind}
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
{more}
metric_list: [{{metric: {metric}}}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    documents = [{"question": f"{n}?", "choices": ["yes", "no"], "answer": n % 2, "text": " yes"} for n in range(4)]
    data = tmp_path / "test.jsonl"
    data.write_text("".join(json.dumps(document) + "\n" for document in documents))
    choices = 'doc_to_choice: "{{choices}}"\ndoc_to_target: answer'
    written = 'doc_to_target: "{{text}}"\ngeneration_kwargs: {until: ["\\n"], max_gen_toks: 8}'
    for name, kind, more, metric in (
        ("choices", "multiple_choice", choices, "acc"),
        ("written", "generate_until", written, "exact_match"),
    ):
        task = TASKS.format(name=name, kind=kind, more=more, metric=metric, data=data)
        (tmp_path / f"{name}.yaml").write_text(task)
    return tmp_path


def test_without_lm_eval_it_says_what_to_install(limpide: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    shown = limpide("eval", "m", "--task", "lm-eval:arc_easy")
    assert shown.code == 2
    assert "pip install 'limpide[lm-eval]'" in shown.err
    assert limpide.opened == []


@pytest.mark.parametrize(
    "words",
    [
        ("--think", "low"),
        ("--temperature", "1"),
        ("-o", "somewhere"),
        ("--task", "choices"),
        ("--seed", "3"),
        ("--prove-parity",),
    ],
    ids=" ".join,
)
def test_what_would_have_no_effect_is_refused(limpide: CommandLine, words: tuple[str, ...]) -> None:
    shown = limpide("eval", "m", "--task", "lm-eval:arc_easy", *words)
    assert shown.code == 2
    assert "which lm-eval asks and grades" in shown.err


def test_its_tasks_run_with_its_own_numbers(limpide: CommandLine, folder: Path) -> None:
    limpide.options = {"reply": " yes"}
    names = ("--task", "lm-eval:limpide_choices", "--task", "lm-eval:limpide_written")
    arguments = ("eval", "m", *names, "--file", str(folder), "--offline")
    shown = limpide(*arguments)
    assert shown.code == 0
    rows = [line.split() for line in shown.out.splitlines()[2:]]
    assert [(row[0], row[3], row[4]) for row in rows] == [
        ("limpide_choices", "acc", "0.5000"),
        ("limpide_written", "exact_match", "1.0000"),
    ]
    results = json.loads(limpide(*arguments, "--json", "--limit", "2").out)["lm_eval"]
    assert results["results"]["limpide_choices"]["acc,none"] == 0.5
    assert results["n-samples"]["limpide_choices"]["effective"] == 2


def test_data_that_is_not_here_is_named(limpide: CommandLine, folder: Path) -> None:
    (folder / "test.jsonl").unlink()
    shown = limpide("eval", "m", "--task", "lm-eval:limpide_choices", "--file", str(folder), "--offline")
    assert shown.code == 3
    assert "lm-eval can't get the data of limpide_choices" in shown.err
    shown = limpide("eval", "m", "--task", "lm-eval:no_such_task", "--file", str(folder))
    assert shown.code == 2
    assert "no_such_task" in shown.err
