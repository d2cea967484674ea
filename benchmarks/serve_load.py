"""Many streams at once: `limpide serve` beside llama.cpp's server, with the same GGUF, client and run.

    python benchmarks/serve_load.py --peer-python PATH
    python benchmarks/serve_load.py --skip-peer --rounds 3 --json

PATH is a Python that has the `xllamacpp` wheel (`python -m venv peers && peers/bin/pip install xllamacpp`): this script
runs itself there and serves llama.cpp's HTTP server, with as many slots as there are streams, continuous batching, and
the same threads. Both servers run all the time and are asked in turns; the one that isn't asked sleeps. Needs a machine
that does nothing else.

load: so many chat streams at once, prompts of about 100 tokens that differ from their first word on, greedy, the same
number of tokens each. total tokens/s: all tokens written, over the time from the first request to the last byte. First
token: from the request to its first text. Between tokens: from one piece of text to the next within a stream.

shared prefix (here only, unless --peer-prefix): as many requests at once, each with a system prompt of about 1,000
tokens and a short question. distinct: no two have the same system prompt. together: all have the same one, with which
nobody has asked before. again: the same one once more, with other questions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from plain_http import BrokenAnswer, Timed, percentile, timed_stream

VOCABULARY = (
    "river stone window garden letter morning engine market winter bridge paper silver forest music doctor island "
    "kitchen story mountain color signal summer village picture machine ocean teacher number planet street animal "
    "history glass tower friend season library castle journey metal cotton harbor candle mirror singer valley"
)
WORDS = VOCABULARY.split()
Sample = dict[str, float]
ROWS = {  # name: (what it is called, whether more is better)
    "tokens_per_second": ("total tokens/s", True),
    "first_p50": ("first token p50, s", False),
    "first_p95": ("first token p95, s", False),
    "between_p50": ("between tokens p50, ms", False),
    "between_p95": ("between tokens p95, ms", False),
}
SHARING = ("distinct", "together", "again")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", metavar="PATH", help="a Python that has xllamacpp")
    parser.add_argument("--skip-peer", action="store_true", help="measure this side only")
    parser.add_argument("--model", default="smollm2-135m", help="as for `limpide serve`, if it is a GGUF")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=84, help="words of a prompt, ten of which are a system prompt")
    parser.add_argument("--system", type=int, default=980, help="words of a system prompt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["load", "prefix"])
    parser.add_argument("--peer-prefix", action="store_true", help="the shared prefix there, too (takes minutes)")
    parser.add_argument("--engine", action="store_true", help="also the engine without a server, in this process")
    parser.add_argument("--serve-option", action="append", default=[], metavar="OPTION", help="for `limpide serve`")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve_peer(json.loads(options.worker))
        return
    if not options.peer_python and not options.skip_peer:
        parser.error("--peer-python is needed, or --skip-peer")
    if min(options.rounds, options.streams, options.tokens, options.prompt - 10, options.system, options.threads) < 1:
        parser.error("numbers start at 1, the words of a prompt at 11")
    result = asyncio.run(compare(options))
    print(json.dumps(result) if options.json else table(result))


async def compare(options: argparse.Namespace) -> dict[str, Any]:
    from server_process import ServerProcess

    from limpide.hub import resolve

    path = resolve(options.model, offline=True).path
    peer = None if options.skip_peer else Peer(options, path)
    with tempfile.TemporaryDirectory(prefix="limpide-load-") as folder:
        more = ["--threads", str(options.threads), *options.serve_option]
        server = ServerProcess(Path(folder), str(path), *more)
        try:
            urls = {"limpide": server.url} | ({} if peer is None else {"llama.cpp": peer.url})
            result = await measure(options, urls, path)
            result["memory_mb"] = {"limpide": server.look()["rss_mb"]}
            if peer is not None:
                result["memory_mb"]["llama.cpp"] = peer.resident()
        finally:
            server.terminate()
            if peer is not None:
                peer.kill()
    return {
        "model": path.name,
        "streams": options.streams,
        "tokens": options.tokens,
        "threads": options.threads,
        "rounds": options.rounds,
        "measured_at": time.strftime("%Y-%m-%d"),
        **result,
    }


async def measure(options: argparse.Namespace, urls: dict[str, str], path: Path) -> dict[str, Any]:
    samples: dict[str, list[Sample]] = {side: [] for side in urls}
    engine = Engine(path, options) if options.engine and options.only != "prefix" else None
    alone: list[float] = []
    sharing: dict[str, dict[str, list[Sample]]] = {}
    for side, url in urls.items():  # kernels may be compiled now
        await burst(url, [chat("Count.", "To ten.", options.tokens)] * 2)
        tell(f"{side} answers")
    prompt_tokens = 0
    for number in range(options.rounds):
        sides = list(urls)
        for side in sides if number % 2 == 0 else sides[::-1]:
            if options.only != "prefix":
                asked = prompts(options, number)
                sample, answers = await load(urls[side], asked, options.tokens)
                prompt_tokens = answers[0].prompt_tokens
                samples[side].append(sample)
                tell(f"round {number + 1}, {side}: " + ", ".join(f"{row} {value:.4g}" for row, value in sample.items()))
            if options.only != "load" and (side == "limpide" or options.peer_prefix):
                found = await shared_prefix(urls[side], options, number)
                for kind, sample in found.items():
                    sharing.setdefault(side, {}).setdefault(kind, []).append(sample)
                    p50, p95 = sample["first_p50"], sample["first_p95"]
                    tell(f"round {number + 1}, {side}, {kind}: p50 {p50:.3f}, p95 {p95:.3f} s")
        if engine is not None:
            alone.append(engine.tokens_per_second(prompts(options, number)))
            tell(f"round {number + 1}, the engine alone: {alone[-1]:.4g} tokens/s")
    result: dict[str, Any] = {"prompt_tokens": prompt_tokens, "load": {}, "sharing": {}}
    if options.only != "prefix":
        result["load"] = {side: medians(each) for side, each in samples.items()}
        if len(urls) == 2:
            ours, theirs = result["load"]["limpide"], result["load"]["llama.cpp"]
            result["ratios"] = {row: ours[row] / theirs[row] for row in ROWS}
        if engine is not None:
            engine.close()
            pairs = zip(samples["limpide"], alone, strict=True)
            result["engine_tokens_per_second"] = statistics.median(alone)
            result["server_share"] = 1 - statistics.median(each["tokens_per_second"] / rate for each, rate in pairs)
    for side, kinds in sharing.items():
        result["sharing"][side] = {kind: medians(each) for kind, each in kinds.items()}
    return {**result, "samples": samples, "sharing_samples": sharing}


async def load(url: str, asked: list[dict[str, Any]], tokens: int) -> tuple[Sample, list[Timed]]:
    """All at once. Raises BrokenAnswer for one that isn't what was asked for."""
    started = time.perf_counter()
    answers = await burst(url, asked)
    took = time.perf_counter() - started
    for answer in answers:
        if (answer.status, answer.tokens) != (200, tokens):
            raise BrokenAnswer(f"status {answer.status}, {answer.tokens} tokens in place of {tokens}")
    gaps = [1000 * gap for answer in answers for gap in answer.gaps]
    first = [answer.first for answer in answers]
    return {
        "tokens_per_second": sum(answer.tokens for answer in answers) / took,
        "first_p50": percentile(first, 0.5),
        "first_p95": percentile(first, 0.95),
        "between_p50": percentile(gaps, 0.5),
        "between_p95": percentile(gaps, 0.95),
        "cached": float(sum(answer.cached_tokens for answer in answers)),
    }, answers


