from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from limpide.model import SAMPLING_NAMES

if TYPE_CHECKING:
    from conftest import CommandLine


def test_the_answer_alone_is_on_stdout(limpide: CommandLine) -> None:
    shown = limpide("ask", "Where?")
    assert (shown.code, shown.out) == (0, "This is a scripted answer.\n")
    assert re.fullmatch(
        r"\d+ prompt \+ 27 answer tokens · [\d.]+ tokens/s · first token [\d.]+ s · smollm2-135m, fast\n", shown.err
    )


def test_thinking_is_apart(limpide: CommandLine) -> None:
    shown = limpide("ask", "--think", "low", "Where?")
    assert shown.out == "This is a scripted answer.\n"
    assert shown.err.startswith("[thinking]\nFirst one thing, then another.\n\n[answer]\n")
    assert re.search(r"\d+ thinking \+ \d+ answer tokens", shown.err)


def test_the_budget_is_enforced_and_said(limpide: CommandLine) -> None:
    limpide.options = {"thinking": "a thought that never ends, " * 20}
    shown = limpide("ask", "--think", "20", "Where?")
    assert shown.out == "This is a scripted answer.\n"
    assert "the budget ended the thinking" in shown.err


def test_quiet_is_the_answer_alone(limpide: CommandLine) -> None:
    shown = limpide("ask", "-q", "--think", "low", "Where?")
    assert (shown.out, shown.err) == ("This is a scripted answer.\n", "")


def test_json(limpide: CommandLine) -> None:
    shown = limpide(
        "ask", "--json", "--think", "300", "--seed", "7", "--temperature", "0.5", "--logprobs", "2", "Where?"
    )
    record = json.loads(shown.out)
    assert shown.err == ""
    assert record["text"] == "This is a scripted answer."
    assert record["thinking"].strip() == "First one thing, then another."
    assert record["finish_reason"] == "stop"
    assert record["usage"]["thinking_tokens"] > 0
    assert record["receipt"]["seed"] == 7
    assert record["receipt"]["parameters"]["temperature"]["effective"] == 0.5
    assert record["model"]["name"] == "smollm2-135m"
    assert {len(token["top"]) for token in record["logprobs"]} == {2}
    timings = record["timings"]
    assert 0 < timings["time_to_first_token_seconds"] <= timings["total_seconds"]
    assert timings["process_to_first_token_seconds"] > 0
    assert timings["tokens_per_second"] > 0


def test_the_receipt_has_every_parameter(limpide: CommandLine) -> None:
    record = json.loads(limpide("ask", "--json", "Where?").out)
    assert set(SAMPLING_NAMES) | {"think"} <= record["receipt"]["parameters"].keys()


def test_several_choices(limpide: CommandLine) -> None:
    shown = limpide("ask", "--n", "2", "Where?")
    assert shown.out == "--- 1 of 2 ---\nThis is a scripted answer.\n--- 2 of 2 ---\nThis is a scripted answer.\n"
    record = json.loads(limpide("ask", "--n", "2", "--json", "Where?").out)
    assert [choice["text"] for choice in record["choices"]] == ["This is a scripted answer."] * 2


def test_stop_and_limits(limpide: CommandLine) -> None:
    assert limpide("ask", "--stop", "scripted", "--stop", "never", "Where?").out == "This is a \n"
    shown = limpide("ask", "--max-tokens", "4", "Where?")
    assert shown.out == "This\n"
    assert "cut off" in shown.err


