"""Any task of lm-eval on a backend of ours: `lm-eval` is imported late, and only here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from limpide.core.errors import InvalidParameter
from limpide.core.ports import Scored, ScoreRequest, Scores


class Scorer(Protocol):
    """What of a backend the tasks need."""

    def score_all(self, requests: Sequence[ScoreRequest]) -> Scores:
        """Log-likelihood of each request's continuation."""

    def score_rolling(self, texts: Sequence[str]) -> Scores:
        """Log-likelihood of each text as a whole."""


Generate = Callable[[str, Sequence[str], int], str]
"""Greedy continuation of a text: the text, strings to stop before, and most tokens to write."""

MAX_NEW_TOKENS = 256
"""Where a task does not say how long an answer may be: as lm-eval's own `hf` backend has it."""
_KNOWN = {"until", "max_gen_toks", "max_new_tokens", "do_sample", "temperature"}


def evaluate(
    backend: Scorer,
    generate: Generate,
    tasks: Sequence[str],
    *,
    include_path: Path | None = None,
    shots: int | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """lm-eval's results on the tasks of these names, as its `simple_evaluate` returns them.

    include_path: a folder with more tasks' YAML files. shots: solved examples, None for what the task says.
    Raises InvalidParameter for tasks that lm-eval doesn't know, or if it isn't installed.
    """
    manager = find_tasks(tasks, include_path)
    results: dict[str, Any] | None = _import("lm_eval.evaluator").simple_evaluate(
        model=make_model(backend, generate),
        tasks=list(tasks),
        num_fewshot=shots,
        limit=limit,
        task_manager=manager,
        bootstrap_iters=0,
    )
    if results is None:
        raise AssertionError("results go to the first process, and there is only one")
    return results


def find_tasks(tasks: Sequence[str], include_path: Path | None = None) -> Any:
    """lm-eval's TaskManager. Raises InvalidParameter for tasks that it doesn't know, or if lm-eval isn't installed."""
    _import("lm_eval")
    manager = _import("lm_eval.tasks").TaskManager(include_path=None if include_path is None else str(include_path))
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown:
        raise InvalidParameter("task", f"lm-eval:{unknown[0]}", "a name that `lm_eval ls tasks` shows")
    return manager


def make_model(backend: Scorer, generate: Generate) -> Any:
    """A backend as lm-eval's `LM`. Raises InvalidParameter if lm-eval is not installed."""
    base: Any = _import("lm_eval.api.model").LM

    class LimpideLM(base):  # type: ignore[misc]
        """All requests of a kind go to the backend in one go."""

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            asked = [ScoreRequest(*request.args) for request in requests]
            return [(scored.total, scored.greedy) for scored in _ordered(backend.score_all(asked), len(asked))]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            texts = [request.args[0] for request in requests]
            return [scored.total for scored in _ordered(backend.score_rolling(texts), len(texts))]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            return [generate(request.args[0], *_settings(request.args[1])) for request in requests]

    return LimpideLM()


def _ordered(scores: Iterable[tuple[int, Scored]], count: int) -> list[Scored]:
    found = dict(scores)
    return [found[index] for index in range(count)]


def _settings(asked: Mapping[str, Any]) -> tuple[list[str], int]:
    """Strings to stop before, and most tokens. Raises InvalidParameter for what would have no effect."""
    for name, value in asked.items():
        if name not in _KNOWN or (name == "do_sample" and value) or (name == "temperature" and value):
            raise InvalidParameter(name, value, "a task that is answered greedily, with `until` and `max_gen_toks`")
    until = asked.get("until") or []
    most = asked.get("max_gen_toks", asked.get("max_new_tokens", MAX_NEW_TOKENS))
    return [until] if isinstance(until, str) else list(until), int(most)


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise InvalidParameter(
            "task", "lm-eval", f"{error.name}, which is not installed", hint="pip install 'limpide[lm-eval]'"
        ) from error
