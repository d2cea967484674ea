from __future__ import annotations

import pytest

from limpide.cli.options import parse_bias, read_parameter
from limpide.core.errors import InvalidParameter
from limpide.model import SAMPLING_NAMES


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("temperature", "0.7", "temperature", 0.7),
        ("top-p", "0.9", "top_p", 0.9),
        ("TOP_K", "40", "top_k", 40),
        ("min_p", "0.05", "min_p", 0.05),
        ("repetition-penalty", "1.1", "repetition_penalty", 1.1),
        ("frequency_penalty", "-1", "frequency_penalty", -1.0),
        ("presence_penalty", "2", "presence_penalty", 2.0),
        ("logit_bias", "5=-100, 7=1.5", "logit_bias", {5: -100.0, 7: 1.5}),
        ("stop", " END", "stop", (" END",)),
        ("max_tokens", "12", "max_tokens", 12),
        ("seed", "7", "seed", 7),
        ("n", "2", "n", 2),
        ("logprobs", "0", "logprobs", 0),
        ("ignore_eos", "on", "ignore_eos", True),
    ],
)
def test_every_parameter_is_read_from_text(name: str, text: str, field: str, value: object) -> None:
    assert read_parameter(name, text) == (field, value)


def test_no_parameter_is_forgotten() -> None:
    for name in set(SAMPLING_NAMES) - {"stop", "logit_bias"}:
        with pytest.raises(InvalidParameter) as caught:
            read_parameter(name, "?")
        assert caught.value.parameter == name
    assert read_parameter("stop", "?") == ("stop", ("?",))
    assert read_parameter("logit_bias", "") == ("logit_bias", {})


@pytest.mark.parametrize(
    ("name", "text"),
    [("temperature", "hot"), ("temperature", "-1"), ("temperature", "nan"), ("top_k", "1.5"), ("ignore_eos", "maybe")],
)
def test_bad_values_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        read_parameter(name, text)


def test_a_misspelt_name_gives_the_nearest() -> None:
    with pytest.raises(InvalidParameter) as caught:
        read_parameter("temprature", "1")
    assert caught.value.hint == "did you mean temperature?"


@pytest.mark.parametrize("text", ["5", "a=1", "5=", "=1", "5=x"])
def test_bad_biases(text: str) -> None:
    with pytest.raises(InvalidParameter, match="logit_bias"):
        parse_bias(text)