def test_every_sampling_parameter_reaches_the_engine(limpide: CommandLine) -> None:
    flags = {
        "temperature": "0.5",
        "top_p": "0.9",
        "top_k": "7",
        "min_p": "0.1",
        "repetition_penalty": "1.1",
        "frequency_penalty": "0.2",
        "presence_penalty": "0.3",
        "logit_bias": "5=1.5",
        "stop": "never",
        "max_tokens": "9",
        "seed": "3",
        "n": "1",
        "logprobs": "1",
    }
    assert {*flags, "ignore_eos"} == set(SAMPLING_NAMES)
    arguments = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)]
    record = json.loads(limpide("ask", "--json", "--ignore-eos", *arguments, "Where?").out)
    asked = {name: outcome["requested"] for name, outcome in record["receipt"]["parameters"].items()}
    assert asked["logit_bias"] == {"5": 1.5}
    assert asked["stop"] == ["never"]
    assert asked["ignore_eos"] is True
    for name in flags.keys() - {"logit_bias", "stop"}:
        assert asked[name] == pytest.approx(float(flags[name])), name


def test_files_and_pipes(limpide: CommandLine, tmp_path: Path) -> None:
    limpide.options = {"reply": lambda prompt: prompt.rpartition(">")[2]}
    file = tmp_path / "notes.txt"
    file.write_text("Notes.\n")
    assert limpide("ask", "--file", str(file), "Question?").out == "Notes.\n\nQuestion?\n"
    assert limpide("ask", "--file", "-", "Question?", stdin=b"Piped.").out == "Piped.\n\nQuestion?\n"
    assert limpide("ask", stdin=b"Piped?").out == "Piped?\n"
    assert limpide("ask", "-", stdin=b"Piped?").out == "Piped?\n"


def test_a_system_text_is_sent(limpide: CommandLine) -> None:
    limpide.options = {"reply": lambda prompt: prompt.replace("<", "[").replace(">", "]")}
    assert "Be brief." in limpide("ask", "--system", "Be brief.", "Where?").out


def test_raw_text_is_continued(limpide: CommandLine) -> None:
    limpide.options = {"reply": "The sea is blue."}
    assert limpide("ask", "--raw", "The sea is").out == " blue.\n"


def test_a_base_model_continues_and_says_so(limpide: CommandLine) -> None:
    limpide.options = {"chat": False, "reply": "The sea is blue."}
    shown = limpide("ask", "The sea is")
    assert shown.out == " blue.\n"
    assert "smollm2-135m is a base model: it continues the text" in shown.err


@pytest.mark.parametrize("arguments", [("--think", "low"), ("--think", "low", "--raw"), ("--system", "x")])
def test_what_a_base_model_cannot_do(limpide: CommandLine, arguments: tuple[str, ...]) -> None:
    limpide.options = {"chat": False}
    shown = limpide("ask", *arguments, "The sea is")
    assert (shown.code, shown.out) == (2, "")


def test_flags_beat_the_environment(limpide: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPIDE_MODEL", "from-environment")
    monkeypatch.setenv("LIMPIDE_NUMERICS", "exact")
    monkeypatch.setenv("LIMPIDE_CONTEXT", "1000")
    limpide("ask", "Where?")
    limpide("ask", "-m", "from-flag", "--numerics", "fast", "--context", "500", "Where?")
    first, second = limpide.opened
    assert (first.reference, first.numerics, first.context) == ("from-environment", "exact", 1000)
    assert (second.reference, second.numerics, second.context) == ("from-flag", "fast", 500)


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("",), b"", ["empty"]),
        ((), b"", ["empty", "through a pipe"]),
        (("-",), b"caf\xe9", ["UTF-8", "byte 3"]),
        (("--temperature", "-1", "hi"), b"", ["temperature", "-1"]),
        (("--temperature", "hot", "hi"), b"", ["--temperature", "number"]),
        (("--top-p", "2", "hi"), b"", ["top_p"]),
        (("--n", "0", "hi"), b"", ["n can't be 0"]),
        (("--max-tokens", "0", "hi"), b"", ["max_tokens"]),
        (("--seed", "-1", "hi"), b"", ["seed"]),
        (("--think", "banana", "hi"), b"", ["banana", "minimal"]),
        (("--think", "-3", "hi"), b"", ["-3"]),
        (("--logit-bias", "x", "hi"), b"", ["logit_bias"]),
        (("--logprobs", "3", "hi"), b"", ["--json"]),
        (("--stop", "", "hi"), b"", ["stop"]),
        (("--file", "/nowhere/at/all", "hi"), b"", ["/nowhere/at/all"]),
    ],
)
def test_bad_input_is_refused_before_a_model_is_loaded(
    limpide: CommandLine, arguments: tuple[str, ...], stdin: bytes, words: list[str]
) -> None:
    shown = limpide("ask", *arguments, stdin=stdin)
    assert (shown.code, shown.out) == (2, "")
    assert all(word in shown.err for word in words), shown.err
    assert limpide.opened == []


