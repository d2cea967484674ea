"""Of a mapped checkpoint only the experts that tokens choose come into memory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from safetensors.torch import save_file

from limpide.cache import PlainKV
from limpide.formats import open_checkpoint
from limpide.models import CausalLM, load_model

SMAPS = Path("/proc/self/smaps")
HIDDEN, WIDTH, EXPERTS, CHOSEN, VOCABULARY = 1024, 1024, 16, 1, 64
CONFIG: dict[str, Any] = {
    "model_type": "mixtral", "hidden_size": HIDDEN, "intermediate_size": WIDTH, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": EXPERTS, "num_experts_per_tok": CHOSEN,
    "vocab_size": VOCABULARY, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 1e4,
}  # fmt: skip
MOE = "model.layers.0.block_sparse_moe"
FOLIO = 2 << 20
"""As much of a file the kernel may map at once, around the page that is wanted."""


def tensors() -> dict[str, torch.Tensor]:
    shapes = {
        "model.embed_tokens.weight": (VOCABULARY, HIDDEN),
        "lm_head.weight": (VOCABULARY, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        "model.layers.0.input_layernorm.weight": (HIDDEN,),
        "model.layers.0.post_attention_layernorm.weight": (HIDDEN,),
        "model.layers.0.self_attn.q_proj.weight": (HIDDEN, HIDDEN),
        "model.layers.0.self_attn.k_proj.weight": (HIDDEN // 2, HIDDEN),
        "model.layers.0.self_attn.v_proj.weight": (HIDDEN // 2, HIDDEN),
        "model.layers.0.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
        f"{MOE}.gate.weight": (EXPERTS, HIDDEN),
    }
    for expert in range(EXPERTS):
        shapes |= {f"{MOE}.experts.{expert}.{name}.weight": (WIDTH, HIDDEN) for name in ("w1", "w3")}
        shapes[f"{MOE}.experts.{expert}.w2.weight"] = (HIDDEN, WIDTH)
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator).bfloat16() for name, shape in shapes.items()}


def folder(path: Path) -> Path:
    save_file(tensors(), path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(CONFIG))
    return path


def gguf_file(path: Path) -> Path:
    writer = gguf.GGUFWriter(path / "m.gguf", "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(CHOSEN)
    names, stacks = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 1), {"w1": "gate", "w2": "down", "w3": "up"}
    made = tensors()
    for name, stack in stacks.items():
        values = torch.stack([made.pop(f"{MOE}.experts.{e}.{name}.weight") for e in range(EXPERTS)])
        made[f"blk.0.ffn_{stack}_exps.weight"] = values
    for name, values in made.items():
        theirs = names.get_name(name, (".weight",)) or name
        kind = gguf.GGMLQuantizationType.F16 if values.ndim > 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(theirs, gguf.quants.quantize(values.float().numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path / "m.gguf"


def resident(file: Path) -> int:
    """Bytes of a mapped file that are in this process's memory."""
    total, ours = 0, False
    for line in SMAPS.read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ours = line.endswith(str(file))
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1]) << 10
    return total


def run(model: CausalLM, count: int) -> None:
    tokens = torch.arange(count) % VOCABULARY
    with torch.inference_mode():
        model.logits(model(tokens, torch.arange(count), PlainKV([count])))


@pytest.mark.skipif(not SMAPS.exists(), reason="only Linux tells what is resident")
@pytest.mark.parametrize("make", [folder, gguf_file])
def test_experts_that_nobody_chose_are_not_read(make: Any, tmp_path: Path) -> None:
    path = make(tmp_path)
    with open_checkpoint(path) as checkpoint:
        model = load_model(checkpoint)
        experts = sum(t.nbytes for t in checkpoint.tensors.values() if "experts" in t.name or "_exps" in t.name)
        others = sum(t.nbytes for t in checkpoint.tensors.values()) - experts
    file = path if path.is_file() else path / "model.safetensors"
    assert resident(file) < others + 2 * FOLIO
    run(model, 1)
    chosen = experts * CHOSEN // EXPERTS
    assert chosen < resident(file) < others + chosen + 2 * FOLIO * 3 < experts / 3
    run(model, 200)
    assert resident(file) > 0.9 * experts, "what is measured would not show them"
