"""Thinking dialects, and telling thinking from answer while it streams."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpide.core.errors import InvalidParameter, ThinkingUnsupported
from limpide.core.messages import Message
from limpide.core.thinking import Capability, Thinking
from limpide.text import ThinkingPlan, ThinkingSplitter, detect_dialect, dialect_for
from limpide.text.thinking import DIALECTS

HELLO = [Message("user", "hello")]
OPENED = ThinkingPlan(budget=None, starts_thinking=True, open_marker="<think>", close_marker="</think>")
MODEL_OPENS = ThinkingPlan(budget=None, open_marker="<think>", close_marker="</think>")


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


def split(plan: ThinkingPlan, pieces: list[str]) -> tuple[str, str]:
    """All thinking and all text, streamed."""
    splitter = ThinkingSplitter(plan)
    parts = [part for piece in pieces for part in splitter.push(piece)] + splitter.flush()
    assert all(text for _, text in parts)
    thinking, answer = ("".join(text for kind, text in parts if kind == wanted) for wanted in ("thinking", "text"))
    return thinking, answer


class TestSplitter:
    @pytest.mark.parametrize(
        ("plan", "text", "thinking", "answer"),
        [
            (OPENED, "\nsteps\n\n  more\n</think>\n\nParis.\n", "steps\n\n  more", "Paris.\n"),
            (OPENED, "no end </thi", "no end </thi", ""),
            (OPENED, "a</think>b</think>c <think>", "a", "b</think>c <think>"),
            (OPENED, "", "", ""),
            (OPENED, " \n</think> ", "", ""),
            (MODEL_OPENS, "<think>\nsteps</think>\nParis", "steps", "Paris"),
            (MODEL_OPENS, "\n<think>steps</think>Paris", "steps", "Paris"),
            (MODEL_OPENS, "Paris <think>x</think>", "", "Paris <think>x</think>"),
            (MODEL_OPENS, "<thin", "", "<thin"),
            (MODEL_OPENS, " <b>", "", " <b>"),
            (ThinkingPlan(), " Paris <think>x</think> ", "", " Paris <think>x</think> "),
        ],
    )
    def test_whole_and_letter_by_letter(self, plan: ThinkingPlan, text: str, thinking: str, answer: str) -> None:
        assert split(plan, [text]) == (thinking, answer)
        assert split(plan, list(text)) == (thinking, answer)

    @settings(max_examples=300, deadline=None)
    @given(
        plan=st.sampled_from([OPENED, MODEL_OPENS, ThinkingPlan()]),
        pieces=st.lists(st.text("</think>\n a", max_size=9) | st.sampled_from(["<think>", "</think>"]), max_size=8),
        data=st.data(),
    )
    def test_any_cutting_gives_the_same(self, plan: ThinkingPlan, pieces: list[str], data: st.DataObject) -> None:
        text = "".join(pieces)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        other = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert split(plan, pieces) == split(plan, [text]) == split(plan, other)

    def test_nothing_is_held_back_without_need(self) -> None:
        splitter = ThinkingSplitter(OPENED)
        assert splitter.push("a < b") == [("thinking", "a < b")]
        assert splitter.push(" </") == []
        assert splitter.push("b") == [("thinking", " </b")]
        assert splitter.thinking
        assert splitter.push("</think>yes ") == [("text", "yes ")]
        assert not splitter.thinking

    def test_the_engine_closes(self) -> None:
        splitter = ThinkingSplitter(OPENED)
        assert splitter.push("steps </th") == [("thinking", "steps")]
        assert splitter.close() == [("thinking", " </th")]
        assert splitter.push("\n\nParis</think>") == [("text", "Paris</think>")]
        assert splitter.close() == []
        assert splitter.flush() == []
