"""What the Hugging Face hub reads: the block at the head of README.md, and `.eval_results`.

Neither has a field for uncertainty: the interval stands in the metric's name and in the notes.
"""

from __future__ import annotations

from typing import Any

from limpide.cards.blocks import shown
from limpide.cards.yaml import to_yaml

SOURCE = "limpide, from the records in evidence/"
EVAL_RESULTS = ".eval_results"


def front_matter(card: dict[str, Any]) -> str:
    """The YAML block, with its fences."""
    licence = card["sections"]["licence"]["data"]
    found: dict[str, Any] = {"library_name": "limpide", "pipeline_tag": "text-generation", **_licence(licence)}
    results = [_result(run) for run in _answered(card)]
    if results:
        found["model-index"] = [{"name": card["model"], "results": results}]
    return f"---\n{to_yaml(found)}---\n"


def eval_results(card: dict[str, Any]) -> dict[str, str]:
    """File name → content, one for each run."""
    return {
        f"{EVAL_RESULTS}/{run['evidence']['folder'].rpartition('/')[2]}.yaml": _file(run) for run in _answered(card)
    }


def _answered(card: dict[str, Any]) -> list[dict[str, Any]]:
    evaluation = card["sections"]["evaluation"]["data"]
    return [] if evaluation is None else [run for run in evaluation["runs"] if run["all"] is not None]


def _licence(found: dict[str, Any] | None) -> dict[str, str]:
    if found is None or not found["terms"]:
        return {}
    first = found["terms"][0]
    if not first["spdx"].startswith("LicenseRef-"):
        return {"license": first["spdx"].lower()}
    return {"license": "other", "license_name": first["name"], "license_link": first["terms"]}


def _result(run: dict[str, Any]) -> dict[str, Any]:
    metric = "accuracy" if run["all"]["unit"] == "share" else "bits_per_byte"
    return {
        "task": {"type": "text-generation"},
        "dataset": {"type": f"limpide-{run['task']}", "name": f"{run['task']} {run['version']}"},
        "metrics": [{"type": metric, "value": run["all"]["value"], "name": shown(run["all"])}],
        "source": {"name": SOURCE, "url": f"{run['evidence']['folder']}/items.jsonl"},
    }


def _file(run: dict[str, Any]) -> str:
    found = run["all"]
    notes = (
        f"{shown(found)}, {found['items']} items from {found['clusters']} sources; thinking {run['thinking']}, "
        f"{run['shots']} shots, {run['repeats']} repeats, seed {run['seed']}, numerics {run['numerics']}; "
        f"items sha256 {run['evidence']['items_sha256']}"
    )
    return to_yaml(
        [
            {
                "dataset": {"id": f"limpide/{run['task']}", "task_id": run["task"], "revision": run["version"]},
                "value": found["value"],
                "date": run["started_at"][:10],
                "source": {"name": SOURCE, "url": f"{run['evidence']['folder']}/items.jsonl"},
                "notes": notes,
            }
        ]
    )
