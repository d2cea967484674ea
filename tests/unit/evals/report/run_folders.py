"""Folders of runs as the runner writes them, with scores that a test chooses."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from limpide.core.evidence import Fingerprint, ItemRecord, RunManifest
from limpide.core.results import to_json

MANIFEST = RunManifest(
    run_id="0" * 32,
    task="tools",
    task_version="1",
    task_sha256="a" * 64,
    items=0,
    file=None,
    model="old-model",
    architecture="llama",
    context=2048,
    backend=Fingerprint("local", "limpide 0.1.0", "fast", "b" * 64, "c" * 64, None),
    thinking="off",
    sampling={"temperature": 0.0, "max_tokens": 200},
    seed=0,
    shots=0,
    repeats=1,
    limit=None,
    versions={},
    machine={},
    started_at="2026-05-01T12:00:00+00:00",
)
NEW = replace(MANIFEST, model="new-model", backend=replace(MANIFEST.backend, weights_sha256="d" * 64))
SLICES = ("one", "none", "parallel")


def record(number: int, score: float, **changes: Any) -> ItemRecord:
    random_ = random.Random(number)
    made = ItemRecord(
        item=f"q{number}",
        cluster=f"text {number // 2}",
        slice=SLICES[number % 3],
        repeat=0,
        prompt_sha256=f"{number:064x}",
        answer=f"The answer to question {number} is {'right' if score else 'wrong'}.",
        thinking="",
        tool_calls=(),
        finish="stop",
        score=score,
        detail={},
        prompt_tokens=random_.randrange(20, 60),
        cached_tokens=0,
        thinking_tokens=0,
        answer_tokens=random_.randrange(5, 40),
        seconds=0.1 + random_.random(),
        error=None,
    )
    return replace(made, **changes)


def thought(number: int, score: float, tokens: int) -> ItemRecord:
    return record(number, score, thinking=f"Let me see: question {number}. " * 5, thinking_tokens=tokens + number)


def write(folder: Path, manifest: RunManifest, records: Sequence[ItemRecord]) -> Path:
    folder.mkdir(parents=True)
    manifest = replace(manifest, items=manifest.items or len(records))
    (folder / "manifest.json").write_text(to_json(manifest.as_dict()) + "\n", encoding="utf-8")
    lines = "".join(to_json(each.as_dict()) + "\n" for each in records)
    (folder / "items.jsonl").write_text(lines, encoding="utf-8")
    return folder


def scores(share: float, seed: int, count: int = 60) -> list[float]:
    random_ = random.Random(seed)
    return [float(random_.random() < share) for _ in range(count)]


def rich(folder: Path) -> list[Path]:
    """Two models, two tasks, three budgets of thinking, a passage task: what a page can show."""
    off, low, high, new = (scores(share, 7) for share in (0.4, 0.6, 0.7, 0.55))
    thinking = [replace(MANIFEST, thinking=name) for name in ("64", "low")]
    passages = replace(MANIFEST, task="perplexity")
    detail = {"tokens": 40, "bytes": 180}
    nats = [record(n, 120.0 + n % 7, finish=None, detail=detail, seconds=0.0) for n in range(12)]
    better = [record(n, 115.0 + n % 5, finish=None, detail=detail, seconds=0.0) for n in range(12)]
    return [
        write(folder / "old-off", MANIFEST, [record(n, s) for n, s in enumerate(off)]),
        write(folder / "old-64", thinking[0], [thought(n, s, 40) for n, s in enumerate(low)]),
        write(folder / "old-low", thinking[1], [thought(n, s, 180) for n, s in enumerate(high)]),
        write(folder / "new-off", NEW, [record(n, s, answer_tokens=50) for n, s in enumerate(new)]),
        write(folder / "old-text", passages, nats),
        write(folder / "new-text", replace(NEW, task="perplexity"), better),
    ]