def test_too_long_a_prompt_has_both_numbers(limpide: CommandLine) -> None:
    shown = limpide("ask", "--context", "64", "x" * 100)
    assert (shown.code, shown.out) == (2, "")
    assert re.search(r"the prompt has 1\d\d tokens, the context holds 64", shown.err)


def test_an_unknown_model(limpide: CommandLine) -> None:
    shown = limpide("ask", "-m", "nobody", "hi")
    assert shown.code == 2
    assert "limpide explain unknown-model" in shown.err


def test_an_interrupt_ends_the_answer_with_130(limpide: CommandLine) -> None:
    def interrupted(history: object) -> int:
        raise KeyboardInterrupt

    limpide.options = {"script": interrupted}
    shown = limpide("ask", "Where?")
    assert (shown.code, shown.out) == (130, "")


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}, "strict": False}}
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Lyon"}}</tool_call>'


def test_tool_calls(limpide: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([WEATHER]))
    limpide.options = {"reply": f"Let me see. {CALL}"}
    shown = limpide("ask", "--json", "--tools", str(file), "--think", "low", "And in Lyon?")
    record = json.loads(shown.out)
    [call] = record["tool_calls"]
    assert (call["name"], call["arguments"]) == ("weather", '{"city": "Lyon"}')
    assert (record["finish_reason"], record["text"]) == ("tool_calls", "Let me see.")
    assert record["receipt"]["parameters"]["tools"]["requested"] == ["weather"]
    shown = limpide("ask", "-q", "--tools", str(file), "And in Lyon?")
    assert shown.out == 'Let me see.\nweather({"city": "Lyon"})\n'
    assert json.loads(limpide("ask", "--json", "And in Lyon?").out)["tool_calls"] == []


def test_tool_calls_of_several_answers(limpide: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([WEATHER]))
    limpide.options = {"reply": CALL}
    shown = limpide("ask", "-q", "--n", "2", "--temperature", "1", "--tools", str(file), "And in Lyon?")
    assert shown.out.count('weather({"city": "Lyon"})\n') == 2


def test_raw_text_has_no_place_for_tools(limpide: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([WEATHER]))
    shown = limpide("ask", "--raw", "--tools", str(file), "Once")
    assert shown.code == 2
    assert "raw text has no place for tools" in shown.err


def test_a_malformed_tool_call_is_said(limpide: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([WEATHER]))
    limpide.options = {"reply": "<tool_call>{</tool_call>"}
    shown = limpide("ask", "--tools", str(file), "And in Lyon?")
    assert shown.out == "<tool_call>{</tool_call>\n"
    assert "tools: ['weather'] became no calls (what looked like a call was left in the text" in shown.err


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[" * 100_000,
        "{}",
        "[]",
        "[7]",
        '[{"type": "retrieval", "function": {"name": "f"}}]',
        '[{"function": {"name": ""}}]',
        '[{"function": {"name": "f", "parameters": []}}]',
        '[{"function": {"name": "f", "strict": true}}]',
        '[{"function": {"name": "f"}}, {"function": {"name": "f"}}]',
    ],
)
def test_a_bad_tools_file_is_refused_before_a_model_is_loaded(
    limpide: CommandLine, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "tools.json"
    file.write_text(content)
    shown = limpide("ask", "--tools", str(file), "hi")
    assert shown.code == 2
    assert "tools can't be" in shown.err
    assert not limpide.opened
