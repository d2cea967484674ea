"""Limpide and llama.cpp side by side: the same GGUF, the same run, rounds that take turns.

    python benchmarks/llama_cpp.py --peer-python PATH
    python benchmarks/llama_cpp.py --peer-python PATH --model ./model.gguf --rounds 7 --json

PATH is a Python that has the `xllamacpp` wheel (`python -m venv peers && peers/bin/pip install xllamacpp`): this script
runs itself there as a worker. Each round gives either side fresh processes and as many random tokens: one that warms
up and measures, one that only goes from its start to the first token. Medians over the rounds, and of each round's
ratio; needs a machine that does nothing else.

prompt: tokens over the time from the prompt to its first token. generation: tokens after a prompt of one token, from
the first to the last. load: until the model can be asked, imports not counted. start to first token: of a whole
process, `limpide ask` here, and there one that imports, loads without warm-up, and asks as many tokens. memory: the
highest resident memory of the process that measured; the model's: that, less what was resident before it was opened.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

QUESTION = "What is the capital of France?"
ROWS = {  # name: (what it is called, format, whether more is better)
    "prompt": ("prompt {prompt}, tokens/s", "{:.0f}", True),
    "generation": ("generation {generation}, tokens/s", "{:.1f}", True),
    "load": ("load, s", "{:.2f}", False),
    "first_token": ("start to first token, s", "{:.2f}", False),
    "memory": ("peak memory, MB", "{:.0f}", False),
    "model_memory": ("of it the model's, MB", "{:.0f}", False),
}
Sample = dict[str, float]
QUIET = 0.1
"""Cores that others may take on average: kernels of either side wait for each other, so one busy core ruins both."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", metavar="PATH", help="a Python that has xllamacpp")
    parser.add_argument("--model", default="smollm2-135m", help="as for `limpide ask`, if it is a GGUF")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generation", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--raw", action="store_true", help="ask without a chat template: for base models")
    parser.add_argument("--accept-licence", action="append", default=[])
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(json.loads(options.worker))
        return
    if not options.peer_python:
        parser.error("--peer-python is needed")
    if min(options.rounds, options.prompt, options.generation, options.threads) < 1:
        parser.error("numbers start at 1")
    compare(options)


def compare(options: argparse.Namespace) -> None:
    from limpide.formats import open_checkpoint
    from limpide.hub import resolve
    from limpide.text import Tokenizer

    found = resolve(options.model, offline=options.offline, accept_licences=frozenset(options.accept_licence))
    with open_checkpoint(found.path) as checkpoint:
        if checkpoint.kind != "gguf":
            raise SystemExit(f"{found.path} is no GGUF: llama.cpp reads nothing else")
        path = checkpoint.path
        vocabulary = Tokenizer.from_gguf(checkpoint.config).vocab_size
    path.read_bytes()  # into the system's cache, for both
    samples: dict[str, list[Sample]] = {"limpide": [], "llama.cpp": []}
    facts: dict[str, Any] = {}
    asked = ask(options, path)["usage"]["prompt_tokens"]  # not counted: kernels may be compiled now
    for number in range(options.rounds):
        tell(f"round {number + 1} of {options.rounds}")
        sides = ["limpide", "llama.cpp"]
        for side in sides if number % 2 == 0 else sides[::-1]:
            before = other_seconds(), time.monotonic()
            if side == "limpide":
                sample, facts = ours(options, path, number)
            else:
                sample = theirs(options, path, number, vocabulary, asked)
            samples[side].append(sample)
            sample["others"] = (other_seconds() - before[0]) / (time.monotonic() - before[1])
            tell(f"  {side}: " + ", ".join(f"{name} {value:.4g}" for name, value in sample.items()))
    medians = {side: {row: statistics.median(each[row] for each in samples[side]) for row in ROWS} for side in samples}
    result = {
        "model": found.name,
        "file_bytes": path.stat().st_size,
        "threads": options.threads,
        "prompt_tokens": options.prompt,
        "generation_tokens": options.generation,
        "rounds": options.rounds,
        "medians": medians,
        "others": max(sample["others"] for each in samples.values() for sample in each),
        "ratios": {row: paired(row, samples) for row in ROWS},
        "samples": samples,
        "versions": {**facts["versions"], "xllamacpp": peer_version(options.peer_python)},
        "machine": facts["machine"],
        "measured_at": facts["measured_at"],
    }
    print(json.dumps(result) if options.json else table(result))


def paired(row: str, samples: dict[str, list[Sample]]) -> float:
    """Median of the rounds' own ratios: what disturbs a shared machine for minutes disturbs both sides of a round."""
    pairs = zip(samples["limpide"], samples["llama.cpp"], strict=True)
    return statistics.median(ours[row] / theirs[row] for ours, theirs in pairs)


def ours(options: argparse.Namespace, path: Path, seed: int) -> tuple[Sample, dict[str, Any]]:
    asked = ask(options, path)
    lengths = ["-p", str(options.prompt), "-n", str(options.generation), "-r", "1", "--seed", str(seed)]
    bench = limpide(options, "bench", path, *lengths)
    sample = {
        "prompt": bench["prompt_tokens_per_second"],
        "generation": bench["generation_tokens_per_second"],
        "load": bench["load_seconds"],
        "first_token": asked["timings"]["process_to_first_token_seconds"],
        "memory": bench["peak_rss_bytes"] / 1e6,
        "model_memory": bench["model_rss_bytes"] / 1e6,
        "cache": bench["cache_bytes"] / 1e6,
    }
    return sample, bench


