from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limpide.core.errors import CorruptModelFile, InvalidParameter, ModelFileMissing, UnknownModel
from limpide.hub import CATALOG
from limpide.hub.candidate import Candidate, _numbers_each, look_at, of_catalog
from limpide.hub.fit import RUNTIME_BYTES, STATE_VALUE_BYTES, fit, predict
from limpide.hub.machine import Machine, _touched, measure_machine, memory, usable_cores
from limpide.hub.shape import ModelShape, context_from_config, shape_from_config
from limpide.hub.speed import GENERATION_SHARE, LAYER_SECONDS, PLAIN_LAYER_SECONDS, Work, expanding

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
assert SMOLLM2.shape is not None
SMOLLM2_SHAPE = SMOLLM2.shape


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
    fast = predict(SMOLLM2, MACHINE, context=1)
    assert found.generation_tokens_per_second is not None
    assert fast.generation_tokens_per_second is not None
    assert found.generation_tokens_per_second < fast.generation_tokens_per_second / 3


def test_generation_is_bound_by_reading_the_weights() -> None:
    found = predict(SMOLLM2, MACHINE, context=8192)
    expected = 1 / (98_362_432 / (20e9 * GENERATION_SHARE) + 30 * LAYER_SECONDS)
    assert found.generation_tokens_per_second == pytest.approx(expected)
    assert found.slowed == ()
    assert found.generation_at_full_context is not None
    assert found.generation_tokens_per_second is not None
    assert found.generation_at_full_context < found.generation_tokens_per_second
    faster = predict(SMOLLM2, replace(MACHINE, read_bandwidth=40e9), context=8192)
    assert faster.generation_tokens_per_second is not None
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
    candidate = Candidate("m", 2_000_000, Work(2_000_000), dense, 1000, 0)
    slow = predict(candidate, MACHINE, context=100).prompt_tokens_per_second
    fast = predict(replace(candidate, shape=sparse), MACHINE, context=100).prompt_tokens_per_second
    assert slow is not None
    assert fast is not None
    assert fast > slow


def test_only_the_size_is_known() -> None:
    found = predict(Candidate("m", 10**9, Work(10**9), None, None, 10**9), MACHINE, context=4096)
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
        assert read.work.read_bytes == read.file_bytes  # tied embeddings are read in full
        assert read.slowed == of_catalog(entry).slowed == ()


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


def test_layers_that_differ_are_counted_one_by_one() -> None:
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
    assert (shape.feed_forward, shape.cache_values_per_token) == (200, 2 * (0 + 2 + 2 + 4) * 8)


def test_recurrent_layers_carry_a_state_whatever_the_context() -> None:
    candidate = of_catalog(CATALOG["granite4-h-tiny"])
    machine = replace(MACHINE, memory_available=64 << 30)
    assert candidate.shape is not None
    assert candidate.shape.carried > 0
    short, long = (predict(candidate, machine, context=context).cache_bytes for context in (1, 1001))
    assert short is not None
    assert long is not None
    assert long - short == 1000 * 2 * 2 * 4 * 4 * 128  # fp16 keys and values of four layers, four heads of 128
    assert short - 2 * 2 * 4 * 4 * 128 == STATE_VALUE_BYTES * candidate.shape.carried


def test_experts_are_all_counted_for_memory_and_the_chosen_ones_for_the_least() -> None:
    candidate = of_catalog(CATALOG["qwen3-30b-a3b"])
    found = predict(candidate, replace(MACHINE, memory_available=64 << 30), context=16)
    assert found.memory_bytes > candidate.file_bytes
    assert found.memory_bytes - found.least_memory_bytes == candidate.file_bytes - candidate.work.read_bytes
    assert candidate.work.read_bytes < 0.2 * candidate.file_bytes


def test_what_the_kernels_do_not_know_is_said_and_costs() -> None:
    known = Candidate("m", 10**8, Work(10**8), replace(SMOLLM2_SHAPE, layers=10), 1000, 0)
    unknown = replace(known, slowed=("soft caps",))
    packed = replace(unknown, work=Work(10**8, 10**8, expanding(2e8, "Q3_K")), slowed=("numbers stored as Q3_K",))
    speeds = [predict(each, MACHINE, context=1).generation_tokens_per_second for each in (known, unknown, packed)]
    assert speeds[0] is not None
    assert speeds[1] is not None
    assert speeds[2] is not None
    assert 1 / speeds[1] - 1 / speeds[0] == pytest.approx(10 * (PLAIN_LAYER_SECONDS - LAYER_SECONDS))
    assert speeds[2] < speeds[1] / 5
    assert predict(unknown, MACHINE, context=1).slowed == ("soft caps",)


def test_experts_latents_and_states_cost_more_than_what_kernels_know() -> None:
    machine = replace(MACHINE, memory_available=1 << 50)
    for name, why in (
        ("gpt-oss-20b", "mixture of experts"),
        ("deepseek-r1", "latent attention"),
        ("qwen3.5-9b", "recurrent"),
    ):
        candidate = of_catalog(CATALOG[name])
        assert any(why in said for said in candidate.slowed)
        slow = predict(candidate, machine, context=16)
        bare = predict(replace(candidate, slowed=(), work=Work(candidate.work.read_bytes)), machine, context=16)
        assert slow.generation_tokens_per_second is not None
        assert bare.generation_tokens_per_second is not None
        assert slow.generation_tokens_per_second < 0.9 * bare.generation_tokens_per_second, name
        assert slow.speed_share != bare.speed_share


def test_no_speed_is_promised_where_the_model_does_not_fit() -> None:
    found = predict(of_catalog(CATALOG["deepseek-r1"]), MACHINE, context=16)
    assert found.fits == "no"
    assert found.generation_tokens_per_second is None
    assert found.generation_at_full_context is None
    assert found.prompt_tokens_per_second is None


@pytest.mark.parametrize("lie", [0, -1, 1 << 30, 1 << 60, "many", None, 2.5, True, [], {}])
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
    found = look_at(str(path))
    assert found.work.read_bytes == found.work.torch_bytes == 4 * (100 + 32) * 32
    assert found.slowed == ("numbers stored as F32",)


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
