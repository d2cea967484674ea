"""The shared nouns: what they accept, what they refuse, what they say."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.core.errors import ContextExceeded, EmptyPrompt, InvalidParameter, UnknownModel
from limpide.core.events import Usage
from limpide.core.messages import Message, conversation
from limpide.core.ports import Scored
from limpide.core.receipt import Outcome, Receipt
from limpide.core.sampling import Sampling
from limpide.core.thinking import BUDGETS, Effort, Thinking


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", True),
        ("temperature", "1"),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("top_k", 1.5),
        ("min_p", 2.0),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", 5e-324),
        ("frequency_penalty", 2.1),
        ("presence_penalty", -2.1),
        ("max_tokens", 0),
        ("seed", -1),
        ("seed", 2**63),
        ("n", 0),
        ("n", 129),
        ("logprobs", 21),
        ("stop", ("",)),
        ("stop", tuple("abcdefghijklmnopq")),
        ("logit_bias", {-1: 0.0}),
        ("logit_bias", {1: 101.0}),
    ],
)
def test_sampling_out_of_range(name: str, value: object) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Sampling(**{name: value})  # type: ignore[arg-type]
    assert caught.value.expected


@pytest.mark.parametrize(
    ("value", "budget"),
    [
        ("off", 0),
        (None, 0),
        (False, 0),
        (True, BUDGETS[Effort.MEDIUM]),
        (" HIGH ", BUDGETS[Effort.HIGH]),
        ("max", None),
        (Effort.LOW, BUDGETS[Effort.LOW]),
        (300, 300),
        ("300", 300),
        ("0", 0),
    ],
)
def test_thinking_reads_what_people_write(value: str | int | bool | Effort | None, budget: int | None) -> None:
    thinking = Thinking.parse(value)
    assert thinking.budget == budget
    assert thinking.enabled == (budget != 0)
    assert Thinking.parse(str(thinking)) == thinking or value in (0, "0")
    assert Thinking.parse(thinking) is thinking


@pytest.mark.parametrize("value", ["", "banana", "-1", -1, "1.5", "²", "٣"])
def test_thinking_refuses_the_rest(value: str | int) -> None:
    with pytest.raises(InvalidParameter, match="think"):
        Thinking.parse(value)


@given(st.text())
def test_thinking_never_fails_otherwise(text: str) -> None:
    try:
        Thinking.parse(text)
    except InvalidParameter:
        return


def test_conversation_takes_every_form() -> None:
    turn = Message("user", "hi")
    assert conversation("hi") == conversation(turn) == conversation([turn]) == (turn,)
    assert conversation("hi", system="be brief") == (Message("system", "be brief"), turn)


@pytest.mark.parametrize("prompt", ["", "  \n\t", [], [Message("system", "be brief")], Message("user", "")])
def test_nothing_to_answer(prompt: str | Message | list[Message]) -> None:
    with pytest.raises(EmptyPrompt):
        conversation(prompt)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="role"):
        Message("robot", "hi")  # type: ignore[arg-type]


def test_errors_say_what_expected_and_what_to_do() -> None:
    error = UnknownModel("no model is called 'x'", expected="a name", hint="smollm2-135m")
    assert str(error) == "no model is called 'x'\nExpected: a name\nTry: smollm2-135m"
    assert error.slug == "unknown-model"
    assert (error.exit_code, error.http_status) == (2, 404)


def test_context_exceeded_has_both_numbers() -> None:
    error = ContextExceeded(9000, 8192)
    assert "9000" in str(error)
    assert "8192" in str(error)


def test_small_sums() -> None:
    assert Usage(1, 0, 3, 4).generated_tokens == 7
    assert Scored((-1.0, -2.5), greedy=False).total == -3.5


def test_a_receipt_is_plain_data() -> None:
    receipt = Receipt({"top_k": Outcome("applied", 3, 3)}, "m", None, None, None, "e", "fast", 1)
    assert receipt.as_dict()["parameters"]["top_k"]["effective"] == 3
