"""Where things are kept on this machine, and whether we may use the network. Read from the environment at each call."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_TRUE = {"1", "true", "yes", "on"}


def _from_environment(*names: str) -> Path | None:
    for name in names:
        if value := os.environ.get(name):
            return Path(value).expanduser().absolute()  # pip runs in a directory of its own
    return None


def _base(xdg: str, fallback: str) -> Path:
    """An XDG directory; on Windows its nearest relative."""
    if found := _from_environment(xdg):
        return found / "limpide"
    if sys.platform == "win32" and (local := _from_environment("LOCALAPPDATA")):
        return local / "limpide" / Path(fallback).name
    return Path.home() / fallback / "limpide"


def cache_dir() -> Path:
    """Downloaded models: LIMPIDE_CACHE, LIMPIDE_HOME/cache, XDG_CACHE_HOME/limpide or ~/.cache/limpide."""
    if found := _from_environment("LIMPIDE_CACHE"):
        return found
    if home := _from_environment("LIMPIDE_HOME"):
        return home / "cache"
    return _base("XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """What outlives the cache, such as accepted terms: LIMPIDE_HOME/state, XDG_STATE_HOME/limpide or ~/.local/state."""
    if home := _from_environment("LIMPIDE_HOME"):
        return home / "state"
    return _base("XDG_STATE_HOME", ".local/state")


def config_dir() -> Path:
    """What people set up, such as keys of the server: LIMPIDE_HOME/config, XDG_CONFIG_HOME/limpide or ~/.config."""
    if home := _from_environment("LIMPIDE_HOME"):
        return home / "config"
    return _base("XDG_CONFIG_HOME", ".config")


def hf_cache_dir() -> Path:
    """The Hugging Face cache, by the rules of its own library (HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME)."""
    if found := _from_environment("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        return found
    if home := _from_environment("HF_HOME"):
        return home / "hub"
    return (_from_environment("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface" / "hub"


def offline_requested() -> bool:
    """Whether the environment forbids all network use (LIMPIDE_OFFLINE, HF_HUB_OFFLINE)."""
    return any(os.environ.get(name, "").strip().lower() in _TRUE for name in ("LIMPIDE_OFFLINE", "HF_HUB_OFFLINE"))
