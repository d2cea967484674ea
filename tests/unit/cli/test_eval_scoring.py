"""What `limpide eval` says of scoring."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from limpide.backends.fake import FakeBackend
from limpide.core.evidence import Fingerprint
from limpide.core.ports import ScoreRequest
from limpide.core.scoring import Parity

if TYPE_CHECKING:
    from conftest import CommandLine

CHOICES = ("eval", "m", "--task", "choices", "--limit", "8", "--numerics", "exact")


@pytest.fixture
def known_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted model has no weights, so its scores would not be kept."""
    fingerprint = FakeBackend.fingerprint

    def named(backend: FakeBackend) -> Fingerprint:
        return replace(fingerprint(backend), weights_sha256="a" * 64)

    monkeypatch.setattr(FakeBackend, "fingerprint", named)


def test_what_is_shared_is_told(limpide: CommandLine) -> None:
    shown = limpide(*CHOICES)
    assert shown.code == 0
    work = json.loads(limpide(*CHOICES, "--json").out)["scoring"]
    assert work["requests"] == 32
    assert work["tokens"] > 3 * work["unique_tokens"]
    assert f"{work['unique_tokens']:,} tokens computed in place of {work['tokens']:,}" in shown.err


@pytest.mark.usefixtures("known_weights")
def test_scores_are_kept_for_the_next_run(limpide: CommandLine, tmp_path: Path) -> None:
    first = limpide(*CHOICES, "--no-cache")
    assert not (tmp_path / "cache" / "scores.sqlite").exists()
    assert limpide(*CHOICES).out == first.out
    again = limpide(*CHOICES)
    assert again.out == first.out
    assert again.err.strip() == "32 scores known from before"
    assert "computed" in limpide(*CHOICES, "--no-cache").err


@pytest.mark.parametrize(("words", "sampled"), [(("--prove-parity",), 32), (("--prove-parity", "5"), 5)])
def test_parity_is_proved_and_shown(limpide: CommandLine, words: tuple[str, ...], sampled: int) -> None:
    shown = limpide("eval", *words, *CHOICES[1:])
    assert shown.code == 0
    parity = json.loads(limpide(*CHOICES, "--json", *words).out)["parity"]
    assert parity["sampled"] == sampled
    assert parity["max_difference"] < 1e-4
    assert f"parity: {sampled} requests" in shown.out
    assert "0 argmax flips" in shown.out


def test_a_difference_is_shown(limpide: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def prove(backend: FakeBackend, requests: list[ScoreRequest], *, sample: int, seed: int) -> Parity:
        return Parity(sample, len(requests), 0.25, 3)

    monkeypatch.setattr(FakeBackend, "prove_parity", prove)
    shown = limpide(*CHOICES, "--prove-parity", "7")
    assert "7 requests (32 scored tokens)" in shown.out
    assert "2.5e-01, 3 argmax flips" in shown.out


@pytest.mark.parametrize(
    ("words", "told"),
    [(("--task", "tools"), "tools has no likelihoods"), (("--prove-parity", "0"), "greater than or equal to 1")],
)
def test_parity_of_nothing_is_refused(limpide: CommandLine, words: tuple[str, ...], told: str) -> None:
    shown = limpide(*CHOICES, "--prove-parity", *words)
    assert shown.code == 2
    assert told in shown.err


def test_an_item_that_is_too_long_is_left_out_of_the_proof(limpide: CommandLine, tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [
        {"id": "long", "prompt": "x" * 9000, "choices": ["a", "b"], "answer": 0},
        {"id": "short", "prompt": "x", "choices": ["a", "b"], "answer": 0},
    ]
    file = tmp_path / "q.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in questions))
    shown = limpide("eval", "m", "--task", "my", "--file", str(file), "--prove-parity")
    assert shown.code == 0
    assert "parity: 2 requests" in shown.out
    assert "long: ContextExceeded" in shown.out
