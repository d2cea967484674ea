"""Markers are found wherever the text is cut, and never shown."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.engine.stops import StopFilter
from limpide.engine.thinking import Phase, ThinkingGate
from limpide.text import ThinkingPlan


def run(stops: tuple[str, ...], pieces: list[str]) -> tuple[str, str | None]:
    stop_filter = StopFilter(stops)
    shown = "".join(stop_filter.push(piece) for piece in pieces) + stop_filter.flush()
    assert stop_filter.num_passed == len(shown)
    return shown, stop_filter.matched


@given(
    text=st.text("ab ", max_size=30),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    cuts=st.sets(st.integers(0, 30)),
)
def test_the_outcome_does_not_depend_on_the_cuts(text: str, stops: list[str], cuts: set[int]) -> None:
    edges = [0, *sorted(c for c in cuts if c < len(text)), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    outcome = run(tuple(stops), pieces)
    assert outcome == run(tuple(stops), list(text))
    first = min((text.find(s) + len(s) for s in stops if s in text), default=None)
    if first is None:
        assert outcome == (text, None)
    else:
        shown, matched = outcome
        assert matched is not None
        assert shown + matched == text[:first]


def test_text_is_held_only_as_long_as_it_may_become_a_stop() -> None:
    stop_filter = StopFilter(("STOP",))
    assert [stop_filter.push(c) for c in "aSTxSTOPb"] == ["a", "", "", "STx", "", "", "", "", ""]


def gate(budget: int | None = None, **plan: Any) -> ThinkingGate:
    fields = {"starts_thinking": True, "open_marker": None, "close_marker": "</t>", "forced_close": "\n</t>\n\n"}
    return ThinkingGate(ThinkingPlan(**(fields | plan)), budget)  # type: ignore[arg-type]


def feed(g: ThinkingGate, pieces: list[str]) -> tuple[str, str]:
    segments = [s for piece in pieces for s in g.push(piece)] + g.finish()
    return "".join(t for thinking, t in segments if thinking), "".join(t for thinking, t in segments if not thinking)


@given(cuts=st.sets(st.integers(0, 40)), opens=st.booleans())
def test_thinking_ends_at_the_marker_wherever_it_is_cut(cuts: set[int], opens: bool) -> None:
    text = (" \n<t>" if opens else "") + "so </x> 1<2 </t >\n</t>\n\nIt is </t> 4 "
    g = gate(starts_thinking=not opens, open_marker="<t>" if opens else None)
    edges = [0, *sorted(c for c in cuts if c < len(text)), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert feed(g, pieces) == ("so </x> 1<2 </t >\n", "It is </t> 4 ")
    assert g.phase is Phase.ANSWER


@given(cuts=st.sets(st.integers(0, 12)))
def test_an_answer_without_thinking_is_all_answer(cuts: set[int]) -> None:
    text = " <tea for 2>"
    edges = [0, *sorted(c for c in cuts if c < len(text)), len(text)]
    g = gate(starts_thinking=False, open_marker="<t>")
    assert feed(g, [text[a:b] for a, b in itertools.pairwise(edges)]) == ("", text)
    assert g.num_thinking_tokens == 0


def test_an_answer_that_ends_inside_the_opening_marker_is_shown() -> None:
    assert feed(gate(starts_thinking=False, open_marker="<t>"), ["<"]) == ("", "<")


def test_the_budget_counts_tokens_whether_they_have_text_or_not() -> None:
    g = gate(budget=3)
    for text in ("a", "", "b"):
        assert not g.exhausted
        g.push(text)
    assert g.exhausted
    g.close(2)
    assert not g.exhausted
    assert g.num_thinking_tokens == 5


def test_tokens_of_the_opening_are_thinking_but_not_budget() -> None:
    g = gate(budget=1, starts_thinking=False, open_marker="<t>")
    for text in ("<", "t", ">"):
        g.push(text)
    assert g.num_thinking_tokens == 3
    assert not g.exhausted
    g.push("a")
    assert g.exhausted


@pytest.mark.parametrize(("written", "rest"), [("a", "\n</t>\n\n"), ("a<", "/t>\n\n"), ("a</t", ">\n\n")])
def test_a_half_written_marker_is_completed(written: str, rest: str) -> None:
    g = gate(budget=1)
    shown = g.push(written)
    assert g.closing_text() == rest
    assert [*shown, *g.close(1), *g.push("4"), *g.finish()] == [(True, "a"), (False, "4")]


def test_without_a_plan_everything_is_the_answer() -> None:
    g = ThinkingGate(None, None)
    assert feed(g, ["a</t>", " b"]) == ("", "a</t> b")


def test_thinking_that_never_ends_is_thinking() -> None:
    assert feed(gate(), ["a", "b</"]) == ("ab</", "")
