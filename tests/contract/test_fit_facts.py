"""What `fit` says of families holds for what computes them: the cache, recurrent states, and what the kernels take."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limpide.formats import open_checkpoint
from limpide.hub import CATALOG
from limpide.hub.candidate import look_at
from limpide.hub.shape import ModelShape, shape_from_config
from limpide.hub.speed import ARCHITECTURES, KERNEL_TYPES, MODEL_TYPES, WHOLE
from limpide.kernels import matmul
from limpide.layers import fused
from limpide.layers.spec import AttentionSpec, BlockSpec
from limpide.models.registry import FAMILIES, read_spec
from limpide.models.spec import ModelSpec

PARITY = Path(__file__).resolve().parents[1] / "parity"
CAUTIOUS = {"mistral-small"}
"""Rows that the kernels take and `fit` calls slow: the file would have to say that it has no temperature."""


@dataclass(frozen=True)
class Row:
    """One tiny model of the parity table, as a file and as its family describes it."""

    name: str
    path: Path
    architecture: str
    spec: ModelSpec
    config: dict[str, Any]
    """Its config.json."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Row]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PARITY))
        table = importlib.import_module("tiny_models")
        folder = tmp_path_factory.mktemp("tiny")
        found = []
        for tiny in table.TINY:
            if tiny.gguf is not None:
                path = folder / f"{tiny.name}.gguf"
                reference = table.make_reference(tiny)
                table.write_gguf(tiny, reference, path)
                with open_checkpoint(path) as checkpoint:
                    _, spec = read_spec(checkpoint)
                    architecture = str(checkpoint.config["general.architecture"])
                config = json.loads(reference.config.to_json_string(use_diff=False))
                found.append(Row(tiny.name, path, architecture, spec, config))
        yield found


def per_token(spec: ModelSpec) -> int:
    return sum(heads * (key + value) for heads, key, value in spec.kv_shapes)


def carried(spec: ModelSpec) -> int:
    sizes = 0
    for layer in spec.state_shapes:
        for shape in layer:
            product = 1
            for side in shape:
                product *= side
            sizes += product
    return sizes


def taken(spec: BlockSpec) -> bool:
    """Whether the kernels take a block of this description, were its sizes those of a real model."""
    attention = spec.attention
    if isinstance(attention, AttentionSpec) and attention.rope is not None:
        rope = replace(attention.rope, dims=32 * attention.rope.dims, scaling=None)
        spec = replace(spec, attention=replace(attention, head_dim=32 * attention.head_dim, rope=rope))
    block: Any = SimpleNamespace(spec=spec, modules=list)
    return fused._gate(spec) is not None and fused._supported(block)


def test_what_a_file_says_of_the_cache_is_what_its_layers_keep(rows: list[Row]) -> None:
    assert len(rows) > 40
    for row in rows:
        shape = look_at(str(row.path)).shape
        assert shape is not None, row.name
        assert (shape.cache_values_per_token, shape.carried) == (per_token(row.spec), carried(row.spec)), row.name


def test_what_a_config_json_says_of_the_cache_is_what_its_layers_keep(rows: list[Row]) -> None:
    for row in rows:
        shape = shape_from_config(row.config, 1)
        assert shape is not None, row.name
        assert (shape.cache_values_per_token, shape.carried) == (per_token(row.spec), carried(row.spec)), row.name


def test_no_speed_of_kernels_is_promised_where_they_do_not_compute(rows: list[Row]) -> None:
    both = set()
    for row in rows:
        whole = all(taken(block) for block in row.spec.blocks)
        promised = not [why for why in look_at(str(row.path)).slowed if "numbers stored as" not in why]
        assert promised == whole or (whole and row.name in CAUTIOUS), row.name
        both.add(promised)
    assert both == {True, False}


def test_an_architecture_is_called_whole_if_the_kernels_take_its_plainest_model(rows: list[Row]) -> None:
    whole = {row.architecture for row in rows if all(taken(block) for block in row.spec.blocks)}
    cautious = {row.architecture for row in rows if row.name in CAUTIOUS}
    assert whole - cautious == set(WHOLE)
    assert {row.architecture for row in rows} == set(ARCHITECTURES)


def test_the_types_that_kernels_multiply_from_are_the_ones_named() -> None:
    assert KERNEL_TYPES == matmul.FORMATS


def test_every_family_is_known_by_all_of_its_names() -> None:
    for family in FAMILIES:
        assert set(family.gguf_architectures) <= set(ARCHITECTURES), family.name
        for name in family.hf_model_types:
            assert MODEL_TYPES[name] in ARCHITECTURES, family.name
    assert set(ARCHITECTURES) == {name for family in FAMILIES for name in family.gguf_architectures}
    assert set(WHOLE) == {name for name, why in ARCHITECTURES.items() if not why}


REAL = {
    "deepseek-r1": ("DeepseekV3Config", {}),
    "mistral-small-4": ("Mistral4Config", {}),
    "qwen3-next-80b-a3b": ("Qwen3NextConfig", {}),
    "qwen3.5-9b": ("Qwen3_5TextConfig", {}),
    "gpt-oss-120b": ("GptOssConfig", {}),
}
"""Catalog entries whose published configuration is the default of transformers' class."""


@pytest.mark.parametrize("name", REAL)
def test_the_catalog_says_of_hybrids_and_latents_what_their_configuration_says(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    kind, changes = REAL[name]
    config = json.loads(getattr(transformers, kind)(**changes).to_json_string(use_diff=False))
    shape, entry = shape_from_config(config, 1), CATALOG[name].shape
    assert isinstance(shape, ModelShape)
    assert isinstance(entry, ModelShape)
    assert (shape.cache_values_per_token, shape.carried) == (entry.cache_values_per_token, entry.carried)
    assert (shape.layers, shape.hidden, shape.heads) == (entry.layers, entry.hidden, entry.heads)
    assert (shape.experts, shape.feed_forward) == (entry.experts, entry.feed_forward)
