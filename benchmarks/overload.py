"""`limpide serve` with ten times the requests that it can answer: who is let in, who is sent away, how long it takes.

    python benchmarks/overload.py
    python benchmarks/overload.py --times 20 --seconds 30 --serve-option=--max-wait=10 --json

First one request at a time (alone), then three batches' worth at once (capacity, in requests per second), then requests
that arrive at so many times that rate, whatever becomes of those before. Every request must be answered: 200 and a
whole stream, or 429 or 503 with Retry-After. Anything else is a fault; with faults the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from plain_http import BrokenAnswer, Timed, percentile, timed_stream
from server_process import ServerProcess

AWAY = (429, 503)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="as for `limpide serve`")
    parser.add_argument("--times", type=float, default=10, help="of what the server can answer")
    parser.add_argument("--seconds", type=float, default=15, help="how long requests arrive")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--max-batch", type=int, default=32)
    parser.add_argument("--hang", type=float, default=180, help="seconds after which a request counts as unanswered")
    parser.add_argument("--serve-option", action="append", default=[], metavar="OPTION", help="for `limpide serve`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="limpide-overload-") as folder:
        more = ["--max-batch", str(options.max_batch), *options.serve_option]
        server = ServerProcess(Path(folder), options.model, *more)
        try:
            result = asyncio.run(measure(options, server))
        except BaseException:
            server.kill()
            raise
        code, left = server.terminate()
        result["exit_code"] = code
        if code != 0 or left:
            result["faults"].append(f"the server ended with {code} and left {left}")
        result["faults"] += [line for line in server.said().splitlines() if "Traceback" in line]
    print(json.dumps(result) if options.json else table(result))
    return 1 if result["faults"] else 0


async def measure(options: argparse.Namespace, server: ServerProcess) -> dict[str, Any]:
    faults: list[str] = []
    numbers = iter(range(1 << 30))

    async def one() -> Timed | None:
        body = chat(next(numbers), options.tokens)
        try:
            answer = await asyncio.wait_for(timed_stream(server.url, "/v1/chat/completions", body), options.hang)
        except TimeoutError:
            faults.append(f"no answer within {options.hang:g} s")
        except (BrokenAnswer, OSError) as error:
            faults.append(repr(error))
        else:
            if answer.status == 200 and answer.tokens == options.tokens:
                return answer
            if answer.status in AWAY and (answer.retry_after or 0) >= 1:
                return answer
            faults.append(f"status {answer.status}, {answer.tokens} tokens, Retry-After {answer.retry_after}")
        return None

    await one()  # to warm up
    alone = [answer for _ in range(5) if (answer := await one())]
    started = time.perf_counter()
    full = [a for a in await asyncio.gather(*(one() for _ in range(3 * options.max_batch))) if a and a.status == 200]
    capacity = len(full) / (time.perf_counter() - started)
    tell(f"alone {median(a.end for a in alone):.2f} s; capacity {capacity:.1f} requests/s")
    started, sent = time.perf_counter(), []
    while (passed := time.perf_counter() - started) < options.seconds:
        while len(sent) < passed * capacity * options.times:
            sent.append(asyncio.create_task(one()))
        await asyncio.sleep(0.01)
    tell(f"{len(sent)} requests were sent")
    pending: set[asyncio.Task[Timed | None]] = set(sent)
    while pending:
        _, pending = await asyncio.wait(pending, timeout=5)
        if pending:
            tell(f"{len(pending)} are still being answered")
    answers = [answer for task in sent if (answer := task.result())]
    accepted = [answer for answer in answers if answer.status == 200]
    away = [answer for answer in answers if answer.status != 200]
    after = [answer for _ in range(3) if (answer := await one())]
    if any(answer.status != 200 for answer in after):
        faults.append("after the overload a single request is still sent away")
    return {
        "tokens": options.tokens,
        "capacity_per_second": capacity,
        "sent": len(sent),
        "sent_per_second": len(sent) / options.seconds,
        "statuses": dict(Counter(answer.status for answer in answers)),
        "alone": times(alone),
        "full": times(full),
        "accepted": times(accepted),
        "after": times(after),
        "sent_away": {
            "p95_s": percentile([answer.end for answer in away], 0.95),
            "retry_after": sorted({answer.retry_after for answer in away if answer.retry_after}),
        },
        "memory_mb": server.look()["rss_mb"],
        "faults": faults,
    }


def times(answers: list[Timed]) -> dict[str, float]:
    first, end = [a.first for a in answers if a.arrivals], [a.end for a in answers if a.arrivals]
    return {
        "first_p50": percentile(first, 0.5),
        "first_p95": percentile(first, 0.95),
        "end_p50": percentile(end, 0.5),
        "end_p95": percentile(end, 0.95),
        "end_worst": max(end, default=0.0),
    }


def chat(number: int, tokens: int) -> dict[str, Any]:
    draw = random.Random(number)
    numbers = " ".join(str(draw.randrange(1000)) for _ in range(10))
    message = {"role": "user", "content": f"{number}: add {numbers}."}
    return {"messages": [message], "max_tokens": tokens, "temperature": 0, "ignore_eos": True}


def table(result: dict[str, Any]) -> str:
    statuses = ", ".join(f"{count} times {status}" for status, count in sorted(result["statuses"].items()))
    away = result["sent_away"]
    retries = f"{away['retry_after'][0]:g} to {away['retry_after'][-1]:g}" if away["retry_after"] else "none"
    lines = [
        f"capacity {result['capacity_per_second']:.1f} requests/s of {result['tokens']} tokens; {result['sent']} sent, "
        f"{result['sent_per_second']:.0f}/s: {statuses}",
        "",
        "| seconds | first token p50 | p95 | whole answer p50 | p95 | longest |",
        "|---|---|---|---|---|---|",
    ]
    for kind, title in (
        ("alone", "alone"),
        ("full", "3 batches at once"),
        ("accepted", "accepted"),
        ("after", "after"),
    ):
        lines.append(f"| {title} | {' | '.join(f'{value:.2f}' for value in result[kind].values())} |")
    lines += [
        "",
        f"Sent away within {away['p95_s']:.2f} s (p95); Retry-After {retries}. Memory {result['memory_mb']:.0f} MB.",
        *(f"FAULT: {fault}" for fault in result["faults"][:20]),
        f"{len(result['faults'])} faults",
    ]
    return "\n".join(lines)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
