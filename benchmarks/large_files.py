"""Memory that checkpoints larger than comfortable take: real width, few layers, as their publishers store them.

    python benchmarks/large_files.py gpt-oss-20b --layers 4
    python benchmarks/large_files.py deepseek-v3 --layers 2 --folder /somewhere/with/room

Makes a folder of safetensors (gpt-oss: MXFP4 experts; DeepSeek V3: FP8 blocks, of its layers the first is dense) with
random numbers, loads it in a process of its own with `fast` numerics, runs one token and then a prompt, and says what
was resident: all of it, and the part that is no file (anonymous). Pages of the file count as resident only once they
are touched, so experts that no token chose show as the difference to the file's size. The folder is removed afterwards
unless --keep is given.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TILE = np.random.default_rng(0).integers(0, 256, 1 << 24, dtype=np.uint8)
PROMPT = 64
ALLOWED = 1.15
"""Peak memory, as a share of the file plus the cache."""


class Stored(NamedTuple):
    """A tensor as it is written. `fill` makes plausible bytes of random ones."""

    name: str
    dtype: str
    shape: tuple[int, ...]


BYTES = {"F32": 4, "BF16": 2, "F8_E4M3": 1, "U8": 1}


def gpt_oss_20b(layers: int) -> tuple[dict[str, Any], list[Stored]]:
    hidden, heads, kv_heads, head, experts, vocabulary = 2880, 64, 8, 64, 32, 201088
    config = {
        "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "attention_bias": True, "head_dim": head,
        "hidden_act": "silu", "hidden_size": hidden, "intermediate_size": hidden, "num_hidden_layers": layers,
        "layer_types": ["full_attention" if n % 2 else "sliding_attention" for n in range(layers)],
        "max_position_embeddings": 131072, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "num_local_experts": experts, "num_experts_per_tok": 4, "rms_norm_eps": 1e-5, "sliding_window": 128,
        "rope_theta": 150000, "swiglu_limit": 7.0, "tie_word_embeddings": False, "vocab_size": vocabulary,
        "rope_scaling": {
            "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
            "original_max_position_embeddings": 4096,
        },
        "quantization_config": {"quant_method": "mxfp4"},
    }  # fmt: skip
    tensors = [Stored(n, "BF16", (vocabulary, hidden)) for n in ("model.embed_tokens.weight", "lm_head.weight")]
    tensors.append(Stored("model.norm.weight", "BF16", (hidden,)))
    for number in range(layers):
        at = f"model.layers.{number}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors.append(Stored(f"{at}{norm}.weight", "BF16", (hidden,)))
        widths = {"q": (heads * head, hidden), "k": (kv_heads * head, hidden), "v": (kv_heads * head, hidden)}
        for part, shape in (widths | {"o": (hidden, heads * head)}).items():
            tensors.append(Stored(f"{at}self_attn.{part}_proj.weight", "BF16", shape))
            tensors.append(Stored(f"{at}self_attn.{part}_proj.bias", "BF16", shape[:1]))
        tensors.append(Stored(f"{at}self_attn.sinks", "BF16", (heads,)))
        tensors.append(Stored(f"{at}mlp.router.weight", "BF16", (experts, hidden)))
        tensors.append(Stored(f"{at}mlp.router.bias", "BF16", (experts,)))
        for matrix, rows in (("gate_up_proj", 2 * hidden), ("down_proj", hidden)):
            where = f"{at}mlp.experts.{matrix}"
            tensors.append(Stored(f"{where}_blocks", "U8", (experts, rows, hidden // 32, 16)))
            tensors.append(Stored(f"{where}_scales", "U8", (experts, rows, hidden // 32)))
            tensors.append(Stored(f"{where}_bias", "BF16", (experts, rows)))
    return config, tensors


def deepseek_v3(layers: int) -> tuple[dict[str, Any], list[Stored]]:
    hidden, heads, experts, vocabulary = 7168, 128, 256, 129280
    config = {
        "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "attention_bias": False,
        "hidden_act": "silu", "hidden_size": hidden, "intermediate_size": 18432, "moe_intermediate_size": 2048,
        "num_hidden_layers": layers, "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_routed_experts": experts,
        "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "norm_topk_prob": True,
        "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
        "num_attention_heads": heads, "num_key_value_heads": heads, "q_lora_rank": 1536, "kv_lora_rank": 512,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "max_position_embeddings": 163840,
        "rms_norm_eps": 1e-6, "rope_theta": 10000, "tie_word_embeddings": False, "vocab_size": vocabulary,
        "rope_scaling": {
            "type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
            "original_max_position_embeddings": 4096,
        },
        "quantization_config": {
            "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128],
        },
    }  # fmt: skip
    tensors = [Stored(n, "BF16", (vocabulary, hidden)) for n in ("model.embed_tokens.weight", "lm_head.weight")]
    tensors.append(Stored("model.norm.weight", "BF16", (hidden,)))

    def matrix(name: str, rows: int, cols: int) -> None:
        tensors.append(Stored(f"{name}.weight", "F8_E4M3", (rows, cols)))
        tensors.append(Stored(f"{name}.weight_scale_inv", "F32", (math.ceil(rows / 128), math.ceil(cols / 128))))

    def mlp(name: str, width: int) -> None:
        matrix(f"{name}.gate_proj", width, hidden)
        matrix(f"{name}.up_proj", width, hidden)
        matrix(f"{name}.down_proj", hidden, width)

    for number in range(layers):
        at = f"model.layers.{number}."
        norms = {"input_layernorm": hidden, "post_attention_layernorm": hidden}
        norms |= {"self_attn.q_a_layernorm": 1536, "self_attn.kv_a_layernorm": 512}
        tensors += [Stored(f"{at}{norm}.weight", "BF16", (size,)) for norm, size in norms.items()]
        matrix(f"{at}self_attn.q_a_proj", 1536, hidden)
        matrix(f"{at}self_attn.q_b_proj", heads * 192, 1536)
        matrix(f"{at}self_attn.kv_a_proj_with_mqa", 576, hidden)
        matrix(f"{at}self_attn.kv_b_proj", heads * 256, 512)
        matrix(f"{at}self_attn.o_proj", hidden, heads * 128)
        if number == 0:
            mlp(f"{at}mlp", 18432)
            continue
        tensors.append(Stored(f"{at}mlp.gate.weight", "BF16", (experts, hidden)))
        tensors.append(Stored(f"{at}mlp.gate.e_score_correction_bias", "F32", (experts,)))
        mlp(f"{at}mlp.shared_experts", 2048)
        for expert in range(experts):
            mlp(f"{at}mlp.experts.{expert}", 2048)
    return config, tensors


MODELS = {"gpt-oss-20b": (gpt_oss_20b, 4), "deepseek-v3": (deepseek_v3, 2)}
"""How each is made, and how many layers by default."""


def write(folder: Path, config: dict[str, Any], tensors: list[Stored]) -> int:
    """Write config.json and model.safetensors, a tile at a time. Returns the weights' bytes."""
    (folder / "config.json").write_text(json.dumps(config))
    header: dict[str, Any] = {}
    reached = 0
    for name, dtype, shape in tensors:
        size = math.prod(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [reached, reached + size]}
        reached += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            for chunk in content(tensor):
                file.write(chunk.data)
    return reached


