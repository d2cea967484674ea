"""Limpide and lm-eval's `hf` backend side by side: the same GGUF, the same questions of four choices, rounds by turns.

    python benchmarks/scoring.py --peer-python PATH
    python benchmarks/scoring.py --peer-python PATH --shots 0 --questions 20 --batch-sizes 16 --dtypes float32 --json

PATH is a Python that has `lm-eval[hf]` and `gguf` (`python -m venv peer && peer/bin/pip install "lm-eval[hf]" gguf`):
this script runs itself there as a worker; transformers dequantizes the GGUF when it loads it. Both workers stay alive
and are asked in turn, with other questions in every round, so nothing is known from before. What the peer is best at
is tried first, on few questions: each of its batch sizes and dtypes. Medians over the rounds, and of each round's
ratio; needs a machine that does nothing else. Times are from the requests' texts to the last score, tokenizing
included, loading not. The last columns say how often both find the same choice most likely, and how far their
log-likelihoods of a choice are apart: the peer computes with dequantized weights, `fast` numerics round activations to
bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

THINGS = ("river", "mountain", "teacher", "village", "market", "bridge", "garden", "window", "machine", "letter")
KINDS = ("large", "small", "quiet", "bright", "ancient", "modern", "famous", "hidden", "broken", "wooden", "golden")
DEEDS = ("found", "built", "painted", "visited", "described", "repaired", "discovered", "watched", "measured")
CONTEXT = 2048

Question = tuple[str, list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", metavar="PATH", help="a Python that has lm-eval, transformers and gguf")
    parser.add_argument("--model", default="smollm2-135m", help="as for `limpide ask`, if it is a GGUF")
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 5], help="solved questions in front of each one")
    parser.add_argument("--questions", type=int, default=20, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--numerics", choices=["fast", "exact"], default="fast")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--trial", type=int, default=4, help="questions on which those are tried")
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        task = json.loads(options.worker)
        serve(ours(task) if task["side"] == "limpide" else theirs(task))
        return
    if not options.peer_python:
        parser.error("--peer-python is needed")
    if min(options.questions, options.rounds, options.threads, options.trial, *options.batch_sizes) < 1:
        parser.error("numbers start at 1")
    compare(options)


def compare(options: argparse.Namespace) -> None:
    from limpide.formats import open_checkpoint
    from limpide.hub import resolve

    found = resolve(options.model, offline=options.offline)
    with open_checkpoint(found.path) as checkpoint:
        if checkpoint.kind != "gguf":
            raise SystemExit(f"{found.path} is no GGUF")
        path = str(checkpoint.path)
    task = {"path": path, "threads": options.threads, "numerics": options.numerics}
    us = Worker(sys.executable, {**task, "side": "limpide"})
    peers = {
        dtype: Worker(options.peer_python, {**task, "side": "lm-eval", "dtype": dtype}) for dtype in options.dtypes
    }
    results = [run(options, shots, us, peers) for shots in options.shots]
    facts = us.ask(facts=True)
    facts["peer_versions"] = next(iter(peers.values())).ask(facts=True)["versions"]
    for worker in (us, *peers.values()):
        worker.close()
    result = {"model": found.name, **{key: vars(options)[key] for key in ("threads", "numerics", "rounds")}, **facts}
    result["shots"] = results
    print(json.dumps(result) if options.json else table(result))


def run(options: argparse.Namespace, shots: int, us: Worker, peers: dict[str, Worker]) -> dict[str, Any]:
    """All rounds with so many solved questions in front."""
    trial = make(-1, options.trial, shots)
    us.ask(questions=trial)
    trials: dict[str, float] = {}
    for dtype, peer in peers.items():
        peer.ask(questions=trial[:1], batch=1)  # warms up
        for batch in options.batch_sizes:
            trials[f"{dtype} {batch}"] = peer.ask(questions=trial, batch=batch)["seconds"] / len(trial)
            tell(f"{shots} shots, {dtype}, batches of {batch}: {trials[f'{dtype} {batch}']:.3f} s a question")
    dtype, batch = min(trials, key=trials.__getitem__).split()
    samples = []
    for number in range(options.rounds):
        questions = make(number, options.questions, shots)
        sides = [
            lambda q=questions: us.ask(questions=q),
            lambda q=questions: peers[dtype].ask(questions=q, batch=int(batch)),
        ]
        replies = [side() for side in sides] if number % 2 == 0 else [side() for side in sides[::-1]][::-1]
        samples.append(replies)
        tell(f"  round {number + 1}: limpide {replies[0]['seconds']:.2f} s, lm-eval {replies[1]['seconds']:.2f} s")
    ours_, theirs_ = ([sample[side]["seconds"] for sample in samples] for side in (0, 1))
    pairs = [pair for sample in samples for pair in zip(sample[0]["scores"], sample[1]["scores"], strict=True)]
    return {
        "shots": shots,
        "questions": options.questions,
        "batch_size": int(batch),
        "dtype": dtype,
        "trials": trials,
        "limpide_seconds": ours_,
        "lm_eval_seconds": theirs_,
        "ratio": statistics.median(b / a for a, b in zip(ours_, theirs_, strict=True)),
        "work": samples[0][0]["work"],
        "same_choice": sum(best(a) == best(b) for a, b in pairs) / len(pairs),
        "largest_difference": max(abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True)),
        "median_difference": statistics.median(abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True)),
    }


def best(scores: list[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


def make(seed: int, count: int, shots: int) -> list[Question]:
    """Questions about little stories, each after the same solved ones."""
    draw = random.Random(seed)

    def phrase() -> str:
        return f"the {draw.choice(KINDS)} {draw.choice(THINGS)} near the {draw.choice(KINDS)} {draw.choice(THINGS)}"

    def question(year: int) -> tuple[str, list[str], str]:
        choices, who = [phrase() for _ in range(4)], draw.choice(THINGS)
        right = choices[0]
        draw.shuffle(choices)
        story = f"In the year {year}, a {who} {draw.choice(DEEDS)} {right}. Long before, somebody saw {phrase()}."
        return f"{story}\nQuestion: What did the {who} see in the year {year}?\nAnswer:", choices, right

    solved = "".join(f"{text} {right}\n\n" for text, _, right in map(question, range(1000, 1000 + shots)))
    asked = [question(year) for year in range(1200, 1200 + count)]
    return [(solved + text, [f" {choice}" for choice in choices]) for text, choices, _ in asked]


class Worker:
    """This script in another process, asked line by line."""

    def __init__(self, python: str, task: dict[str, Any]) -> None:
        threads = {name: str(task["threads"]) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        self._process = subprocess.Popen(
            [python, str(Path(__file__).resolve()), "--worker", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, "HF_HUB_OFFLINE": "1"},
        )

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.communicate()


def serve(answer: Any) -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # progress bars are not the result
    for line in sys.stdin:
        out.write(json.dumps(answer(**json.loads(line))) + "\n")
        out.flush()


def ours(task: dict[str, Any]) -> Any:
    from limpide.backends.local import LocalBackend
    from limpide.core.ports import ScoreRequest
    from limpide.hub.machine import measure_machine

    torch: Any = import_module("torch")
    torch.set_num_threads(task["threads"])
    backend = LocalBackend.open(Path(task["path"]), numerics=task["numerics"], context=CONTEXT)

    def answer(questions: list[Question] | None = None, facts: bool = False) -> dict[str, Any]:
        if facts or questions is None:
            measured_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            return {"machine": asdict(measure_machine()), "versions": versions("torch"), "measured_at": measured_at}
        requests = [ScoreRequest(context, choice) for context, choices in questions for choice in choices]
        started = time.perf_counter()
        run = backend.score_all(requests)
        scores = dict(run)
        seconds = time.perf_counter() - started
        flat = iter([scores[index].total for index in range(len(requests))])
        grouped = [[next(flat) for _ in choices] for _, choices in questions]
        return {"seconds": seconds, "scores": grouped, "work": run.work.as_dict()}

    return answer


def theirs(task: dict[str, Any]) -> Any:
    torch: Any = import_module("torch")
    torch.set_num_threads(task["threads"])
    hf: Any = import_module("lm_eval.models.huggingface")  # no dependency of ours
    instance: Any = import_module("lm_eval.api.instance")
    path = Path(task["path"])
    model = hf.HFLM(str(path.parent), gguf_file=path.name, device="cpu", dtype=task["dtype"], max_length=CONTEXT)

    def answer(questions: list[Question] | None = None, batch: int = 1, facts: bool = False) -> dict[str, Any]:
        if facts or questions is None:
            return {"versions": versions("lm-eval", "torch", "transformers")}
        model.batch_size_per_gpu = batch
        pairs = [(context, choice) for context, choices in questions for choice in choices]
        requests = [instance.Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
        started = time.perf_counter()
        scores = model.loglikelihood(requests, disable_tqdm=True)
        seconds = time.perf_counter() - started
        flat = iter([float(total) for total, _ in scores])
        return {"seconds": seconds, "scores": [[next(flat) for _ in choices] for _, choices in questions]}

    return answer


def versions(*packages: str) -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{result['model']}, {result['numerics']} numerics, {result['threads']} threads, medians of {result['rounds']} "
        f"rounds, {result['measured_at']}; {result['machine']['processor']}, {result['machine']['cores']} cores; "
        f"peer: {', '.join(f'{name} {number}' for name, number in result['peer_versions'].items())}",
        "",
        "| shots | questions a second, limpide | lm-eval (dtype, batch) | limpide / lm-eval | tokens, each request by "
        "itself | unique | rows of logits | same choice | difference, median and largest |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in result["shots"]:
        ours_, theirs_ = (
            each["questions"] / statistics.median(each[f"{side}_seconds"]) for side in ("limpide", "lm_eval")
        )
        work = each["work"]
        lines.append(
            f"| {each['shots']} | {ours_:.2f} | {theirs_:.3f} ({each['dtype']}, {each['batch_size']}) "
            f"| {each['ratio']:.1f} | {work['tokens']} | {work['unique_tokens']} | {work['rows']} "
            f"| {each['same_choice']:.0%} | {each['median_difference']:.3f}, {each['largest_difference']:.3f} |"
        )
    return "\n".join(lines)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
