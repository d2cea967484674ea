"""From a checkpoint to a model: every tensor accounted for, nothing copied that need not be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from torch import Tensor

from limpide.core.errors import CorruptModelFile
from limpide.core.receipt import Numerics
from limpide.formats import Checkpoint
from limpide.layers.weights import ExpertStack, Weight, Weights
from limpide.models.causal_lm import CausalLM
from limpide.models.family import Family, StoredTensor
from limpide.models.parameters import Shape, parameters
from limpide.models.quantization import stored_format
from limpide.models.registry import read_spec
from limpide.models.spec import AttentionSpec, ModelSpec
from limpide.models.stored import StoredTensors
from limpide.models.wrappers import unwrapped
from limpide.quant import Layout, QuantStack, StoredMatrix

_SHOWN = 5
"""Most names that a message lists."""


def load_model(checkpoint: Checkpoint, *, numerics: Numerics = "fast") -> CausalLM:
    """Build the model that a checkpoint holds.

    `fast` keeps every matrix as it is stored, mapped from the file; `exact` expands all to float32 once. The checkpoint
    may be closed afterwards.

    Raises UnsupportedArchitecture, UnsupportedConfig, UnsupportedFormat; CorruptModelFile if tensors are missing, left
    over or of the wrong shape, with their names.
    """
    family, spec = read_spec(checkpoint)
    return CausalLM(spec, Weights(load_weights(checkpoint, family, spec, numerics)))


def load_weights(
    checkpoint: Checkpoint, family: Family, spec: ModelSpec, numerics: Numerics
) -> dict[str, Weight | ExpertStack]:
    """A model's tensors by our names, checked against its description. Raises as `load_model` does."""
    checkpoint = family.view(unwrapped(checkpoint))
    shapes = parameters(spec)
    present = StoredTensors(checkpoint, stored_format(checkpoint))
    names = family.stored_names(spec, checkpoint.kind, present.tensors)
    stored = {ours: names[ours] for ours in shapes}
    patterns = (pattern.replace("{n}", str(len(spec.blocks))) for pattern in family.unused_tensors)
    unused = (*patterns, *_ignored(spec, names))
    _check(checkpoint, present, shapes, stored, unused)
    return {ours: _load(present, tensor, ours, shapes[ours], numerics) for ours, tensor in stored.items()}


def _ignored(spec: ModelSpec, names: Mapping[str, StoredTensor]) -> Iterator[str]:
    """Stored names of what a description has no use for, though its family has: files may hold it all the same."""
    if spec.tied:
        yield names["lm_head.weight"].name
    for index, block in enumerate(spec.blocks):
        if isinstance(block.attention, AttentionSpec) and block.attention.kv_source_layer is not None:
            yield from (names[f"blocks.{index}.attn.{part}.weight"].name for part in ("k", "v", "k_norm"))


def _check(
    checkpoint: Checkpoint,
    present: StoredTensors,
    shapes: Mapping[str, Shape],
    stored: Mapping[str, StoredTensor],
    unused: tuple[str, ...],
) -> None:
    """Compare what the description asks for with what the checkpoint has, before anything is read."""
    tensors = present.tensors
    missing = list(dict.fromkeys(name for tensor in stored.values() for name in tensor.names if name not in tensors))
    if missing:
        raise _corrupt(checkpoint, f"lacks {len(missing)} tensors", missing, "every tensor of its architecture")
    expected = {name: tensor.shape(shapes[ours]) for ours, tensor in stored.items() for name in tensor.names}
    wrong = [
        f"{name} is {list(tensors[name].shape)}, not {list(shape)}"
        for name, shape in expected.items()
        if tensors[name].shape != shape
    ]
    if wrong:
        raise _corrupt(checkpoint, f"has {len(wrong)} tensors of the wrong shape", wrong, "shapes as configured")
    extra = [n for n in tensors if n not in expected and not any(fnmatchcase(n, pattern) for pattern in unused)]
    extra = [n for n in extra if not present.is_padding(n)]
    if extra:
        raise _corrupt(
            checkpoint,
            f"has {len(extra)} tensors that its architecture doesn't use",
            extra,
            "only tensors that we compute with",
        )


def _load(
    present: StoredTensors, tensor: StoredTensor, ours: str, shape: Shape, numerics: Numerics
) -> Weight | ExpertStack:
    if tensor.layout is not None:
        stack = _load_stack(present, tensor, tensor.layout, shape)
        return stack.unpack() if numerics == "exact" else stack
    info = present.tensors[tensor.name]
    weight: Weight = present.matrix(tensor.name)
    if len(info.shape) != 2 or ours.endswith(".bias"):
        weight = _expanded(weight).view(info.shape)
    if tensor.transform is not None:
        weight = tensor.transform.load(weight, tensor.block)
    if numerics == "exact":
        weight = _expanded(weight)
    if tensor.transform is not None or numerics == "exact":
        present.forget(tensor.name)  # what we compute with is a copy
    return weight


def _expanded(weight: Weight) -> Tensor:
    return weight.unpack() if isinstance(weight, StoredMatrix) else weight


def _load_stack(present: StoredTensors, tensor: StoredTensor, layout: Layout, shape: Shape) -> QuantStack:
    count, rows, cols = shape
    matrices = [present.matrix(name) for name in tensor.names]
    if "{e}" in tensor.name:
        return QuantStack((count, rows, cols), tuple(matrices), layout)
    return QuantStack.split(matrices[0], (count, rows, cols), layout)


def _corrupt(checkpoint: Checkpoint, what: str, details: list[str], expected: str) -> CorruptModelFile:
    shown = "; ".join(details[:_SHOWN]) + ("; …" if len(details) > _SHOWN else "")
    return CorruptModelFile(f"{checkpoint.path.name} {what}: {shown}", expected=expected)
