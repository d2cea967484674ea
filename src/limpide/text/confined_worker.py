"""The life of a confined worker. Run as a script by `confined.py`, with the path of a file that says what it does.

That file has `MEMORY_BYTES`, the most memory that the process may have, and `make`, which loads all that is needed and
gives the function from one request to its answer; it is called before the process gives up opening files. One JSON
object a line, in and out; a request says in `seconds` how much processor time it may take. Passing a limit ends the
process, which the parent reports and replaces. Imports nothing of Limpide, so that it starts quickly.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType


def load(path: str) -> ModuleType:
    """The module in a file, which is in no package."""
    spec = spec_from_file_location("work", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is no Python file")
    module = module_from_spec(spec)
    sys.modules["work"] = module
    spec.loader.exec_module(module)
    return module


def confine(memory_bytes: int) -> None:
    """Give up what the work has no use for. Where a system lacks a limit, the parent's clock remains."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        import resource
    except ImportError:
        return
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


def allow(seconds: float) -> None:
    """Let the kernel end this process after so much more processor time; 0 takes the limit away."""
    with contextlib.suppress(AttributeError):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def main() -> None:
    """Answer until the parent is gone."""
    work = load(sys.argv[1])
    answer = work.make()
    confine(work.MEMORY_BYTES)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        allow(request["seconds"])
        response = json.dumps(answer(request)).encode()
        allow(0)
        sys.stdout.buffer.write(response + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
