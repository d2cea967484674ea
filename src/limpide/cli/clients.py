"""How well-known clients are told which server to use: which variables, options or files they read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

NO_KEY = "limpide"
"""For a server that needs no key: most clients refuse to run without one."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a client has to know."""

    url: str
    """Without `/v1`."""
    key: str
    model: str

    @property
    def v1(self) -> str:
        """Where OpenAI's clients begin their paths."""
        return f"{self.url}/v1"


@dataclass(frozen=True, slots=True)
class Client:
    """A client, and what it reads."""

    title: str
    environment: Callable[[Server], dict[str, str]]
    options: Callable[[Server], tuple[str, ...]] = lambda _: ()
    """What its command needs besides."""
    command: str | None = None
    file: tuple[str, Callable[[Server], str]] | None = None
    """A file that it reads, and what must be in it, where no variable does."""


def _openai(server: Server) -> dict[str, str]:
    return {"OPENAI_BASE_URL": server.v1, "OPENAI_API_KEY": server.key}


def _anthropic(server: Server) -> dict[str, str]:
    return {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": server.key}


def _claude(server: Server) -> dict[str, str]:
    models = ("ANTHROPIC_MODEL", *(f"ANTHROPIC_DEFAULT_{size}_MODEL" for size in ("OPUS", "SONNET", "HAIKU")))
    return {
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_AUTH_TOKEN": server.key,
        # Set and empty: a key of Anthropic's, if there is one, is not sent to this server.
        "ANTHROPIC_API_KEY": "",
        **dict.fromkeys(models, server.model),
        # A line in the system prompt that changes with every turn would make every turn a full prefill.
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def _codex(server: Server) -> tuple[str, ...]:
    settings = {
        "model": server.model,
        "model_provider": "limpide",
        "model_providers.limpide.name": "Limpide",
        "model_providers.limpide.base_url": server.v1,
        "model_providers.limpide.env_key": "LIMPIDE_API_KEY",
        "model_providers.limpide.wire_api": "responses",
    }
    # The values are TOML, whose basic strings are JSON's.
    return tuple(part for name, value in settings.items() for part in ("-c", f"{name}={json.dumps(value)}"))


def _opencode(server: Server) -> dict[str, str]:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Limpide",
        "options": {"baseURL": server.v1, "apiKey": "{env:LIMPIDE_API_KEY}"},
        "models": {server.model: {"name": server.model}},
    }
    config = {"provider": {"limpide": provider}, "model": f"limpide/{server.model}"}
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(config), "LIMPIDE_API_KEY": server.key}


def _continue(server: Server) -> str:
    model = {
        "name": f"Limpide {server.model}",
        "provider": "openai",
        "model": server.model,
        "apiBase": server.v1,
        "apiKey": server.key,
    }
    fields = "\n".join(f"    {name}: {json.dumps(value)}" for name, value in model.items())
    return f"name: Limpide\nversion: 1.0.0\nschema: v1\nmodels:\n  -{fields[3:]}\n"


def _llm(server: Server) -> str:
    fields = {"model_id": "limpide", "model_name": server.model, "api_base": server.v1, "api_key_name": "limpide"}
    return "- " + "\n  ".join(f"{name}: {json.dumps(value)}" for name, value in fields.items()) + "\n"


CLIENTS: dict[str, Client] = {
    "openai": Client("OpenAI's libraries", _openai),
    "anthropic": Client("Anthropic's libraries", _anthropic),
    "claude": Client("Claude Code", _claude, command="claude"),
    "codex": Client("Codex CLI", lambda server: {"LIMPIDE_API_KEY": server.key}, _codex, "codex"),
    "aider": Client(
        "aider",
        lambda server: {
            "OPENAI_API_BASE": server.v1,
            "OPENAI_API_KEY": server.key,
            "AIDER_MODEL": f"openai/{server.model}",
        },
        command="aider",
    ),
    "opencode": Client("opencode", _opencode, command="opencode"),
    "continue": Client("Continue", lambda _: {}, file=("~/.continue/config.yaml, or cn --config FILE", _continue)),
    "llm": Client(
        "llm",
        lambda _: {},
        file=('extra-openai-models.yaml beside `llm logs path`; then: llm keys set limpide, llm -m limpide "Hi"', _llm),
    ),
}
"""Name on the command line to client."""