def content(tensor: Stored) -> Iterator[np.ndarray]:
    """Numbers of a size that a real model has: everything stays finite, and routers have preferences."""
    name, dtype, shape = tensor
    left = math.prod(shape) * BYTES[dtype]
    tile = PLAUSIBLE["_scales" if name.endswith("_scales") else dtype]
    while left > 0:
        yield tile[:left]
        left -= len(tile)


def _plausible() -> dict[str, np.ndarray]:
    normal = np.random.default_rng(1).normal(scale=0.02, size=1 << 22).astype(np.float32)
    e4m3 = TILE & 0xBF  # below 2, either sign, never NaN
    return {
        "F32": np.full(1 << 20, 0.02, np.float32).view(np.uint8),
        "BF16": (normal.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8),
        "F8_E4M3": e4m3,
        "U8": TILE,
        "_scales": (118 + TILE % 4).astype(np.uint8),
    }


PLAUSIBLE = _plausible()

CHILD = """
import json, sys, time
from pathlib import Path

def memory():
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(fields[name].split()[0]) << 10 for name in ("VmHWM", "RssFile", "RssAnon")}

import torch
from limpide.cache import PlainKV
from limpide.formats import open_checkpoint
from limpide.models import load_model

report = {"before": memory()}
start = time.perf_counter()
with open_checkpoint(Path(sys.argv[1])) as checkpoint:
    model = load_model(checkpoint, numerics="fast")
report["loaded"] = memory() | {"seconds": time.perf_counter() - start}
for name, count in (("token", 1), ("prompt", int(sys.argv[2]))):
    start = time.perf_counter()
    with torch.inference_mode():
        hidden = model(torch.randint(0, model.spec.vocab_size, (count,)), torch.arange(count), PlainKV([count]))
        finite = bool(model.logits(hidden[-1:]).isfinite().all())
    report[name] = memory() | {"seconds": time.perf_counter() - start, "finite": finite}
print(json.dumps(report))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--layers", type=int, help="how deep")
    parser.add_argument("--folder", type=Path, help="where to make it; by default among the temporary files")
    parser.add_argument("--prompt", type=int, default=PROMPT, help="tokens of the prompt")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    options = parser.parse_args()
    make, layers = MODELS[options.model]
    folder = Path(tempfile.mkdtemp(prefix="limpide-large-", dir=options.folder))
    try:
        config, tensors = make(options.layers or layers)
        start = time.perf_counter()
        size = write(folder, config, tensors)
        print(f"{options.model}, {config['num_hidden_layers']} layers, {size / 1e9:.2f} GB, "
              f"made in {time.perf_counter() - start:.0f} s, {datetime.now(UTC):%Y-%m-%d}")  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(folder), str(options.prompt)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        tell(json.loads(done.stdout.splitlines()[-1]), size, options.prompt)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


def tell(report: dict[str, Any], size: int, prompt: int) -> None:
    print("\n| after | seconds | peak | of the file | in the file's pages | anonymous |\n|---|---|---|---|---|---|")
    labels = {"before": "importing torch", "loaded": "loading", "token": "one token", "prompt": f"{prompt} tokens"}
    for stage, label in labels.items():
        found = report[stage]
        seconds = f"{found['seconds']:.1f}" if "seconds" in found else ""
        peak, file, anonymous = (found[name] for name in ("VmHWM", "RssFile", "RssAnon"))
        print(f"| {label} | {seconds} | {peak / 1e9:.2f} GB | {peak / size:.0%} | {file / 1e9:.2f} GB "
              f"| {anonymous / 1e9:.2f} GB |")  # fmt: skip
    if not (report["token"]["finite"] and report["prompt"]["finite"]):
        sys.exit("the logits are not finite: these numbers say nothing")
    peak = report["prompt"]["VmHWM"]
    print(f"\nPeak {peak / size:.2f} times the file, {'within' if peak <= ALLOWED * size else 'ABOVE'} {ALLOWED}.")


if __name__ == "__main__":
    main()