async def shared_prefix(url: str, options: argparse.Namespace, number: int) -> dict[str, Sample]:
    """Time to first token of requests with long system prompts, by how much they share."""
    seed = random.Random(f"prefix {number}")
    one = words(seed, options.system)
    asked = {
        "distinct": [chat(words(seed, options.system), question(seed), 8) for _ in range(options.streams)],
        "together": [chat(one, question(seed), 8) for _ in range(options.streams)],
        "again": [chat(one, question(seed), 8) for _ in range(options.streams)],
    }
    return {kind: (await load(url, asked[kind], 8))[0] for kind in SHARING}


async def burst(url: str, asked: list[dict[str, Any]]) -> list[Timed]:
    return await asyncio.gather(*(timed_stream(url, "/v1/chat/completions", body) for body in asked))


def prompts(options: argparse.Namespace, number: int) -> list[dict[str, Any]]:
    seed = random.Random(f"load {number}")
    texts = [(words(seed, 10), words(seed, options.prompt - 10)) for _ in range(options.streams)]
    return [chat(system, user, options.tokens) for system, user in texts]


def chat(system: str, user: str, tokens: int) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return {"messages": messages, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}


def words(seed: random.Random, count: int) -> str:
    return " ".join(seed.choice(WORDS) for _ in range(count))


