from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limpide.core.errors import CorruptModelFile, InvalidParameter, ModelFileMissing, UnknownModel
from limpide.hub import CATALOG
from limpide.hub.fit import (
    GENERATION_SHARE,
    LAYER_SECONDS,
    RUNTIME_BYTES,
    Candidate,
    _numbers_each,
    fit,
    look_at,
    predict,
)
from limpide.hub.machine import Machine, _touched, measure_machine, memory, usable_cores
from limpide.hub.shape import ModelShape, context_from_config, shape_from_config

MACHINE = Machine(
    processor="a test",
    isa=(),
    cores=2,
    memory_total=8 << 30,
    memory_available=4 << 30,
    read_bandwidth=20e9,
    matmul_flops=100e9,
)
SMOLLM2 = look_at("smollm2-135m")


def test_memory_is_the_sum_of_its_parts() -> None:
    found = predict(SMOLLM2, MACHINE, context=1000)
    assert found.weights_bytes == 98_362_432
    assert found.cache_bytes == 2 * 30 * 3 * 64 * 1000 * 2  # keys and values, 30 layers, 3 heads of 64, fp16
    assert found.activation_bytes is not None
    assert found.memory_bytes == found.weights_bytes + found.cache_bytes + found.activation_bytes + RUNTIME_BYTES
    assert found.fits == "yes"


def test_exact_numerics_expand_the_weights() -> None:
    found = predict(SMOLLM2, MACHINE, context=1000, numerics="exact")
    assert found.weights_bytes == 4 * 134_515_008 + 98_362_432
    assert found.cache_bytes == 2 * 30 * 3 * 64 * 1000 * 4
    assert found.generation_tokens_per_second < predict(SMOLLM2, MACHINE, context=1).generation_tokens_per_second / 3


def test_generation_is_bound_by_reading_the_weights() -> None:
    found = predict(SMOLLM2, MACHINE, context=8192)
    expected = 1 / (98_362_432 / (20e9 * GENERATION_SHARE) + 30 * LAYER_SECONDS)
    assert found.generation_tokens_per_second == pytest.approx(expected)
    assert found.generation_at_full_context is not None
    assert found.generation_at_full_context < found.generation_tokens_per_second
    faster = predict(SMOLLM2, replace(MACHINE, read_bandwidth=40e9), context=8192)
    assert faster.generation_tokens_per_second > 1.5 * found.generation_tokens_per_second


@pytest.mark.parametrize(
    ("available", "verdict"), [(100 << 20, "no"), (570_000_000, "tight"), (650_000_000, "yes"), (0, "no")]
)
def test_the_verdict_follows_the_memory_that_is_free(available: int, verdict: str) -> None:
    found = predict(SMOLLM2, replace(MACHINE, memory_available=available), context=16)
    assert found.fits == verdict
    assert found.largest_context is not None
    assert (found.largest_context > 0) == (verdict == "yes")


def test_the_largest_context_fits_and_one_more_token_does_not() -> None:
    machine = replace(MACHINE, memory_available=700_000_000)
    largest = predict(SMOLLM2, machine, context=1).largest_context
    assert largest is not None
    assert 0 < largest < 8192
    assert predict(SMOLLM2, machine, context=largest).fits == "yes"
    assert predict(SMOLLM2, machine, context=largest + 1).fits == "tight"


def test_a_mixture_of_experts_reads_only_the_chosen_ones() -> None:
    dense = ModelShape(2, 64, 4, 4, 16, 128, 100, parameters=2_000_000)
    sparse = replace(dense, experts=8, experts_used=2)
    candidate = Candidate("m", 2_000_000, 2_000_000, dense, 1000, 0)
    slow = predict(candidate, MACHINE, context=100).prompt_tokens_per_second
    fast = predict(replace(candidate, shape=sparse), MACHINE, context=100).prompt_tokens_per_second
    assert slow is not None
    assert fast is not None
    assert fast > slow


def test_only_the_size_is_known() -> None:
    found = predict(Candidate("m", 10**9, 10**9, None, None, 10**9), MACHINE, context=4096)
    assert found.cache_bytes is None
    assert found.prompt_tokens_per_second is None
    assert found.memory_bytes == 10**9 + RUNTIME_BYTES


@pytest.mark.parametrize("context", [0, -1, 8193])
def test_a_context_that_the_model_has_not_is_refused(context: int) -> None:
    with pytest.raises(InvalidParameter, match="context"):
        fit("smollm2-135m", context=context, machine=MACHINE)


def test_fit_fetches_nothing(no_network: None, home: Path) -> None:
    found = fit("gemma3-270m", machine=MACHINE, offline=True)
    assert found.download_bytes == CATALOG["gemma3-270m"].size_bytes
    assert found.context == 4096
    assert not home.exists()


