"""Thinking dialects."""

from __future__ import annotations

import pytest

from limpide.core.errors import InvalidParameter, ThinkingUnsupported
from limpide.core.messages import Message
from limpide.core.thinking import Capability, Thinking
from limpide.text import detect_dialect, dialect_for
from limpide.text.thinking import DIALECTS

HELLO = [Message("user", "hello")]


class TestDialects:
    @pytest.mark.parametrize("name", DIALECTS)
    def test_off_thinks_nothing(self, name: str) -> None:
        prepared = dialect_for(name).prepare(HELLO, Thinking.parse("off"))
        assert prepared.plan.budget == 0
        assert not prepared.plan.starts_thinking
        assert prepared.messages == tuple(HELLO)

    @pytest.mark.parametrize("name", [name for name, d in DIALECTS.items() if d.capability is not Capability.NONE])
    def test_on_can_always_be_enforced(self, name: str) -> None:
        plan = dialect_for(name).prepare(HELLO, Thinking.parse("low")).plan
        assert plan.budget == 256
        assert plan.forced_close
        assert plan.close_marker is not None
        assert plan.close_marker in plan.forced_close

    def test_a_base_model_refuses(self) -> None:
        with pytest.raises(ThinkingUnsupported, match="base model"):
            dialect_for("none").prepare(HELLO, Thinking.parse("low"))

    def test_prompted(self) -> None:
        dialect = dialect_for("prompted")
        off, on = (dialect.prepare(HELLO, Thinking.parse(word)) for word in ("off", "max"))
        assert off.suffix == ""
        assert off.template_kwargs == {}
        assert on.suffix
        assert on.plan.starts_thinking
        assert on.plan.eos_closes
        assert on.plan.budget is None
        assert on.note

    def test_native_uses_the_templates_switch(self) -> None:
        dialect = dialect_for("think-tags")
        assert dialect.prepare(HELLO, Thinking.parse("off")).template_kwargs == {"enable_thinking": False}
        on = dialect.prepare(HELLO, Thinking.parse(7))
        assert on.template_kwargs == {"enable_thinking": True}
        assert on.plan.budget == 7
        assert not on.plan.eos_closes

    def test_off_of_a_model_that_always_thinks_is_said_to_be_emulated(self) -> None:
        off = dialect_for("think-tags-always").prepare(HELLO, Thinking.parse("off"))
        assert off.suffix == "<think>\n\n</think>\n\n"
        assert off.note is not None
        assert "emulated" in off.note

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
        ],
    )
    def test_detection(self, source: str | None, name: str) -> None:
        assert detect_dialect(source, "llama").name == name
