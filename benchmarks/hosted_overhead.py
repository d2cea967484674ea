"""What it costs to answer through an event loop, beside the engine's own time.

    python benchmarks/hosted_overhead.py [MODEL] [--streams 16] [--tokens 64] [--rounds 11]

The same requests are answered twice in each round: by calling `engine.step` until all is written, and by a HostedModel
whose answers are read by as many coroutines. Prints seconds of both, of wall clock and of processor; the medians of
the rounds' ratios; and the event loop's own share of processor time, which is the steadiest of the three.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from statistics import median

from limpide import hub
from limpide.backends.hosted import HostedModel
from limpide.backends.local import LocalBackend
from limpide.core.sampling import Sampling

Seconds = tuple[float, float]
"""Of wall clock, of processor."""


def timed(work: Callable[[], None]) -> Seconds:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def alone(backend: LocalBackend, prompts: list[list[int]], sampling: Sampling) -> None:
    """The engine, and nobody who reads."""
    streams = [backend.complete(prompt, sampling) for prompt in prompts]
    while backend.engine.step():
        pass
    for stream in streams:
        stream.close()


async def hosted(model: HostedModel, prompts: list[list[int]], sampling: Sampling) -> None:
    async def read(prompt: list[int]) -> None:
        async for _ in await model.complete(prompt, sampling):
            pass

    await asyncio.gather(*map(read, prompts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=11)
    asked = parser.parse_args()
    path = hub.resolve(asked.model).path
    sampling = Sampling(max_tokens=asked.tokens, ignore_eos=True)
    engine, server = LocalBackend.open(path), HostedModel(LocalBackend.open(path))
    walls, processors, loops = [], [], []
    for number in range(-1, asked.rounds):
        # New prompts each time, so that neither finds the other's, or its own, in the cache.
        prompts = [[100 + number, 200 + stream, *range(1000, 1014)] for stream in range(asked.streams)]
        ours = timed(lambda prompts=prompts: alone(engine, prompts, sampling))
        loop = time.thread_time()
        theirs = timed(lambda prompts=prompts: asyncio.run(hosted(server, prompts, sampling)))
        loop = time.thread_time() - loop
        if number < 0:
            continue  # to warm up
        walls.append(theirs[0] / ours[0])
        processors.append(theirs[1] / ours[1])
        loops.append(loop / theirs[0])
        print(f"engine {ours[0]:.2f} s ({ours[1]:.2f})   hosted {theirs[0]:.2f} s ({theirs[1]:.2f})")
    server.close()
    engine.close()
    print(f"hosted / engine: wall clock {median(walls):.3f}, processor {median(processors):.3f}")
    print(f"the loop's thread computes for {100 * median(loops):.1f} % of the time")


if __name__ == "__main__":
    main()
