"""`limpide eval --task lm-eval:NAME`: tasks of lm-eval, with lm-eval's own numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limpide.cli.opening import Choice, open_model
from limpide.cli.tables import print_table
from limpide.core.answers import collect
from limpide.core.errors import DownloadFailed, InvalidParameter, OfflineError
from limpide.core.results import to_json
from limpide.model import Model

PREFIX = "lm-eval:"


def run_harness(
    choice: Choice, names: Sequence[str], *, folder: Path | None, shots: int | None, limit: int | None, json: bool
) -> None:
    """Run these tasks of lm-eval and print what it reports. folder: more tasks' YAML files.

    lm-eval fetches a task's data from the network unless it is in its cache; `choice.offline` forbids that.
    Raises InvalidParameter if lm-eval isn't installed or doesn't know a task, OfflineError, DownloadFailed.
    """
    from limpide.core.places import offline_requested
    from limpide.evals import lm_eval_model

    offline = choice.offline or offline_requested()
    if offline:
        # Read when lm-eval's libraries are imported, which is later.
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    if folder is not None and not folder.is_dir():
        raise InvalidParameter("file", str(folder), "a folder of lm-eval's task files, with lm-eval:NAME")
    lm_eval_model.find_tasks(names, folder)  # before a model is loaded
    with open_model(choice) as opened:
        try:
            found = lm_eval_model.evaluate(
                opened.backend, _generator(opened), names, include_path=folder, shots=shots, limit=limit
            )
        except OSError as error:  # its libraries' errors of data and network are of this kind
            told = f"lm-eval can't get the data of {', '.join(names)}: {error}"
            if offline:
                raise OfflineError(told, hint="once without --offline: the data are kept") from error
            raise DownloadFailed(
                told, hint="check the network; lm-eval's data come from the Hugging Face hub"
            ) from error
        if json:
            fingerprint = asdict(opened.backend.fingerprint())
            sys.stdout.write(
                to_json({"model": opened.info.name, "backend": fingerprint, "lm_eval": _plain(found)}) + "\n"
            )
        else:
            _print(opened.info.name, found)


def _generator(model: Model) -> Callable[[str, Sequence[str], int], str]:
    def generate(text: str, until: Sequence[str], most: int) -> str:
        stops = tuple(each for each in until if each)
        return collect(model.complete(text, temperature=0.0, max_tokens=most, stop=stops))[0].text

    return generate


def _print(model: str, found: Mapping[str, Any]) -> None:
    rows = [("TASK", "VERSION", "SHOTS", "METRIC", "VALUE")]
    for task, numbers in found["results"].items():
        version, shots = found.get("versions", {}).get(task), found.get("n-shot", {}).get(task)
        for name, value in numbers.items():
            metric, _, kept = name.partition(",")
            if isinstance(value, int | float) and kept:
                shown = metric if kept == "none" else f"{metric} ({kept})"
                rows.append((task, _or_dash(version), _or_dash(shots), shown, f"{float(value):.4f}"))
    print(f"lm-eval on {model}: its own numbers, without intervals")
    print_table(rows)


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)


def _plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """What lm-eval reports of scores, as plain data: NumPy's numbers are numbers, what is no number is its text."""
    return {
        part: {task: _numbers(value) for task, value in found.get(part, {}).items()}
        for part in ("results", "versions", "n-shot", "n-samples")
    }


def _numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _numbers(each) for name, each in value.items()}
    if value is None or isinstance(value, str | int):
        return value
    return float(value) if hasattr(value, "__float__") else str(value)
