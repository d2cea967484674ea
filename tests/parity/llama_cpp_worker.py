"""Runs in a Python that has xllamacpp: log-probabilities of the token after a prompt, as JSON.

    python llama_cpp_worker.py TOKENS FILE

TOKENS is a JSON list.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any


def main(tokens: list[int], file: str) -> None:
    result, xllamacpp = os.dup(1), import_module("xllamacpp")
    os.dup2(2, 1)  # what llama.cpp says is not the result
    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 256, 1, False
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    request = {"prompt": tokens, "n_predict": 1, "logprobs": 1000, "temperature": -1.0, "cache_prompt": False}
    answer = xllamacpp.Server(parameters).handle_completions(request)
    answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
    (first,) = answer["choices"][0]["logprobs"]["content"]
    os.write(result, json.dumps({str(top["id"]): top["logprob"] for top in first["top_logprobs"]}).encode())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
