"""The catalog's entries and licences hold together; what can be computed is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tinymodel import Shelf, make_entry

from limpide.core.errors import LicenceNotAccepted
from limpide.core.thinking import Capability
from limpide.hub import CATALOG, DEFAULT_MODEL, LICENCES, CatalogEntry, HubEntry, PinnedEntry, Store, resolve
from limpide.hub.candidate import look_at, of_catalog
from limpide.hub.catalog.entry import estimated_bytes
from limpide.hub.fit import memory_of, verdict
from limpide.hub.licences import APACHE_2, GEMMA, LLAMA_3_1, MIT, QWEN
from limpide.hub.reference import HubReference, choose_gguf
from limpide.hub.resolve import where_is

ENTRIES = pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG.keys())


@ENTRIES
def test_every_entry_is_complete(entry: CatalogEntry) -> None:
    assert CATALOG[entry.name] is entry
    assert entry.name == entry.name.lower()
    assert len(entry.name) <= 22, "the list has room for so much"
    assert set(entry.licences) <= set(LICENCES.values())
    assert len(set(entry.licences)) == len(entry.licences)
    assert entry.shape is None or entry.shape.parameters == entry.parameters
    assert entry.context >= 1024
    assert (entry.thinking is Capability.NONE) == (not entry.chat)
    if isinstance(entry, PinnedEntry):
        assert len(entry.sha256) == 64
        assert entry.sources
        assert entry.filename.endswith(".gguf")
        for source in entry.sources:
            parts = getattr(source, "parts", ())
            assert sum(part.size_bytes for part in parts) in (0, entry.size_bytes)
    else:
        assert isinstance(entry, HubEntry)
        assert HubReference.parse(str(entry.weights)) == entry.weights


def test_the_catalog_reaches_from_small_to_large() -> None:
    assert DEFAULT_MODEL in CATALOG
    assert len(CATALOG) >= 30
    sizes = sorted(entry.parameters for entry in CATALOG.values())
    assert sizes[0] < 136e6
    assert sizes[-1] > 670e9
    repositories = [entry.weights.repo for entry in CATALOG.values() if isinstance(entry, HubEntry)]
    assert len(set(repositories)) == len(repositories)


PLAIN = frozenset({"llama", "qwen2", "qwen3", "qwen3moe", "smollm3", "granite", "phi3", "mistral3", "gpt-oss"})
GATED_BY_GELU = frozenset({"gemma", "gemma2", "gemma3"})


def counted(entry: CatalogEntry, *, tied: bool) -> int:
    """Parameters by the sizes alone: norms and biases are left out."""
    shape = entry.shape
    assert shape is not None
    queries, keys = shape.heads * shape.head_dim, round(shape.kv_heads * shape.head_dim)
    attention = shape.hidden * (2 * queries + 2 * keys)
    feed_forward = 3 * shape.hidden * shape.feed_forward * max(1, shape.experts)
    embeddings = shape.vocabulary * shape.hidden * (1 if tied else 2)
    return shape.layers * (attention + feed_forward) + embeddings


@pytest.mark.parametrize(
    "entry", [e for e in CATALOG.values() if e.shape and e.architecture in PLAIN | GATED_BY_GELU], ids=lambda e: e.name
)
def test_the_parameters_are_those_that_the_sizes_give(entry: CatalogEntry) -> None:
    ratios = [entry.parameters / counted(entry, tied=tied) for tied in (True, False)]
    assert min(abs(ratio - 1) for ratio in ratios) < 0.002, ratios


@ENTRIES
def test_what_the_catalog_says_predicts_memory(entry: CatalogEntry) -> None:
    candidate = of_catalog(entry)
    assert 0 < candidate.work.read_bytes <= candidate.file_bytes == entry.size_bytes == candidate.download_bytes
    assert memory_of(candidate, context=1024).total > entry.size_bytes


def test_of_experts_only_the_chosen_are_read() -> None:
    sparse, dense = (of_catalog(CATALOG[name]) for name in ("gpt-oss-20b", "phi4"))
    assert sparse.work.read_bytes < 0.3 * sparse.file_bytes  # 3.6 of 20.9 billion parameters are active
    assert dense.work.read_bytes == dense.file_bytes


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("llama3.2-1b", 807_694_464),
        ("smollm3-3b", 1_915_305_312),
        ("qwen3-4b", 2_497_281_632),
        ("llama3.1-8b", 4_920_734_656),
        ("qwen3-8b", 5_027_784_096),
        ("gemma3-12b", 7_300_775_712),
        ("gpt-oss-20b", 12_109_566_560),
        ("gemma4-26b-a4b", 14_618_145_824),
        ("gemma4-31b", 17_992_313_088),
        ("qwen3-32b", 19_762_149_024),
        ("gemma3-1b", 806_000_000),
        ("qwen2.5-72b", 47_400_000_000),
        ("qwen3-next-80b-a3b", 48_500_000_000),
    ],
)
def test_estimates_are_close_to_the_sizes_that_public_sources_list(name: str, listed: int) -> None:
    entry = CATALOG[name]
    assert entry.shape is not None
    assert estimated_bytes(entry.shape, entry.format) == pytest.approx(listed, rel=0.02)
    assert entry.size_bytes == pytest.approx(listed, rel=0.02)


def test_every_shape_is_known() -> None:
    for entry in CATALOG.values():
        assert entry.shape is not None, entry.name


def test_a_repository_whose_best_file_has_an_odd_name_says_which() -> None:
    phi, gemma = CATALOG["phi3-mini"], CATALOG["gemma4-e2b"]
    assert isinstance(phi, HubEntry)
    assert isinstance(gemma, HubEntry)
    names = ["Phi-3-mini-4k-instruct-fp16.gguf", "Phi-3-mini-4k-instruct-q4.gguf"]
    assert choose_gguf(names, phi.weights.file) == "Phi-3-mini-4k-instruct-q4.gguf"
    names = [f"gemma-4-E2B-it-{kind}.gguf" for kind in ("BF16", "Q4_0", "Q8_0")]
    assert choose_gguf(names, gemma.weights.file) == "gemma-4-E2B-it-Q4_0.gguf"


@pytest.mark.parametrize(("needed", "says"), [(90, "yes"), (91, "tight"), (100, "tight"), (101, "no")])
def test_verdicts(needed: int, says: str) -> None:
    assert verdict(needed, 100) == says


@pytest.mark.parametrize("licence", LICENCES.values(), ids=LICENCES.keys())
def test_licences_are_consistent(licence) -> None:  # type: ignore[no-untyped-def]
    assert LICENCES[licence.key] is licence
    assert licence.permissive != licence.needs_acceptance
    assert licence.permissive == (licence.commercial == "yes")
    assert not licence.permissive or not (licence.user_limit or licence.display or licence.name_prefix)
    assert licence.terms.startswith("https://")
    assert licence.plainly()
    for line in licence.plainly():
        assert line[0].islower() or line.startswith("Google")
        assert not line.endswith(".")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("llama3.1-8b", ("700 million users a month", "“Built with Llama”", "begin with “Llama”", "Acceptable Use")),
        ("llama4-scout", ("European Union", "700 million")),
        ("qwen2.5-72b", ("100 million users a month", "“Built with Qwen”")),
        ("qwen2.5-3b", ("do not use the model to earn money", "research", "Copyright (c) Alibaba Cloud")),
        ("ministral-8b-2410", ("do not use the model to earn money", "“Licensed by Mistral AI under", "scientific")),
        ("gemma3-4b", ("Prohibited Use Policy", "“Gemma is provided under and subject to", "a service of yours")),
        ("gpt2", ("GPT-2",)),
        ("qwen3-8b", ("licence text",)),
    ],
)
def test_obligations_are_told_in_plain_words(name: str, words: tuple[str, ...]) -> None:
    said = " ".join(CATALOG[name].licence.plainly())
    for word in words:
        assert word in said


def test_models_made_from_others_keep_their_terms() -> None:
    assert CATALOG["r1-distill-llama-8b"].licences == (MIT, LLAMA_3_1)
    assert CATALOG["r1-distill-qwen-7b"].licences == (MIT, APACHE_2)
    assert [entry.name for entry in CATALOG.values() if entry.licence is QWEN] == ["qwen2.5-72b"]


def test_all_terms_of_a_model_must_be_accepted(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(make_entry(data, Shelf(data), licence=GEMMA), base_licences=(LLAMA_3_1,))
    monkeypatch.setitem(CATALOG, "tiny", entry)
    with pytest.raises(LicenceNotAccepted, match="Gemma"):
        resolve("tiny")
    with pytest.raises(LicenceNotAccepted, match="Built with Llama"):
        resolve("tiny", accept_licences=["gemma"])
    assert resolve("tiny", accept_licences=["llama3.1"]).path.exists()


def test_a_hub_entry_is_here_when_the_cache_of_the_hub_has_it(tmp_path: Path, no_network: None) -> None:
    entry = CATALOG["qwen3-0.6b"]
    assert where_is(entry, Store()) is None
    assert look_at("qwen3-0.6b").download_bytes == entry.size_bytes
    folder = tmp_path / "hf" / "hub" / "models--Qwen--Qwen3-0.6B-GGUF"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    file = folder / "snapshots" / "abc" / "Qwen3-0.6B-Q8_0.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"GGUF")
    assert where_is(entry, Store()) == file
    assert resolve("qwen3-0.6b", offline=True).path == file
