"""However a model's words are cut into tokens, the same events come out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from dialect_families import ADD, ANSWER, CALLS, FAMILIES, THOUGHT, WEATHER, Family
from hypothesis import given, settings
from hypothesis import strategies as st

from limpide.core.events import Event, TextDelta, ThinkingDelta, ToolCallDelta
from limpide.core.thinking import Thinking
from limpide.engine.calls import Calls, ToolPlan
from limpide.engine.channels import gate_for
from limpide.engine.output import Output
from limpide.engine.sampler import Chosen
from limpide.engine.stops import StopFilter
from limpide.text import Detokenizer, Tokenizer, dialect_for, tool_dialect_for
from limpide.text.tools import TOOL_DIALECTS, CallArguments, ToolScanner
from limpide.text.vocabulary import AddedTokens, Vocabulary

CALLING = [family for family in FAMILIES if family.calls]
each_caller = pytest.mark.parametrize("family", CALLING, ids=lambda family: family.name)


def tokenizer_of(pieces: Sequence[str]) -> Tokenizer:
    """A vocabulary whose tokens are the pieces of one text."""
    return Tokenizer(
        Vocabulary(
            size=len(pieces) + 1,
            encode_plain=lambda _text, _first: [],
            token_bytes=lambda token: pieces[token].encode(),
            special=AddedTokens(()),
            hidden=frozenset(),
            bos_id=None,
            eos_ids=frozenset(),
            add_bos=False,
            space_prefix=False,
            hashed=lambda: "",
        )
    )


def events(family: Family, pieces: Sequence[str]) -> list[Event]:
    """What comes out, neighbouring texts of the same kind as one."""
    tokenizer, out = tokenizer_of(pieces), []
    plan = dialect_for(family.dialect).prepare([], Thinking.parse("max")).turn("", tools=True).plan
    plan_of_tools = ToolPlan(tool_dialect_for(family.tool_dialect or ""), (WEATHER, ADD))
    output = Output(
        tokenizer=tokenizer,
        detokenizer=Detokenizer(tokenizer),
        gate=gate_for(plan, None),
        stops=StopFilter(("STOP!",)),
        emit=out.append,
        index=0,
        turn_ends=("<sep>",),
        calls=Calls(plan_of_tools, index=0, prompt=[1], seed=0),
    )
    for token in range(len(pieces)):
        output.push(Chosen(token, None, ()))
    output.finish()
    return joined(out)


def joined(events: Sequence[Event]) -> list[Event]:
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            out[-1] = TextDelta(last.text + event.text)
        elif isinstance(event, ThinkingDelta) and isinstance(last, ThinkingDelta):
            out[-1] = ThinkingDelta(last.text + event.text)
        elif isinstance(event, ToolCallDelta) and isinstance(last, ToolCallDelta) and event.name is None:
            assert event.call == last.call
            out[-1] = replace(last, arguments=last.arguments + event.arguments)
        else:
            out.append(event)
    return out


def turns(family: Family) -> list[str]:
    """Turns with all that may come: thinking, text, calls, a malformed one among them."""
    assert family.calls
    opened = dialect_for(family.dialect).prepare([], Thinking.parse("max")).turn("", tools=True).suffix
    thinking = family.thinks(THOUGHT).removeprefix(opened)
    between = "<|end|><|start|>assistant" if family.dialect == "harmony" else "\n"
    return [
        thinking + family.calls(CALLS),
        thinking + family.answers(ANSWER) + between + family.calls(CALLS[:1]) + between + family.answers("And so."),
        thinking + family.broken + between + family.calls(CALLS),
        thinking + family.calls(CALLS)[:-3],
        thinking[: len(thinking) // 2],
        thinking + family.answers("a < b [x] { <| STO"),
    ]


def cut(text: str, cuts: set[int]) -> list[str]:
    edges = [0, *sorted(c for c in cuts if c < len(text)), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@each_caller
def test_one_cut_at_every_position(family: Family) -> None:
    for turn in turns(family)[:3]:
        whole = events(family, list(turn))
        for position in range(1, len(turn)):
            assert events(family, [turn[:position], turn[position:]]) == whole, turn[:position]


@each_caller
@settings(max_examples=30, deadline=None)
@given(cuts=st.sets(st.integers(1, 400)), number=st.integers(0, 5))
def test_any_cuts(family: Family, cuts: set[int], number: int) -> None:
    turn = turns(family)[number]
    assert events(family, cut(turn, cuts)) == events(family, [turn])


@each_caller
def test_the_events_are_those_that_were_meant(family: Family) -> None:
    """So that the tests above don't hold for a parser that finds nothing."""
    found = events(family, list(turns(family)[0]))
    assert [e.name for e in found if isinstance(e, ToolCallDelta)] == ["weather", "add"]
    assert isinstance(found[0], ThinkingDelta)
    assert found[0].text.strip() == THOUGHT
    mixed = [type(e) for e in events(family, list(turns(family)[1]))]
    if family.tool_dialect != "llama":
        assert mixed == [ThinkingDelta, TextDelta, ToolCallDelta, TextDelta]


def test_the_fences_of_an_answer_at_every_position() -> None:
    family = next(family for family in FAMILIES if family.name == "granite-3.3")
    turn = f"{THOUGHT}</think>\n\n<response>\nUse </response> so: </resp> done.\n</response>\n"
    expected = [ThinkingDelta(THOUGHT), TextDelta("Use </response> so: </resp> done.\n")]
    for position in range(1, len(turn)):
        assert events(family, [turn[:position], turn[position:]]) == expected, turn[:position]
    assert events(family, list(turn)) == expected


SCRAPS = ["<tool_call>", "</tool_call>", '{"name": "add", "arguments": ', "{", "}", '"', "\\", " ", "a", "[TOOL_CALLS]"]
MORE = [
    "[ARGS]",
    "[",
    "]",
    "<function=add>",
    "</function>",
    "<|tool_call>",
    "call:add{",
    '<|"|>',
    "<tool_call|>",
    ";",
    ",",
    "\n",
    '{"name": "weather", "parameters": {"city": "',
    '"}',
    "add<｜tool▁sep｜>{",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<|start|>assistant to=functions.add<|message|>",
    "<|end|>",
]


@pytest.mark.parametrize("name", TOOL_DIALECTS)
@settings(max_examples=60, deadline=None)
@given(scraps=st.lists(st.sampled_from(SCRAPS + MORE), max_size=14), cuts=st.sets(st.integers(1, 200)))
def test_rubbish_is_text_and_no_error(name: str, scraps: list[str], cuts: set[int]) -> None:
    """Nothing raises, nothing depends on cuts, and without a call nothing is lost."""
    text = "".join(scraps)

    def scan(pieces: list[str]) -> list[object]:
        scanner = ToolScanner(tool_dialect_for(name), (WEATHER, ADD))
        found = [piece for each in pieces for piece in scanner.push(each)] + scanner.finish()
        out: list[object] = []
        for piece in found:
            if isinstance(piece, str) and out and isinstance(out[-1], str):
                out[-1] += piece
            elif isinstance(piece, CallArguments) and isinstance(out[-1], CallArguments):
                out[-1] = CallArguments(out[-1].text + piece.text)
            else:
                out.append(piece)
        return out

    pieces = scan([text])
    assert scan(cut(text, cuts)) == pieces
    if all(isinstance(piece, str) for piece in pieces):
        assert "".join(map(str, pieces)) == text