def test_a_bad_model_is_said_to_be_bad(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        fit("smolm", machine=MACHINE)
    with pytest.raises(ModelFileMissing):
        fit("./no.gguf", machine=MACHINE)
    text = tmp_path / "text.gguf"
    text.write_text("not a model, but long enough to be looked at" * 10)
    with pytest.raises(CorruptModelFile):
        fit(str(text), machine=MACHINE)


def test_the_catalog_says_of_the_real_files_what_their_headers_say(smollm2_path: Path, gemma3_path: Path) -> None:
    for name, path in (("smollm2-135m", smollm2_path), ("gemma3-270m", gemma3_path)):
        read, entry = look_at(str(path)), CATALOG[name]
        assert read.shape == entry.shape
        assert read.context == entry.context
        assert 0.95 * entry.size_bytes < read.file_bytes <= entry.size_bytes
        assert read.read_bytes == read.file_bytes  # tied embeddings are read in full


def test_a_config_json_is_read() -> None:
    config = {
        "text_config": {
            "num_hidden_layers": 4,
            "hidden_size": 64,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "intermediate_size": 100,
            "vocab_size": 1000,
            "max_position_embeddings": 512,
        }
    }
    assert shape_from_config(config, 7) == ModelShape(4, 64, 8, 2, 8, 100, 1000, parameters=7)
    assert context_from_config(config) == 512


def test_layers_that_differ_are_averaged() -> None:
    config = {
        "general.architecture": "x",
        "x.block_count": 4,
        "x.embedding_length": 64,
        "x.attention.head_count": 8,
        "x.attention.head_count_kv": np.array([0, 2, 2, 4]),
        "x.feed_forward_length": [100, 200, 200, 300],
    }
    shape = shape_from_config(config, 1)
    assert shape is not None
    assert (shape.kv_heads, shape.feed_forward, shape.cache_values_per_token) == (2, 200, 2 * 4 * 2 * 8)


@pytest.mark.parametrize("lie", [0, -1, 1 << 60, "many", None, 2.5, True, [], {}])
def test_numbers_that_make_no_sense_predict_nothing(lie: object) -> None:
    assert shape_from_config(json.loads(json.dumps({"num_hidden_layers": lie, "hidden_size": 1})), 1) is None
    gguf = {"general.architecture": "x", "x.block_count": lie, "x.embedding_length": 8, "x.attention.head_count": 2}
    assert shape_from_config(gguf, 1) is None


def test_this_machine_is_measured_soberly() -> None:
    machine = measure_machine()
    assert 1 <= machine.cores == usable_cores()
    assert 0 < machine.memory_available <= machine.memory_total
    assert 5e8 < machine.read_bandwidth < 5e12
    assert 1e8 < machine.matmul_flops < 1e15
    assert machine.processor


def test_memory_is_what_the_container_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"memory.max": 1 << 30, "memory.current": 1 << 28}
    monkeypatch.setattr("limpide.hub.machine._cgroup_number", lambda name, *others: limits[name])
    assert memory() == (1 << 30, (1 << 30) - (1 << 28))


def test_the_buffers_have_memory_of_their_own() -> None:
    # Pages that were never written all map to one page of zeros, which a cache holds: the figure would be too good.
    import psutil

    process = psutil.Process()
    before = process.memory_info().rss
    buffer = _touched(64 << 20)
    assert process.memory_info().rss - before > 60 << 20
    assert buffer.nbytes == 64 << 20


@pytest.mark.parametrize("tied", [True, False])
def test_an_embedding_that_is_only_looked_up_is_not_read(tmp_path: Path, tied: bool) -> None:
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_embedding_length(32)
    writer.add_head_count(2)
    writer.add_context_length(64)
    writer.add_tensor("token_embd.weight", np.zeros((100, 32), np.float32))
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((32, 32), np.float32))
    if not tied:
        writer.add_tensor("output.weight", np.zeros((100, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert look_at(str(path)).read_bytes == 4 * (100 + 32) * 32


@pytest.mark.parametrize(
    ("name", "settings", "each"),
    [
        ("model.layers.0.self_attn.q_proj.qweight", {"bits": 4}, 8),
        ("model.layers.0.self_attn.q_proj.qweight", {"bits": 8}, 4),
        ("model.layers.0.mlp.experts.down_proj_blocks", {}, 2),
        ("model.layers.0.self_attn.q_proj.weight", {"bits": 4}, 1),
    ],
)
def test_packed_numbers_are_counted(name: str, settings: dict[str, int], each: int) -> None:
    assert _numbers_each(name, {"quantization_config": settings}) == each
