"""Thinking dialects: what each makes of a request, and how they are told apart."""

from __future__ import annotations

import pytest

from limpide.core.errors import InvalidParameter, ThinkingUnsupported
from limpide.core.messages import Message
from limpide.core.thinking import Capability, Thinking
from limpide.text import detect_dialect, dialect_for
from limpide.text.thinking import Prepared, Turn
from limpide.text.thinking_dialects import DIALECTS

HELLO = [Message("user", "hello")]
THINKERS = [name for name, d in DIALECTS.items() if d.capability is not Capability.NONE]
FENCED = [name for name in THINKERS if DIALECTS[name].open]


def prepared(name: str, think: object) -> Prepared:
    return dialect_for(name).prepare(HELLO, Thinking.parse(think))  # type: ignore[arg-type]


def turn(name: str, think: object, prompt: str = "assistant:", *, tools: bool = False) -> Turn:
    return prepared(name, think).turn(prompt, tools=tools)


class TestDialects:
    @pytest.mark.parametrize("name", DIALECTS)
    def test_off_thinks_nothing(self, name: str) -> None:
        plan = turn(name, "off").plan
        assert plan.budget == 0
        assert not plan.starts_thinking

    @pytest.mark.parametrize("name", THINKERS)
    def test_on_can_always_be_enforced(self, name: str) -> None:
        plan = turn(name, "low", "assistant:<think>\n").plan
        assert plan.budget == 256
        if plan.channels:
            assert plan.forced_close.startswith(plan.channels.ends[0])
        else:
            assert plan.close_marker is not None
            assert plan.close_marker in plan.forced_close

    @pytest.mark.parametrize("name", FENCED)
    def test_an_opened_turn_is_not_opened_twice(self, name: str) -> None:
        opening = DIALECTS[name].open
        assert opening
        on, off = (turn(name, think, f"assistant\n{opening.strip()}\n") for think in ("low", "off"))
        assert on.suffix == ""
        assert on.plan.starts_thinking
        assert off.suffix == DIALECTS[name].forced_close

    @pytest.mark.parametrize("name", ["think-tags-opened", "deepseek-v3.1", "think-tags-always-opened"])
    def test_where_the_template_left_it_closed_the_answer_is_no_thinking(self, name: str) -> None:
        """DeepSeek's templates open no thinking behind a tool's result."""
        plan = turn(name, "low", "<｜tool▁output▁end｜>").plan
        assert not plan.starts_thinking
        assert plan.open_marker == "<think>"

    def test_a_base_model_refuses(self) -> None:
        with pytest.raises(ThinkingUnsupported, match="base model"):
            prepared("none", "low")

    def test_prompted(self) -> None:
        off, on = turn("prompted", "off"), turn("prompted", "max")
        assert off == Turn()
        assert on.suffix
        assert on.plan.starts_thinking
        assert on.plan.eos_closes
        assert on.plan.budget is None
        assert prepared("prompted", "max").note

    def test_native_uses_the_templates_switch(self) -> None:
        assert prepared("think-tags", "off").template_kwargs == {"enable_thinking": False}
        assert prepared("think-tags", 7).template_kwargs == {"enable_thinking": True}
        assert turn("think-tags", 7).plan.budget == 7
        assert not turn("think-tags", 7).plan.eos_closes

    @pytest.mark.parametrize("name", [name for name in THINKERS if DIALECTS[name].capability is Capability.ALWAYS])
    def test_off_of_a_model_that_always_thinks_is_said_to_be_emulated(self, name: str) -> None:
        note = prepared(name, "off").note
        assert note is not None
        assert "emulated" in note
        assert turn(name, "off").suffix

    @pytest.mark.parametrize(
        ("think", "word"),
        [
            ("off", "low"),
            ("minimal", "low"),
            ("low", "low"),
            ("medium", "medium"),
            ("high", "high"),
            ("max", "high"),
            (100, "low"),
            (1000, "medium"),
            (2000, "high"),
        ],
    )
    def test_effort_in_the_templates_words(self, think: object, word: str) -> None:
        assert prepared("harmony", think).template_kwargs == {"reasoning_effort": word}

    def test_channels_leave_the_choice_between_answer_and_call(self) -> None:
        assert turn("harmony", "off").suffix.endswith("<|channel|>final<|message|>")
        assert turn("harmony", "off", tools=True).suffix.endswith("<|start|>assistant")
        plan = turn("harmony", "low", tools=True).plan
        assert plan.forced_close == "<|end|><|start|>assistant"
        assert plan.insisting_close == "<|end|><|start|>assistant<|channel|>final<|message|>"

    def test_old_thinking_is_dropped_where_the_family_wants_it(self) -> None:
        earlier = Message("assistant", "<reasoning>\nhm\n</reasoning>\n\nParis", thinking="hm")
        [dropped] = dialect_for("reka").prepare([earlier], Thinking.parse("low")).messages
        assert dropped == Message("assistant", "Paris")
        [kept] = dialect_for("harmony").prepare([earlier], Thinking.parse("low")).messages
        assert kept == earlier

    @pytest.mark.parametrize("name", ["mistral-think", "mistral-effort"])
    def test_old_thinking_is_written_out_where_templates_look_for_it_in_the_content(self, name: str) -> None:
        """Mistral's templates know no field for it, and its models are to see it again."""
        talk = [Message("user", "Where?", thinking="x"), Message("assistant", "Paris", thinking="hm")]
        asked, told = dialect_for(name).prepare(talk, Thinking.parse("low")).messages
        assert asked == talk[0]
        assert told == Message("assistant", "[THINK]hm[/THINK]Paris")

    def test_deepseek_v31_sets_no_lines_about_its_thinking(self) -> None:
        assert turn("deepseek-v3.1", 5, "<｜Assistant｜><think>").plan.forced_close == "</think>"

    def test_unknown_names(self) -> None:
        with pytest.raises(InvalidParameter):
            dialect_for("telepathy")

    @pytest.mark.parametrize(
        ("source", "name"),
        [
            (None, "none"),
            ("", "none"),
            ("{{ messages[0].content }}", "prompted"),
            ("{% if enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}", "think-tags"),
            ("{% if enable_thinking %}{{ '<think>\\n' }}{% else %}{{ '</think>' }}{% endif %}", "think-tags-opened"),
            ("{{ content.split('</think>')[-1] }}", "think-tags-always"),
            ("{{ content.split('</think>')[-1] }}{{ '<｜Assistant｜><think>\\n' }}", "think-tags-always-opened"),
            ("{% if thinking is defined %}{{ '<think>' }}{% else %}{{ '</think>' }}{% endif %}", "deepseek-v3.1"),
            (
                "{% if not thinking is defined %}{% if enable_thinking is defined %}"
                "{% set thinking = enable_thinking %}{% endif %}{% endif %}{{ '<think>' }}",
                "deepseek-v3.1",
            ),
            (
                "{{ '<|start_of_role|>' }}{% if thinking %}<think></think> <response></response>{% endif %}",
                "granite-3.3",
            ),
            ("{{ '<|start_of_role|>' }}{% if thinking %}Here is my thought process:{% endif %}", "granite-3.2"),
            ("{{ '<|channel>thought\\n<channel|>' }}", "gemma-4"),
            ("{{ 'follow [THINK]this[/THINK]' }}", "mistral-think"),
            ("{{ reasoning_effort }}{{ '[THINK]' + block + '[/THINK]' }}", "mistral-effort"),
            ("{{ 'human: ' + m.content + ' <sep> ' }}", "reka"),
            ("{{ '<|channel|>analysis<|message|>' }}", "harmony"),
        ],
    )
    def test_detection(self, source: str | None, name: str) -> None:
        assert detect_dialect(source, "llama").name == name
