from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import CommandLine


def echo(prompt: str) -> str:
    """Say the whole conversation back."""
    return f"[{prompt}]"


def talk(limpide: CommandLine, *lines: str, arguments: tuple[str, ...] = ()) -> tuple[str, str]:
    shown = limpide("chat", *arguments, stdin="\n".join(lines).encode() + b"\n")
    assert shown.code == 0
    return shown.out, shown.err


def test_a_conversation_remembers(limpide: CommandLine) -> None:
    limpide.options = {"reply": echo}
    out, _ = talk(limpide, "one", "", "two")
    assert out == "[one]\n[one[one]two]\n"


def test_clear_and_system(limpide: CommandLine) -> None:
    limpide.options = {"reply": echo}
    out, _ = talk(limpide, "one", "/clear", "/system Be brief.", "two", "/system", "three")
    assert out == "[one]\n[Be brief.two]\n[two[Be brief.two]three]\n"


def test_think_set_and_unset(limpide: CommandLine) -> None:
    out, err = talk(limpide, "/think low", "/set max_tokens 60", "hi", "/set max_tokens=9", "/unset max-tokens", "/set")
    assert "think low" in err
    assert "[thinking]\nFirst one thing" in err
    assert "max_tokens 9" in err
    assert err.endswith("everything at its default\neverything at its default\n")
    assert out.startswith("This")


def test_sampling_from_the_command_line(limpide: CommandLine) -> None:
    out, _ = talk(limpide, "hi", arguments=("--set", "max_tokens=4"))
    assert out == "This\n"
    assert limpide("chat", "--set", "max_tokens").code == 2
    assert limpide("chat", "--set", "n=2").code == 2


def test_errors_do_not_end_the_chat(limpide: CommandLine) -> None:
    limpide.options = {"context": 80}
    out, err = talk(
        limpide, "/thnk low", "/think banana", "/set temperature hot", "/set n 2", "/model nobody", "x" * 100, "hi"
    )
    assert out == "This is a scripted answer.\n"
    for word in (
        "did you mean /think?",
        "banana",
        "temperature can't be 'hot'",
        "n can't be '2'",
        "nobody",
        "holds 80",
    ):
        assert word in err


def test_a_failed_turn_is_forgotten(limpide: CommandLine, tmp_path: Path) -> None:
    limpide.options = {"context": 80}
    talk(limpide, "x" * 100, "hi", f"/save {tmp_path / 'talk.json'}")
    turns = json.loads((tmp_path / "talk.json").read_text())["messages"]
    assert [turn["content"] for turn in turns] == ["hi", "This is a scripted answer."]


def test_save_and_load(limpide: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    talk(limpide, "/system Be brief.", "one", f"/save {file}", "/save talk.txt", "/save")
    limpide.options = {"reply": echo}
    out, err = talk(limpide, f"/load {file}", "two", "/load nowhere.json")
    assert out == "[Be brief.oneThis is a scripted answer.two]\n"
    assert "nowhere.json" in err


def test_another_model_goes_on(limpide: CommandLine) -> None:
    limpide.options = {"reply": echo}
    out, err = talk(limpide, "one", "/model other", "two", "/model")
    assert [choice.reference for choice in limpide.opened] == ["smollm2-135m", "other"]
    assert "other · scripted · context" in err
    assert out == "[one]\n[one[one]two]\n"


def test_a_base_model_cannot_chat(limpide: CommandLine) -> None:
    limpide.options = {"chat": False}
    shown = limpide("chat", stdin=b"hi\n")
    assert shown.code == 2
    assert "chat-unsupported" in shown.err


def test_help_and_quit(limpide: CommandLine) -> None:
    out, err = talk(limpide, "/help", "/quit", "never asked")
    assert out == ""
    for word in ("/think", "/model", "/set", "/save", "Ctrl-C"):
        assert word in err


def test_invalid_utf8_spoils_its_line_alone(limpide: CommandLine) -> None:
    shown = limpide("chat", stdin=b"caf\xe9\nhi\n")
    assert shown.out == "This is a scripted answer.\n"
    assert "UTF-8" in shown.err


def test_an_interrupt_ends_the_answer_not_the_chat(limpide: CommandLine) -> None:
    calls = iter(range(1000))
    answer = b"This is a scripted answer."

    def script(history: object) -> int:
        number = next(calls)
        if number == 12 + len("x"):
            raise KeyboardInterrupt
        return answer[number % len(answer)]

    limpide.options = {"script": script}
    shown = limpide("chat", "--set", "max_tokens=20", stdin=b"x\n/system still here\n")
    assert shown.code == 0
    assert "interrupted" in shown.err
    assert "system: still here" in shown.err


def test_a_signal_is_seen_between_tokens(limpide: CommandLine) -> None:
    """SIGINT itself, while an answer is being computed: the answer stops early, the handler is put back."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    calls = iter(range(1000))

    def script(history: object) -> int:
        if next(calls) == 30:
            signal.raise_signal(signal.SIGINT)
        return ord("a")

    limpide.options = {"script": script}
    shown = limpide("chat", "--set", "max_tokens=200", stdin=b"x\n/clear\n")
    assert "interrupted" in shown.err
    assert "a new conversation" in shown.err
    assert 0 < shown.out.count("a") < 60
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("name", ["think", "model", "set", "system", "save", "clear", "quit", "help"])
def test_commands_of_the_issue_exist(name: str) -> None:
    from limpide.cli.repl import _COMMANDS

    assert name in _COMMANDS
