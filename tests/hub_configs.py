"""Configurations of published models, as their files on the hub have them: facts that others had written down.

Each is a file of `real_configs/`. Of vision towers only their kind is kept, of lists of modules the first two names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from limpide.formats import Checkpoint, open_checkpoint

FOLDER = Path(__file__).with_name("real_configs")
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def hub_config(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return config


def open_config(config: dict[str, Any], folder: Path) -> Checkpoint:
    """A checkpoint with this configuration, and of its weights only an output matrix, if it has one of its own."""
    tied = config.get("tie_word_embeddings", config["model_type"].startswith(("gemma", "gpt2")))
    name = "model.embed_tokens.weight" if tied else "lm_head.weight"
    save_file({name: torch.zeros(1, 1)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return open_checkpoint(folder)
