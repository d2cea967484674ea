"""A server that is used hard for minutes: many clients, every endpoint, disconnects, cancels, nonsense.

    python benchmarks/soak.py                           # `limpide serve` as a process, 16 clients, 10 minutes
    python benchmarks/soak.py --minutes 2 --seed 7 --json
    python benchmarks/soak.py --minutes 2 --in-process  # the same server in this process, to look inside at the end

Checked: every request is answered, with the status that it must have; every stream is well formed to its end; greedy
answers are the same every time; batches are computed in the end; memory, threads and descriptors stay flat once three
tenths of the time are over; SIGTERM ends the server with exit code 0, and nothing is left of it. In process: when all
is over the engine's books are right, no block and no request is held. With faults the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from plain_http import BrokenAnswer, ask
from server_process import ServerProcess
from soak_clients import Client, Fault, Shared

CONTEXT = 2048
MOST_FAULTS = 200
STEADY = {"rss_mb": 4.0, "children_rss_mb": 4.0, "threads": 1.0, "descriptors": 3.0}
"""By how much each may grow per minute after warm-up."""


class Server(Protocol):
    """What the soak needs of a server."""

    url: str

    def look(self) -> dict[str, float]: ...
    def faults_inside(self) -> list[str]: ...
    def terminate(self) -> tuple[int | None, list[str]]: ...
    def kill(self) -> None: ...
    def said(self) -> str: ...


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="as for `limpide serve`; one that can't think")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hang", type=float, default=120, help="seconds after which a request counts as unanswered")
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--serve-option", action="append", default=[], metavar="OPTION", help="for `limpide serve`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="limpide-soak-") as folder:
        server: Server
        if options.in_process:
            from server_inside import ServerInside

            server = ServerInside(Path(folder), options.model, context=CONTEXT)
        else:
            server = ServerProcess(Path(folder), options.model, "--context", str(CONTEXT), *options.serve_option)
        try:
            result = asyncio.run(soak(options, server))
        except BaseException:
            server.kill()
            print(server.said()[-5000:], file=sys.stderr)
            raise
        code, left = server.terminate()
        result["exit_code"] = code
        if code != 0 or left:
            result["faults"][f"the server ended with {code} and left {left}"] = 1
        said = server.said()
        for sign in ("Traceback", "never awaited", "was never retrieved", "ResourceWarning"):
            if sign in said:
                at = said.index(sign)
                result["faults"][f"the log has: {said[max(0, at - 300) : at + 1500]}"] = said.count(sign)
    print(json.dumps(result) if options.json else summary(result))
    return 1 if result["faults"] else 0


async def soak(options: argparse.Namespace, server: Server) -> dict[str, Any]:
    _, document = await ask(server.url, "GET", "/openapi.json")
    shared = Shared(server.url, CONTEXT, frozenset(document["paths"]))
    faults: Counter[str] = Counter()
    looks: list[dict[str, float]] = []
    started = time.monotonic()
    end = started + 60 * options.minutes

    async def client(number: int) -> None:
        one = Client(shared, f"{options.seed} {number}")
        while time.monotonic() < end and faults.total() < MOST_FAULTS:
            try:
                await asyncio.wait_for(one.act(), options.hang)
            except Fault as fault:
                faults[str(fault)[:600]] += 1
            except TimeoutError:
                faults["a request was not answered in time"] += 1
            except (BrokenAnswer, OSError, ValueError, KeyError, TypeError) as error:
                faults[f"{error!r}"[:600]] += 1

    async def watch() -> None:
        while True:
            looks.append({"minute": (time.monotonic() - started) / 60, **server.look()})
            if len(looks) % 6 == 1:
                look = looks[-1]
                tell(
                    f"{look['minute']:4.1f} min: {shared.counts.total()} requests, {faults.total()} faults, "
                    f"{look['rss_mb']:.0f} MB, {look['threads']:.0f} threads, {look['descriptors']:.0f} descriptors"
                )
            await asyncio.sleep(5)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(client(number) for number in range(options.clients)))
    took = time.monotonic() - started
    tell("the clients are gone; batches are left to be done")
    faults.update(await finish_batches(shared, options.hang))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await asyncio.sleep(1)
    faults.update(server.faults_inside())
    growth = {name: slope(looks, name, options.minutes * 0.3) for name in STEADY}
    if options.minutes >= 2:
        faults.update(
            f"{name} grows by {growth[name]:.1f} per minute" for name, most in STEADY.items() if growth[name] > most
        )
    return {
        "seed": options.seed,
        "minutes": options.minutes,
        "clients": options.clients,
        "requests": shared.counts.total(),
        "requests_per_second": shared.counts.total() / took,
        "actions": dict(shared.counts),
        "statuses": {str(status): count for status, count in sorted(shared.statuses.items())},
        "batches": len(shared.batches),
        "growth_per_minute": growth,
        "at_the_end": server.look(),
        "looks": looks,
        "faults": dict(faults),
    }


async def finish_batches(shared: Shared, seconds: float) -> list[str]:
    """Wait until all batches are done. What is wrong with them."""
    faults = []
    deadline = time.monotonic() + seconds + 2 * len(shared.batches)
    for batch_id, (lines, cancelled) in shared.batches.items():
        while True:
            _, batch = await ask(shared.url, "GET", f"/v1/batches/{batch_id}")
            if batch["status"] not in ("validating", "in_progress", "finalizing", "cancelling"):
                break
            if time.monotonic() > deadline:
                return [*faults, f"batches are not done: {batch}"]
            await asyncio.sleep(0.2)
        counts = batch["request_counts"]
        if batch["status"] == "cancelled" and cancelled:
            continue
        if batch["status"] != "completed" or counts != {"total": lines, "completed": lines, "failed": 0}:
            faults.append(f"a batch of {lines} lines ended as {batch}")
            continue
        _, content = await ask(shared.url, "GET", f"/v1/files/{batch['output_file_id']}/content")
        done = [json.loads(line)["custom_id"] for line in content.decode().splitlines()]
        if sorted(done) != sorted(str(number) for number in range(lines)):
            faults.append(f"a batch of {lines} lines has results for {done}")
    return faults


def slope(looks: list[dict[str, float]], name: str, after: float) -> float:
    """Growth per minute by least squares, from that minute on."""
    points = [(look["minute"], look[name]) for look in looks if look["minute"] >= after]
    if len(points) < 3:
        return 0.0
    middle = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    spread = sum((x - middle[0]) ** 2 for x, _ in points)
    return sum((x - middle[0]) * (y - middle[1]) for x, y in points) / spread


def summary(result: dict[str, Any]) -> str:
    growth, end = result["growth_per_minute"], result["at_the_end"]
    lines = [
        f"{result['requests']} requests of {result['clients']} clients in {result['minutes']:g} minutes "
        f"({result['requests_per_second']:.1f}/s), seed {result['seed']}",
        "statuses: " + ", ".join(f"{count} times {status}" for status, count in result["statuses"].items()),
        "requests: " + ", ".join(f"{count} {name}" for name, count in sorted(result["actions"].items())),
        f"memory at the end {end['rss_mb']:.0f} MB, grows by {growth['rss_mb']:.2f} MB/min after warm-up (children "
        f"{end['children_rss_mb']:.0f} MB, {growth['children_rss_mb']:.2f} MB/min)",
        f"threads {end['threads']:.0f} ({growth['threads']:+.2f}/min), descriptors {end['descriptors']:.0f} "
        f"({growth['descriptors']:+.2f}/min)",
        f"exit code {result['exit_code']}",
        *(f"FAULT ({count} times): {fault}" for fault, count in result["faults"].items()),
        f"{sum(result['faults'].values())} faults",
    ]
    return "\n".join(lines)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
