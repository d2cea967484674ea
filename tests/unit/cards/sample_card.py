"""A small card, with evidence of every kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from limpide.cards import LicenceFacts, ModelFacts, StoredFormat, gather, write_card
from limpide.core.evidence import ItemRecord, RunManifest
from limpide.core.results import BenchResult, Measurement, to_json
from sample_evidence import MANIFEST, RECORD

FACTS = ModelFacts(
    name="smollm2-135m",
    title="SmolLM2 | <b>135M</b>",
    publisher="HuggingFaceTB",
    container="gguf",
    architecture="llama",
    layers=30,
    hidden=576,
    vocabulary=49_152,
    experts=None,
    parameters=134_515_008,
    context=8192,
    formats=(StoredFormat("Q4_1", 211, 90_000_000), StoredFormat("F32", 61, 140_544)),
    weights_sha256="bb",
    licences=(LicenceFacts("Apache-2.0", "Apache License 2.0", "https://example.org", True, "yes", ("say it",)),),
    stated_licence="apache-2.0",
    made_with="limpide 0.1.0",
)
BENCH = BenchResult(
    model="smollm2-135m",
    architecture="llama",
    weights_sha256="bb",
    numerics="fast",
    threads=2,
    prompt_tokens=512,
    generation_tokens=128,
    prompt=Measurement((401.5, 398.25, 405.0)),
    generation=Measurement((81.5, 79.0, 80.25)),
    bytes_per_token=90_000_000,
    read_bandwidth=2.1e10,
    load_seconds=0.51,
    peak_rss_bytes=512_000_000,
    program_rss_bytes=300_000_000,
    cache_bytes=9_000_000,
    machine={"processors": 2},
    versions={"limpide": "0.1.0"},
    measured_at="2026-11-24T00:00:00+00:00",
)


def record(number: int, score: float, part: str = "a", answer: str = "Paris") -> ItemRecord:
    return replace(
        RECORD, item=f"{part}-{number}", cluster=f"{part}-{number // 2}", slice=part, score=score, answer=answer
    )


def write_run(folder: Path, manifest: RunManifest, records: list[ItemRecord]) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(to_json(manifest.as_dict()) + "\n")
    (folder / "items.jsonl").write_text("".join(to_json(each.as_dict()) + "\n" for each in records))
    return folder


def write_runs(folder: Path) -> list[Path]:
    """Instructions, fast and exact; safety."""
    some = [record(n, float(n % 3 > 0)) for n in range(6)] + [record(n, float(n % 2), "b") for n in range(4)]
    fast = replace(MANIFEST, items=10)
    exact = replace(fast, run_id="r2", backend=replace(fast.backend, numerics="exact"))
    safety = replace(fast, run_id="r3", task="safety-lite", items=4)
    return [
        write_run(folder / "fast", fast, some),
        write_run(folder / "exact", exact, [*some[:-1], replace(some[-1], answer="Rome")]),
        write_run(folder / "safety", safety, [record(n, 1.0, "harmless") for n in range(4)]),
    ]


def make_card(folder: Path, card: Path) -> Path:
    """A card with everything."""
    (folder / "bench.json").write_text(to_json(BENCH.as_dict()) + "\n")
    write_card(card, gather(card, FACTS, write_runs(folder / "runs"), folder / "bench.json"))
    return card
