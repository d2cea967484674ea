"""`limpide launch`: what it prints is what the clients read, and shells take it as it is meant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import anthropic
import openai
import pytest

from limpide.cli.clients import CLIENTS, Server
from limpide.cli.launch import ASSIGNMENTS, Shell, _this_shell
from limpide.cli.running import run

Capture = pytest.CaptureFixture[str]
SERVER = Server("http://127.0.0.1:9000", "lmp_x", "qwen3-4b")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMPIDE_URL", "LIMPIDE_MODEL", "LIMPIDE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_libraries_read_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for client in ("openai", "anthropic"):
        for name, value in CLIENTS[client].environment(SERVER).items():
            monkeypatch.setenv(name, value)
    assert str(openai.OpenAI().base_url) == "http://127.0.0.1:9000/v1/"
    assert openai.OpenAI().api_key == "lmp_x"
    assert str(anthropic.Anthropic().base_url).rstrip("/") == "http://127.0.0.1:9000"
    assert anthropic.Anthropic().api_key == "lmp_x"


AWKWARD = "it's \"a\" $HOME `x` \\ \\' ; & é"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_shells_take_any_value(shell: str) -> None:
    program = shutil.which(shell) or shutil.which("pwsh" if shell == "powershell" else shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    show = f"{sys.executable} -c \"import os; print(ascii(os.environ['VALUE']))\""
    script = f"{ASSIGNMENTS[Shell(shell)]('VALUE', AWKWARD)}\n{'& ' if shell == 'powershell' else ''}{show}"
    done = subprocess.run([program, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ascii(AWKWARD)


def test_how_other_shells_quote() -> None:
    assert ASSIGNMENTS[Shell.FISH]("A", "it's \\ $x") == "set -gx A 'it\\'s \\\\ $x'"
    assert ASSIGNMENTS[Shell.POWERSHELL]("A", "it's $x") == "$env:A = 'it''s $x'"
    assert _this_shell({"SHELL": "/usr/bin/fish"}) is Shell.FISH
    assert _this_shell({"SHELL": "/bin/zsh"}) is Shell.ZSH


def test_what_is_printed(capsys: Capture) -> None:
    assert run(["launch", "openai", "--shell", "bash", "--url", "http://box:1/v1/", "--key", "k"]) == 0
    assert capsys.readouterr().out == "export OPENAI_BASE_URL=http://box:1/v1\nexport OPENAI_API_KEY=k\n"
    assert run(["launch", "claude", "--shell", "fish", "-m", "qwen3-4b"]) == 0
    out = capsys.readouterr().out
    assert "set -gx ANTHROPIC_BASE_URL 'http://127.0.0.1:8000'\n" in out, "its client adds /v1 itself"
    assert "set -gx ANTHROPIC_AUTH_TOKEN 'limpide'\n" in out
    assert out.count("qwen3-4b") == 4


def test_a_command_gets_the_variables_and_its_exit_code_is_ours(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import os, sys; print(os.environ['OPENAI_API_BASE'], os.environ['AIDER_MODEL']); sys.exit(7)"
    assert run(["launch", "aider", "-m", "m", "--", sys.executable, "-c", code]) == 7
    assert capfd.readouterr().out == "http://127.0.0.1:8000/v1 openai/m\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for the agent")
def test_codex_is_configured_by_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    agent = tmp_path / "codex"
    agent.write_text('#!/bin/sh\nprintf "%s\\n" "$LIMPIDE_API_KEY" "$@"\n')
    agent.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert run(["launch", "codex", "--key", "secret", "-m", 'a"b', "--", "codex", "exec", "hi"]) == 0
    key, *options = capfd.readouterr().out.splitlines()
    assert key == "secret"
    assert options[-2:] == ["exec", "hi"]
    assert options[:-2:2] == ["-c"] * 6
    config = tomllib.loads("\n".join(options[1:-2:2]))
    assert config["model"] == 'a"b'
    assert config["model_providers"][config["model_provider"]] == {
        "name": "Limpide",
        "base_url": "http://127.0.0.1:8000/v1",
        "env_key": "LIMPIDE_API_KEY",
        "wire_api": "responses",
    }


def test_opencode_has_its_configuration_in_a_variable() -> None:
    environment = CLIENTS["opencode"].environment(SERVER)
    config = json.loads(environment["OPENCODE_CONFIG_CONTENT"])
    provider, _, model = config["model"].partition("/")
    assert config["provider"][provider]["options"]["baseURL"] == "http://127.0.0.1:9000/v1"
    assert model in config["provider"][provider]["models"]
    assert "lmp_x" not in environment["OPENCODE_CONFIG_CONTENT"]


@pytest.mark.parametrize("client", ["continue", "llm"])
def test_clients_that_read_a_file(client: str, capsys: Capture) -> None:
    yaml = pytest.importorskip("yaml")
    assert run(["launch", client, "-m", "a: b"]) == 0
    out, err = capsys.readouterr()
    assert ".yaml" in err
    found = yaml.safe_load(out)
    model = found["models"][0] if client == "continue" else found[0]
    assert "a: b" in model.values()
    assert "http://127.0.0.1:8000/v1" in model.values()
    assert run(["launch", client, "--", "true"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["opnai"],
        ["openai", "--url", "127.0.0.1:8000"],
        ["openai", "--url", "file:///x"],
        ["openai", "--", "no-such-program"],
    ],
)
def test_what_makes_no_sense(arguments: list[str], capsys: Capture) -> None:
    assert run(["launch", *arguments]) == 2
    assert capsys.readouterr().out == ""
