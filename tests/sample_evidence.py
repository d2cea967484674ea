"""A manifest and a record to change what a test wants changed."""

from __future__ import annotations

from limpide.core.evidence import Fingerprint, ItemRecord, RunManifest

MANIFEST = RunManifest(
    run_id="r1",
    task="instructions",
    task_version="1",
    task_sha256="aa",
    items=3,
    file=None,
    model="smollm2-135m",
    architecture="llama",
    context=8192,
    backend=Fingerprint("local", "limpide 0.1.0", "fast", "bb", "cc", None),
    thinking="low",
    sampling={"temperature": 0.0, "max_tokens": 64, "logit_bias": {}},
    seed=7,
    shots=0,
    repeats=1,
    limit=None,
    versions={"python": "3.12"},
    machine={"processors": 2},
    started_at="2026-11-24T00:00:00+00:00",
)
RECORD = ItemRecord(
    item="a-0",
    cluster="a",
    slice="a",
    repeat=0,
    prompt_sha256="dd",
    answer="Paris",
    thinking="",
    tool_calls=({"name": "f", "arguments": "{}"},),
    finish="stop",
    score=1.0,
    detail={"checks": [True]},
    prompt_tokens=9,
    cached_tokens=0,
    thinking_tokens=0,
    answer_tokens=2,
    seconds=0.5,
    error=None,
)
