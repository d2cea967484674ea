"""What answering a task's items together saves: the runner's way beside a loop that asks one after the other.

    python benchmarks/evaluation.py [MODEL] [--task instructions] [--items 32] [--max-tokens 100] [--rounds 2]

Both compute the same requests with the same seeds on one loaded model, in turns; the prefix cache is as it comes.
Answers are compared too: at temperature 0 they are the same but where batches round differently.
"""

from __future__ import annotations

import argparse
import statistics
import time

from limpide.core.answers import collect
from limpide.core.ports import Answer
from limpide.core.sampling import Sampling
from limpide.evals.run import RunOptions
from limpide.evals.run.asking import request_of
from limpide.evals.task import TaskOptions
from limpide.evals.tasks import find_task
from limpide.model import Model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--task", default="instructions")
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    task = find_task(args.task)
    options = RunOptions(TaskOptions(limit=args.items), sampling=Sampling(max_tokens=args.max_tokens))
    requests = [request_of(item, 0, task, options) for item in task.items(options.task)]
    times: dict[str, list[float]] = {"one by one": [], "together": []}
    with Model(args.model) as model:
        backend = model.backend
        backend.fingerprint()
        collect(backend.stream(requests[0]))
        for _ in range(args.rounds):
            begin = time.perf_counter()
            alone = [collect(backend.stream(request))[0] for request in requests]
            times["one by one"].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            together = dict(backend.answer_all(requests))
            times["together"].append(time.perf_counter() - begin)
    answers = [answer for _, answer in sorted(together.items()) if isinstance(answer, Answer)]
    same = sum(first.text == second.text for first, second in zip(alone, answers, strict=True))
    tokens = sum(answer.finished.usage.generated_tokens for answer in answers)
    print(f"{args.model}, {args.task}: {args.items} items, {tokens} tokens, {same} answers the same in both")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{name:<11} {middle:6.1f} s  {args.items / middle:5.2f} items/s  {tokens / middle:6.0f} tokens/s")
    print(f"{statistics.median(times['one by one']) / statistics.median(times['together']):.1f}x")


if __name__ == "__main__":
    main()
