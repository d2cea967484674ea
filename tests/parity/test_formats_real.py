"""Real files: our reader and our expansion against gguf-py's."""

from __future__ import annotations

import time
from pathlib import Path

import gguf
import numpy as np
import pytest

from limpide.formats import open_checkpoint
from limpide.quant import QuantTensor


def test_every_value_of_a_real_file(smollm2_path: Path) -> None:
    reference = gguf.GGUFReader(smollm2_path)
    with open_checkpoint(smollm2_path) as ours:
        fields = {key: field for key, field in reference.fields.items() if not key.startswith("GGUF.")}
        assert list(ours.config) == list(fields)
        for key, field in fields.items():
            value = ours.config[key]
            assert (value.tolist() if isinstance(value, np.ndarray) else value) == field.contents(), key
        assert list(ours.tensors) == [tensor.name for tensor in reference.tensors]
        for tensor in reference.tensors:
            info = ours.tensors[tensor.name]
            assert info.shape == tuple(reversed(tensor.shape.tolist()))
            assert info.format == tensor.tensor_type.name
            assert np.array_equal(ours.raw(tensor.name), tensor.data.reshape(-1).view(np.uint8))


@pytest.mark.parametrize("model", ["smollm2_path", "gemma3_path"])
def test_real_weights_expand_alike(model: str, request: pytest.FixtureRequest) -> None:
    """The first rows of a tensor of every format in the file (gguf-py takes long to read Gemma's header)."""
    with open_checkpoint(request.getfixturevalue(model)) as ours:
        by_format = {info.format: info for info in ours.tensors.values()}
        assert len(by_format) >= 3
        for name, info in by_format.items():
            tensor = QuantTensor.from_raw(info, ours.raw(info.name))
            expected = gguf.quants.dequantize(tensor.data[:200].numpy(), gguf.GGMLQuantizationType[name])
            rows = tensor.unpack(slice(0, 200)).numpy()
            assert np.array_equal(rows.view(np.int32), expected.view(np.int32))
            assert 1e-4 < float(np.abs(rows).mean()) < 1e3


def test_headers_of_large_vocabularies_read_fast(gemma3_path: Path) -> None:
    """262,144 tokens. It takes about 0.12 s on a quiet machine; the bound leaves room for a busy one."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        open_checkpoint(gemma3_path).close()
        times.append(time.perf_counter() - started)
    assert min(times) < 0.8