def question(seed: random.Random) -> str:
    return f"What about {words(seed, 6)}?"


def medians(samples: list[Sample]) -> Sample:
    return {row: statistics.median(sample[row] for sample in samples) for row in samples[0]}


class Engine:
    """What computes behind our server, without one: the same requests, submitted and computed in this process."""

    def __init__(self, path: Path, options: argparse.Namespace) -> None:
        import torch

        from limpide.backends.local import LocalBackend

        torch.set_num_threads(options.threads)
        self._backend = LocalBackend.open(path)
        self.tokens_per_second([chat("Count.", "To ten.", 4)] * 2)

    def tokens_per_second(self, asked: list[dict[str, Any]]) -> float:
        from limpide.core.messages import Message
        from limpide.core.ports import ChatRequest
        from limpide.core.sampling import Sampling

        streams = []
        for body in asked:
            sampling = Sampling(temperature=0, max_tokens=body["max_tokens"], ignore_eos=True)
            messages = tuple(Message(**message) for message in body["messages"])
            streams.append(self._backend.stream(ChatRequest(messages, sampling)))
        started = time.perf_counter()
        while self._backend.engine.step():
            pass
        took = time.perf_counter() - started
        for stream in streams:
            stream.close()
        return sum(body["max_tokens"] for body in asked) / took

    def close(self) -> None:
        self._backend.close()


class Peer:
    """llama.cpp's server, in the Python that has it."""

    def __init__(self, options: argparse.Namespace, path: Path) -> None:
        room = max(options.prompt + options.tokens, options.system if options.peer_prefix else 0) * 2 + 256
        task = {"path": str(path), "threads": options.threads, "streams": options.streams, "context": room}
        command = [options.peer_python, str(Path(__file__).resolve()), "--worker", json.dumps(task)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise SystemExit(f"llama.cpp's server did not start:\n{self._process.stderr.read()[-2000:]}")

    def resident(self) -> float:
        """Its memory in MB."""
        import psutil

        return float(psutil.Process(self._process.pid).memory_info().rss / 1e6)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def serve_peer(task: dict[str, Any]) -> None:
    """llama.cpp's side: prints its address and serves until it is killed, or whoever started it is gone."""
    out = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # what llama.cpp says is not the result
    xllamacpp: Any = import_module("xllamacpp")  # no dependency of ours
    parameters = xllamacpp.CommonParams()
    parameters.model.path = task["path"]
    parameters.n_parallel = task["streams"]
    parameters.n_ctx = task["streams"] * task["context"]
    parameters.cont_batching = True
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = task["threads"]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    address = server.listening_address
    print(address if address.startswith("http") else f"http://{address}", file=out, flush=True)
    os.dup2(quiet, 2)
    sys.stdin.read()
    os._exit(0)


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{result['model']}, {result['streams']} streams of {result['tokens']} tokens after prompts of about "
        f"{result['prompt_tokens']}, {result['threads']} threads, medians of {result['rounds']} rounds, "
        f"{result['measured_at']}",
        "",
    ]
    sides, ratios = result["load"], result.get("ratios")
    if sides:
        lines += ["| | " + " | ".join(sides) + (" | limpide / llama.cpp | better is |" if ratios else " | better is |")]
        lines += ["|" + "---|" * (len(sides) + (3 if ratios else 2))]
        for row, (title, more) in ROWS.items():
            cells = [f"{each[row]:.3g}" for each in sides.values()] + ([f"{ratios[row]:.2f}"] if ratios else [])
            lines.append(f"| {title} | {' | '.join(cells)} | {'more' if more else 'less'} |")
        lines.append("")
    if "server_share" in result:
        rate, share = result["engine_tokens_per_second"], 100 * result["server_share"]
        lines += [f"The engine without a server: {rate:.3g} tokens/s; the server costs {share:.1f} % of that.", ""]
    for side, kinds in result["sharing"].items():
        lines += [f"{side}, long system prompts, first token p50 and p95 in seconds:", ""]
        for kind in SHARING:
            times = [kinds[kind][row] for row in ("first_p50", "first_p95")]
            ratio = [kinds["distinct"][row] / kinds[kind][row] for row in ("first_p50", "first_p95")]
            lines.append(f"- {kind}: {times[0]:.3f}, {times[1]:.3f} ({ratio[0]:.1f} and {ratio[1]:.1f} times sooner)")
        lines.append("")
    lines.append("memory, MB: " + ", ".join(f"{side} {value:.0f}" for side, value in result["memory_mb"].items()))
    return "\n".join(lines)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
