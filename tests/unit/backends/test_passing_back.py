"""Conversations with earlier calls, results and thinking: what the model sees of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from dialect_families import ANSWER, WEATHER, Family
from test_dialects import BY_NAME

from limpide.core.errors import InvalidParameter
from limpide.core.messages import Message, Tool, ToolCall
from limpide.core.ports import ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking


def prompt(family: Family, *messages: Message, think: str = "off", tools: Iterable[Tool] = (WEATHER,)) -> str:
    backend = family.backend(ANSWER)
    try:
        request = ChatRequest(messages, Sampling(), Thinking.parse(think), tuple(tools))
        return backend.tokenizer.decode(backend.prepare(request).prompt, special=True)
    finally:
        backend.close()


class TestPassingBack:
    asked = Message("user", "Weather in Paris and Rome?")
    both = Message(
        "assistant",
        "",
        thinking="two cities",
        tool_calls=(
            ToolCall("call_1", "weather", '{"city": "Paris"}'),
            ToolCall("call_2", "weather", '{"city": "Rome"}'),
        ),
    )
    rome = Message("tool", "rain", tool_call_id="call_2")
    paris = Message("tool", "sun", tool_call_id="call_1")

    def test_harmony_sees_its_thinking_and_one_call_a_message(self) -> None:
        text = prompt(BY_NAME["gpt-oss"], self.asked, self.both, self.rome, self.paris)
        words = ["two cities", '"Paris"', "sun", '"Rome"', "rain"]
        places = [text.index(word) for word in words]
        assert places == sorted(places)

    def test_mistral_sees_its_thinking_between_its_tags(self) -> None:
        family = BY_NAME["magistral-2507"]
        text = prompt(family, self.asked, Message("assistant", "Sun.", thinking="hm"), Message("user", "And Rome?"))
        assert "[THINK]hm[/THINK]Sun." in text

    def test_harmony_takes_thinking_and_content_together(self) -> None:
        one = Message("assistant", "I look.", thinking="hm", tool_calls=self.both.tool_calls[:1])
        assert "hm\n\nI look." in prompt(BY_NAME["gpt-oss"], self.asked, one, self.paris)

    def test_mistral_gets_ids_of_nine_letters_that_still_match(self) -> None:
        family = BY_NAME["mistral-v3"]
        template = family.template.replace("c.function|tojson", "c.id + c.function.name").replace(
            "m.content or ''", "(m.tool_call_id or '') + m.content"
        )
        seen = prompt(
            Family(**{**vars(family), "template": "{{ tools|tojson }}" + template + "{{ messages|tojson }}"}),
            self.asked,
            self.both,
            self.rome,
        )
        assert "call_1" not in seen

    def test_a_template_without_a_place_for_calls_gets_them_written_out(self) -> None:
        family = BY_NAME["granite-3.3"]
        bare = family.template.replace("{% for c in m.tool_calls %}{{ c.function|tojson }}{% endfor %}", "")
        text = prompt(Family(**{**vars(family), "template": bare}), self.asked, self.both, self.rome, self.paris)
        assert '<|tool_call|>[{"name": "weather", "arguments": {"city": "Paris"}}, {"name"' in text

    def test_or_they_are_refused(self) -> None:
        family = BY_NAME["gemma-4"]
        bare = family.template.replace("{% for c in m.tool_calls %}{{ c.function|tojson }}{% endfor %}", "")
        with pytest.raises(InvalidParameter, match="messages"):
            prompt(Family(**{**vars(family), "template": bare}), self.asked, self.both, self.rome)

    def test_a_template_without_a_place_for_tools_gets_a_system_message(self) -> None:
        family = BY_NAME["deepseek-v3.1"]
        bare = family.template.replace("{% if tools %}{{ tools|tojson }}{% endif %}", "")
        text = prompt(Family(**{**vars(family), "template": bare}), self.asked)
        assert "weather: tells it" in text
        assert "<｜tool▁calls▁begin｜>" in text

    def test_arguments_as_text_and_no_content_where_the_template_wants_them_so(self) -> None:
        source = (
            "{% for m in messages %}{% if m.content is none %}{% for c in m.tool_calls %}"
            "{{ 'CALL ' + c.function.name + c.function.arguments }}{% endfor %}{% else %}{{ m.content }}{% endif %}"
            "{% endfor %}{{ '<｜Assistant｜><think>\n' }}"
        )
        family = Family(**{**vars(BY_NAME["deepseek-r1"]), "template": source})
        assert 'CALL weather{"city": "Paris"}' in prompt(family, self.asked, self.both, tools=())

    def test_words_beside_a_call_are_told_apart_where_the_template_takes_only_one_of_both(self) -> None:
        spoken = Message("assistant", "I look.", tool_calls=self.both.tool_calls[:1])
        family = BY_NAME["deepseek-r1"]
        source = (
            "{% for m in messages %}{% if m.content %}{{ m.content }}{% else %}{% for c in m.tool_calls %}"
            "{{ c.function|tojson }}{% endfor %}{% endif %}{% endfor %}{{ '<｜Assistant｜>' }}"
        )
        text = prompt(Family(**{**vars(family), "template": source}), self.asked, spoken, self.paris, tools=())
        assert "I look." in text
        assert '"Paris"' in text

    def test_words_are_told_before_their_call_or_not_at_all(self) -> None:
        """A template may put them behind the result, in the place of the answer that is asked for."""
        spoken = Message("assistant", "I look.", tool_calls=self.both.tool_calls[:1])
        family = BY_NAME["gemma-4"]
        behind = (
            "{{ tools|tojson }}{% for m in messages %}{% if m.role == 'tool' %}{{ m.content }}{% else %}"
            "{% if loop.index0 == 0 or messages[loop.index0 - 1].role != m.role %}<|turn>{{ m.role }}\n{% endif %}"
            "{% for c in m.tool_calls %}{{ c.function|tojson }}{% endfor %}{{ m.content }}"
            "{% if m.content %}<turn|>\n{% endif %}{% endif %}{% endfor %}"
            "{% if messages[-1].role != 'tool' and add_generation_prompt %}<|turn>model\n{% endif %}"
        )
        backend = Family(**{**vars(family), "template": behind}).backend(ANSWER)
        try:
            prepared = backend.prepare(ChatRequest((self.asked, spoken, self.paris)))
            text = backend.tokenizer.decode(prepared.prompt, special=True)
        finally:
            backend.close()
        assert "I look." not in text
        assert text.endswith('{"city": "Paris"}}sun')
        assert prepared.outcomes["messages"].effective == "in part"

    def test_or_the_receipt_says_that_they_are_not_seen(self) -> None:
        spoken = Message("assistant", "I look.", tool_calls=self.both.tool_calls[:1])
        family = BY_NAME["mistral-v3"]
        source = (
            "{% set n = namespace(last='') %}{% for m in messages %}{% if m.tool_calls %}{{ m.tool_calls|tojson }}"
            "{% else %}{% if m.role == n.last %}{{ raise_exception('roles must alternate') }}{% endif %}"
            "{{ m.content }}{% if m.role != 'tool' %}{% set n.last = m.role %}{% endif %}{% endif %}{% endfor %}[/A]"
        )
        backend = Family(**{**vars(family), "template": source}).backend(ANSWER)
        try:
            prepared = backend.prepare(ChatRequest((self.asked, spoken, self.paris)))
        finally:
            backend.close()
        outcome = prepared.outcomes["messages"]
        assert (outcome.status, outcome.effective) == ("clamped", "in part")
