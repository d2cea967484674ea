"""Every family's tiny random model in llama.cpp and here: the same GGUF file, the same tokens, the same probabilities?

    python benchmarks/families_beside_llama_cpp.py --peer-python PATH
    python benchmarks/families_beside_llama_cpp.py --peer-python PATH --only phi3 gemma2

PATH is a Python that has the `xllamacpp` wheel (`python -m venv peers && peers/bin/pip install xllamacpp`): this script
runs itself there as a worker. Run it in a checkout, with the packages of the tests: the models are those of
tests/parity, their matrices made gentler so that rounding stays small. Compared is the log-probability of every token
after the last one, both sides in float32. What differs for a reason that we know is said and isn't counted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PARITY = Path(__file__).resolve().parents[1] / "tests" / "parity"
GENTLE = 0.5
"""What matrices are multiplied by."""
TOLERANCE = 5e-3
"""Of log-probabilities: llama.cpp looks up some activation functions in half precision."""
KNOWN = {
    "gemma3-softcap": "llama.cpp knows no biases in this family",
    "mixtral-legacy-gguf": "llama.cpp no longer reads the names of older files",
    "mixtral-fused-gguf": "llama.cpp reads gate and up apart in this family",
    "gpt-oss": "llama.cpp rounds the range of YaRN, which this model doesn't",
    "phi3": "llama.cpp ignores the window that the file states",
    "mla-direct-queries": "llama.cpp tells from the number of layers whether queries have a latent",
    "mla-biases": "llama.cpp knows no biases in this family",
    "mistral4": "llama.cpp takes a file that doesn't state the temperature to have none",
    "granite4-hybrid-experts": "llama.cpp wants a bias of the convolution, and knows none of projections",
    "qwen3.5-experts": "llama.cpp knows no biases in this family",
    "phi3-short": "llama.cpp makes its context 256 at least, and that is long for this model",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", metavar="PATH", help="a Python that has xllamacpp")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--worker", metavar="TASK", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(json.loads(options.worker))
    if not options.peer_python:
        parser.error("--peer-python is needed")
    sys.path.insert(0, str(PARITY))
    table: tuple[Any, ...] = importlib.import_module("tiny_models").TINY
    worst = 0.0
    for tiny in table:
        if tiny.gguf is None or (options.only and tiny.name not in options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            far = distance(tiny, Path(folder) / "model.gguf", options.peer_python)
        print(f"{tiny.name:30s} {far:.5f}  {KNOWN.get(tiny.name, '')}".rstrip(), flush=True)
        worst = max(worst, 0.0 if tiny.name in KNOWN else far)
    return int(worst > TOLERANCE)


def distance(tiny: Any, path: Path, python: str) -> float:
    """The largest difference of a token's log-probability. Infinite if llama.cpp can't load the file."""
    import torch

    from limpide.formats import open_checkpoint
    from limpide.models import load_model

    rows = importlib.import_module("tiny_models")
    reference = rows.make_reference(tiny)
    with torch.no_grad():
        for parameter in reference.parameters():
            if parameter.ndim > 1:
                parameter.mul_(GENTLE)
    rows.write_gguf(tiny, reference, path)
    tokens = rows.some_tokens().clamp(min=3)  # the first three have a meaning
    with open_checkpoint(path) as checkpoint:
        ours = rows.plain_logits(load_model(checkpoint, numerics="exact"), tokens)[-1].log_softmax(-1)
    task = json.dumps({"path": str(path), "tokens": tokens.tolist(), "vocabulary": len(ours)})
    done = subprocess.run(
        [python, __file__, "--worker", task], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        return float("inf")
    theirs = json.loads(done.stdout)
    return max(abs(float(ours[int(token)]) - value) for token, value in theirs.items())


def work(task: dict[str, Any]) -> None:
    """llama.cpp's side, in the Python that has it. Prints each token's log-probability."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what llama.cpp says is not the result
    xllamacpp: Any = importlib.import_module("xllamacpp")  # no dependency of ours
    parameters = xllamacpp.CommonParams()
    parameters.model.path = task["path"]
    parameters.n_ctx = 64
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.warmup = False
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(parameters)
    request = {"prompt": task["tokens"], "n_predict": 1, "n_probs": task["vocabulary"], "temperature": 0}
    answer = server.handle_completions(request)
    answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
    first = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    out.write(json.dumps({each["id"]: each["logprob"] for each in first}))
    out.flush()
    os._exit(0)  # its threads need no farewell


if __name__ == "__main__":
    raise SystemExit(main())
