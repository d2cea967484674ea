"""The two real models in transformers, from weights that gguf-py dequantizes: nothing of ours is in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from torch import Tensor
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM
from transformers.initialization import no_init_weights

from limpide.cache import BLOCK_SIZE, PagedCache
from limpide.models import CausalLM

PROMPTS: tuple[str, ...] = (
    "The capital of France is",
    "Once upon a time, in a village by the sea, there lived",
    "La Révolution française de 1789 a commencé par",
    "Il était une fois, dans un petit village de Provence, une vieille dame qui",
    "Pour faire une bonne ratatouille, il faut d'abord",
    "Traduis en anglais : « Où est la bibliothèque municipale ? »",
    "def fibonacci(n: int) -> int:\n    ",
    "import numpy as np\n\ndef softmax(x):\n    ",
    "SELECT name, COUNT(*) FROM orders WHERE",
    "#include <stdio.h>\n\nint main(void) {\n    for (int i = 0;",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):",
    "<html>\n<head><title>Welcome</title></head>\n<body>\n",
    "Q: What is 17 times 23?\nA: Let's think step by step.",
    "The mitochondria is the powerhouse of the cell because",
    "In 1969, Neil Armstrong",
    "Dear Sir or Madam,\n\nI am writing to complain about",
    "Ein wichtiger Unterschied zwischen Deutsch und Englisch ist",
    "1, 1, 2, 3, 5, 8, 13,",
    "To be, or not to be, that is the question:",
    "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n",
)
GREEDY = 64


def reference_model(path: Path) -> Any:
    """The file's model in transformers, float32."""
    reader = gguf.GGUFReader(path)
    metadata = {key: field.contents() for key, field in reader.fields.items()}
    architecture = metadata["general.architecture"]

    def get(key: str) -> Any:
        return metadata[f"{architecture}.{key}"]

    weights = {tensor.name: tensor for tensor in reader.tensors}
    heads, kv_heads = get("attention.head_count"), get("attention.head_count_kv")
    shared = {
        "vocab_size": int(weights["token_embd.weight"].shape[1]),
        "hidden_size": get("embedding_length"),
        "num_hidden_layers": get("block_count"),
        "intermediate_size": get("feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"),
        "max_position_embeddings": get("context_length"),
        "tie_word_embeddings": True,
        "attn_implementation": "eager",
    }
    llama = architecture == "llama"
    rope = {"rope_type": "default", "rope_theta": get("rope.freq_base")}
    model: Any
    with no_init_weights():
        if llama:
            model = LlamaForCausalLM(LlamaConfig(**shared, rope_parameters=rope))
        else:
            window, head_dim = get("attention.sliding_window"), get("attention.key_length")
            settings = {"head_dim": head_dim, "query_pre_attn_scalar": head_dim, "sliding_window": window}
            model = Gemma3ForCausalLM(Gemma3TextConfig(**shared, **settings))
    model.tie_weights()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA if llama else gguf.MODEL_ARCH.GEMMA3, get("block_count"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            stored = weights[names.get_name(name, try_suffixes=(".weight",))]
            values = gguf.quants.dequantize(stored.data, stored.tensor_type).reshape(tuple(parameter.shape))
            if llama and ("q_proj" in name or "k_proj" in name):
                values = _split_pairs(values, heads if "q_proj" in name else kv_heads)
            if not llama and "norm" in name:
                values = values - np.float32(1)
            parameter.copy_(torch.from_numpy(np.array(values)))
    return model.eval()


def _split_pairs(values: np.ndarray, heads: int) -> np.ndarray:
    pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, values.shape[1])
    return pairs.swapaxes(1, 2).reshape(values.shape)


def reference_logits(model: Any, sequences: list[Tensor], count: int) -> list[Tensor]:
    """Logits [count, vocab] that predict the last `count` tokens of each sequence."""
    longest = max(map(len, sequences))
    # What stands to the right of a token can't be seen from it, so any token may fill up.
    padded = torch.stack([torch.nn.functional.pad(tokens, (0, longest - len(tokens))) for tokens in sequences])
    hidden = model.model(padded).last_hidden_state
    return [
        model.lm_head(rows[len(tokens) - 1 - count : len(tokens) - 1])
        for rows, tokens in zip(hidden, sequences, strict=True)
    ]


def greedy(model: CausalLM, prompts: list[Tensor], count: int, keep: int) -> tuple[list[Tensor], list[Tensor]]:
    """The most likely continuation of each prompt, all in one ragged batch on a paged cache.

    Returns prompts with continuations, and of the first `keep` sequences the logits that led there, [count, vocab].
    """
    longest = max(map(len, prompts)) + count
    cache = PagedCache(model.spec.kv_shapes, num_blocks=len(prompts) * (longest // BLOCK_SIZE + 1))
    leases = [cache.open() for _ in prompts]
    assert all(cache.reserve(lease, longest) for lease in leases)
    sequences, done, kept = list(prompts), [0] * len(prompts), []
    for _ in range(count):
        new = [tokens[start:] for tokens, start in zip(sequences, done, strict=True)]
        view = cache.view([(lease, start, len(ids)) for lease, start, ids in zip(leases, done, new, strict=True)])
        positions = torch.cat([start + torch.arange(len(ids)) for start, ids in zip(done, new, strict=True)])
        hidden = model(torch.cat(new), positions, view)
        logits = model.logits(hidden[torch.tensor(view.query_starts[1:]) - 1])
        kept.append(logits[:keep].clone())
        done = [len(tokens) for tokens in sequences]
        sequences = [torch.cat((t, best[None])) for t, best in zip(sequences, logits.argmax(-1), strict=True)]
    return sequences, list(torch.stack(kept, dim=1))
