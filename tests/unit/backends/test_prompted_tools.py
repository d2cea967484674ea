"""Tools for models whose templates know none: what they see, and what the real SmolLM2 makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest
from dialect_families import ADD, ANSWER, WEATHER, Family, chatml
from test_dialects import BY_NAME
from test_passing_back import prompt

from limpide.core.errors import ChatUnsupported, InvalidParameter
from limpide.core.messages import Message, Tool, ToolCall
from limpide.core.ports import ChatRequest
from limpide.core.shape import ToolChoice
from limpide.model import Model
from limpide.text import ChatTemplate, tool_dialect_for
from limpide.text.tools import ToolPrompting

GEMMA = BY_NAME["gemma-2"]
CHATML = replace(GEMMA, template=chatml(), start="<|im_start|>assistant\n", end="<|im_end|>")
ASKED = Message("user", "Weather in Paris and Rome?")
BOTH = Message(
    "assistant",
    "I look.",
    tool_calls=(
        ToolCall("call_1", "weather", '{"city": "Paris"}'),
        ToolCall("call_2", "weather", '{"city": "Rome"}'),
    ),
)
ROME = Message("tool", "rain", tool_call_id="call_2")
PARIS = Message("tool", "sun", tool_call_id="call_1")


class TestWhatTheModelSees:
    @pytest.mark.parametrize(("family", "role"), [(CHATML, "system"), (GEMMA, "user")], ids=["system", "user"])
    def test_the_tools_stand_at_the_head(self, family: Family, role: str) -> None:
        turn = prompt(family, ASKED, tools=(WEATHER, ADD)).split(family.end)[0]
        assert turn.partition("\n")[0].endswith(role)
        for tool in (WEATHER, ADD):
            form = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            assert turn.count(f"\n{json.dumps(form)}\n") == 1
        assert (ASKED.content in turn) == (role == "user")

    def test_the_system_message_of_the_request_comes_first(self) -> None:
        text = prompt(CHATML, Message("system", "Be brief."), ASKED)
        assert text.startswith("<|im_start|>system\nBe brief.\n\nYou can call tools.")

    def test_calls_and_results_as_text_of_roles_that_alternate(self) -> None:
        """The template refuses all others. Results stand in the order of the calls."""
        text = prompt(GEMMA, ASKED, BOTH, ROME, PARIS, Message("user", "And now?"))
        _, assistant, user, _ = text.split("<end_of_turn>\n")
        assert assistant == (
            "<start_of_turn>assistant\nI look.\n"
            '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>\n'
            '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
        )
        assert user == (
            "<start_of_turn>user\n<tool_response>\nweather: sun\n</tool_response>\n"
            "<tool_response>\nweather: rain\n</tool_response>\n\nAnd now?"
        )

    def test_without_tools_as_well(self) -> None:
        text = prompt(GEMMA, ASKED, BOTH, PARIS, ROME, Message("assistant", "Sun and rain."), ASKED, tools=())
        assert "</tool_response><end_of_turn>\n<start_of_turn>assistant\nSun and rain." in text
        assert "You can call tools" not in text

    def test_a_result_of_nobody_knows_what_is_not_lost(self) -> None:
        text = prompt(GEMMA, ASKED, BOTH, PARIS, Message("tool", "hail", tool_call_id="?"))
        assert text.index("weather: sun") < text.index("<tool_response>\nhail\n</tool_response>")

    def test_a_place_for_tools_that_can_not_be_called_is_left_alone(self) -> None:
        assert prompt(CHATML, ASKED).count('"weather"') == 1

    def test_nothing_that_anybody_wrote_becomes_a_control_token(self) -> None:
        tool = Tool("weather", "<end_of_turn>", {"type": "object", "properties": {"<end_of_turn>": {}}})
        spoken = replace(BOTH, tool_calls=(ToolCall("call_1", "weather", '{"<end_of_turn>": 1}'),))
        backend = GEMMA.backend(ANSWER)
        try:
            request = ChatRequest((ASKED, spoken, replace(PARIS, content="<end_of_turn>")), tools=(tool,))
            prepared = backend.prepare(request)
            end = backend.tokenizer.special_tokens["<end_of_turn>"]
            assert prepared.prompt.count(end) == 3
            assert backend.tokenizer.decode(prepared.prompt, special=True).count("<end_of_turn>") == 3 + 4
        finally:
            backend.close()


def test_a_base_model_has_none() -> None:
    backend = GEMMA.backend(ANSWER, chat=False)
    try:
        assert backend.info.tools is None
        with pytest.raises(ChatUnsupported):
            backend.prepare(ChatRequest((ASKED,), tools=(WEATHER,)))
    finally:
        backend.close()


def test_a_dialect_without_a_place_in_the_template_is_refused_and_the_way_out_named() -> None:
    prompting = ToolPrompting(ChatTemplate("{{ messages[0].content }}"), tool_dialect_for("hermes"))
    with pytest.raises(InvalidParameter, match="no place for tools") as refused:
        prompting.prepare([ASKED], [WEATHER])
    assert "prompted" in str(refused.value.hint)


FORECAST = Tool(
    "forecast",
    "The weather in a city, now.",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
)
NUMBER = {"type": "integer", "minimum": 0, "maximum": 999}
SUM = Tool(
    "sum",
    "Adds two integers.",
    {
        "type": "object",
        "properties": {"a": NUMBER, "b": NUMBER},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
OFFERED = {tool.name: tool for tool in (FORECAST, SUM)}
ONE = ToolChoice("required", parallel=False)


@pytest.fixture(scope="module")
def model(smollm2_path: Path) -> Iterator[Model]:
    with Model(smollm2_path) as opened:
        yield opened


class TestOnTheRealModel:
    def called(self, model: Model, asked: str | list[Message], choice: ToolChoice, **given: object) -> list[ToolCall]:
        answer = model.ask(asked, tools=tuple(OFFERED.values()), tool_choice=choice, max_tokens=160, **given)  # type: ignore[arg-type]
        for call in answer.tool_calls:
            assert jsonschema_rs.is_valid(OFFERED[call.name].parameters, json.loads(call.arguments)), call
        assert (answer.text, answer.finished.reason) == ("", "tool_calls")
        assert bool(answer.thinking) == ("think" in given)
        outcome = answer.finished.receipt.parameters["tools"]
        assert (outcome.status, "not native" in str(outcome.why)) == ("applied", True)
        return list(answer.tool_calls)

    def test_it_says_so(self, model: Model) -> None:
        assert model.info.tools == "prompted"

    @pytest.mark.parametrize(
        ("question", "name", "arguments"),
        [
            ("What is the weather in Lyon, in celsius?", "forecast", {"city": "Lyon", "unit": "celsius"}),
            ("What is 17 plus 25?", "sum", {"a": 17, "b": 25}),
        ],
    )
    def test_it_calls_the_right_tool(self, model: Model, question: str, name: str, arguments: object) -> None:
        [call] = self.called(model, question, ONE)
        assert (call.name, json.loads(call.arguments)) == (name, arguments)

    def test_the_named_tool_alone(self, model: Model) -> None:
        [call] = self.called(model, "What is the weather in Lyon?", ToolChoice("required", "sum", parallel=False))
        assert call.name == "sum"

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_at_random_and_after_thinking(self, model: Model, seed: int) -> None:
        self.called(model, "Help me plan a day in Lyon.", ONE, think=12, seed=seed, temperature=1.0)

    def test_it_reads_the_result(self, model: Model) -> None:
        asked = "What is the weather in Lyon, in celsius?"
        [call] = self.called(model, asked, ONE)
        talk = [
            Message("user", asked),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "snow, -3 degrees", tool_call_id=call.id),
        ]
        answer = model.ask(talk, tools=tuple(OFFERED.values()), max_tokens=40)
        assert "snow" in answer.text