def ask(options: argparse.Namespace, path: Path) -> dict[str, Any]:
    raw = ["--raw"] if options.raw else ["--think", "off"]
    return limpide(options, "ask", path, *raw, "--max-tokens", "4", QUESTION)


def limpide(options: argparse.Namespace, command: str, path: Path, *more: str) -> dict[str, Any]:
    line = [sys.executable, "-m", "limpide", command, "-m", str(path), "--threads", str(options.threads), "--json"]
    return run([*line, *more])


def theirs(options: argparse.Namespace, path: Path, seed: int, vocabulary: int, asked: int) -> Sample:
    task = {
        "path": str(path),
        "threads": options.threads,
        "vocabulary": vocabulary,
        "seed": seed,
        "prompt": options.prompt,
        "generation": options.generation,
        "start_only": 0,
    }
    started = time.time()
    first = peer(options, {**task, "start_only": asked})["first_token_at"] - started
    measured = peer(options, task)
    return {
        **{row: measured[row] for row in ("prompt", "generation", "load", "memory", "model_memory")},
        "first_token": first,
    }


def peer(options: argparse.Namespace, task: dict[str, Any]) -> dict[str, Any]:
    return run([options.peer_python, str(Path(__file__).resolve()), "--worker", json.dumps(task)])


def run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def other_seconds() -> float:
    """Processor seconds so far that went to anything but what this script started, the hypervisor's share included."""
    import psutil

    times = psutil.cpu_times()._asdict()
    busy = sum(times.get(kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq", "steal"))
    own = os.times()
    return float(busy) - own.user - own.system - own.children_user - own.children_system


def peer_version(python: str) -> str:
    code = "import importlib.metadata as m; print(m.version('xllamacpp'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def work(task: dict[str, Any]) -> None:
    """llama.cpp's side, in the Python that has it. Prints one JSON object."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what llama.cpp says is not the result
    xllamacpp: Any = import_module("xllamacpp")  # no dependency of ours
    draw = random.Random(task["seed"])

    def tokens(count: int) -> list[int]:
        return [draw.randrange(task["vocabulary"]) for _ in range(count)]

    parameters = xllamacpp.CommonParams()
    parameters.model.path = task["path"]
    parameters.n_ctx = max(2048, task["prompt"] + 16, task["generation"] + 16)
    parameters.n_parallel = 1
    parameters.n_batch = 512
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = task["threads"]
    parameters.warmup = not task["start_only"]
    program = resident_bytes()
    started = time.perf_counter()
    server = xllamacpp.Server(parameters)
    load = time.perf_counter() - started

    def complete(prompt: list[int], predict: int) -> dict[str, Any]:
        request = {"prompt": prompt, "n_predict": predict, "ignore_eos": True, "temperature": 0, "cache_prompt": False}
        answer = server.handle_completions(request)
        answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
        timings: dict[str, Any] = answer["timings"]
        if (timings["prompt_n"], timings["predicted_n"]) != (len(prompt), predict):
            raise SystemExit(f"asked for {len(prompt)} and {predict} tokens: {timings}")
        return timings

    result: dict[str, float]
    if task["start_only"]:
        complete(tokens(task["start_only"]), 1)
        result = {"first_token_at": time.time()}
    else:
        complete(tokens(task["prompt"]), 1)
        complete(tokens(1), task["generation"] + 1)
        prompt = complete(tokens(task["prompt"]), 1)
        # Its own figure divides by the time without the first token but counts that token.
        generation = complete(tokens(1), task["generation"] + 1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = {
            "prompt": 1000 * prompt["prompt_n"] / prompt["prompt_ms"],
            "generation": 1000 * task["generation"] / generation["predicted_ms"],
            "load": load,
            "memory": peak * (1 if sys.platform == "darwin" else 1024) / 1e6,
            "model_memory": (peak * (1 if sys.platform == "darwin" else 1024) - program) / 1e6,
        }
    out.write(json.dumps(result))
    out.flush()
    os._exit(0)  # its threads need no farewell


def resident_bytes() -> int:
    """Resident memory now. The highest so far would not do: a process inherits that of the one that started it."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def table(result: dict[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    lines = [
        f"{result['model']}, {result['file_bytes'] / 1e6:.0f} MB, {result['threads']} threads, medians of "
        f"{result['rounds']} rounds, {result['measured_at']}; {machine['processor']}, {machine['cores']} cores, "
        f"{', '.join(machine['isa'])}; {', '.join(f'{name} {version}' for name, version in versions.items())}",
        "",
        "| | limpide | llama.cpp | limpide / llama.cpp | better is |",
        "|---|---|---|---|---|",
    ]
    for row, (name, form, more) in ROWS.items():
        title = name.format(prompt=result["prompt_tokens"], generation=result["generation_tokens"])
        a, b = (form.format(result["medians"][side][row]) for side in ("limpide", "llama.cpp"))
        lines.append(f"| {title} | {a} | {b} | {result['ratios'][row]:.2f} | {'more' if more else 'less'} |")
    if result["others"] > QUIET:
        lines += ["", f"Not to be quoted: other processes took {result['others']:.2f} cores during a round."]
    return "\n".join(lines)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
