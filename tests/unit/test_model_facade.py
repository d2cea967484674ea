from __future__ import annotations

import pytest

import limpide
from limpide import Answer, LimpideError, Model, Sampling, Thinking
from limpide.backends.fake import FakeBackend
from limpide.core.answers import collect
from limpide.core.errors import (
    BadRequest,
    EmptyPrompt,
    EngineStopped,
    InvalidParameter,
    ModelFileMissing,
    UnknownModel,
)
from limpide.core.events import Finished, TextDelta
from limpide.core.messages import Message


@pytest.fixture
def model() -> Model:
    return Model.from_backend(FakeBackend())


def test_ask(model: Model) -> None:
    answer = model.ask("Where?", think="low", seed=3)
    assert isinstance(answer, Answer)
    assert answer.text == "This is a scripted answer."
    assert answer.thinking.strip() == "First one thing, then another."
    assert answer.finished.receipt.seed == 3
    assert model.ask("Where?").thinking == ""


def test_every_form_of_prompt(model: Model) -> None:
    turns = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    for prompt in ("a", turns[0], turns):
        assert model.ask(prompt, system="Be brief.").text == "This is a scripted answer."


def test_stream_is_the_same_in_pieces(model: Model) -> None:
    events = list(model.stream("Where?", stop="scripted"))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "This is a "
    assert isinstance(events[-1], Finished)
    assert events[-1].stop == "scripted"


def test_choices(model: Model) -> None:
    assert len(model.choices("Where?", n=3)) == 3
    with pytest.raises(InvalidParameter, match="n can't be 3"):
        model.ask("Where?", n=3)


def test_unknown_parameters_are_refused_by_name(model: Model) -> None:
    with pytest.raises(InvalidParameter) as caught:
        model.ask("Where?", temprature=1)
    assert caught.value.parameter == "temprature"
    assert caught.value.hint == "did you mean temperature?"
    with pytest.raises(InvalidParameter, match="effort"):
        model.stream("Where?", effort=1)
    with pytest.raises(InvalidParameter, match="system_prompt"):
        model.complete("Where?", system_prompt="x")


def test_mistakes_raise_before_the_first_event(model: Model) -> None:
    with pytest.raises(EmptyPrompt):
        model.stream(" ")
    with pytest.raises(InvalidParameter, match="think"):
        model.stream("Where?", think="banana")
    with pytest.raises(InvalidParameter, match="temperature"):
        model.stream("Where?", temperature=-1)


def test_complete_and_score() -> None:
    model = Model.from_backend(FakeBackend("The sea is blue."))
    assert collect(model.complete("The sea is"))[0].text == " blue."
    blue, red = model.score("The sea is", [" blue.", " red."])
    assert blue.total > red.total
    assert blue.greedy
    assert model.score("The sea is", " blue.") == [blue]


def test_logits(model: Model) -> None:
    logits = model.logits([1, 2, 3])
    assert logits.shape[0] == 3
    assert logits.dtype == "float32"


def test_closing(model: Model) -> None:
    with model:
        model.ask("Where?")
    model.close()
    with pytest.raises(EngineStopped):
        model.ask("Where?")


def test_a_broken_stream_is_no_answer() -> None:
    with pytest.raises(EngineStopped):
        collect([TextDelta("half")])


class Remote:
    """A backend with no more than the port asks for."""

    def __init__(self) -> None:
        self._fake = FakeBackend()
        self.info = self._fake.info
        self.stream = self._fake.stream
        self.score = self._fake.score
        self.close = self._fake.close


def test_what_only_a_local_model_has() -> None:
    with pytest.raises(BadRequest, match="Remote, which has no logits"):
        Model.from_backend(Remote()).logits([1])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"numerics": "sloppy"}, "numerics"),
        ({"context": 0}, "context"),
        ({"threads": True}, "threads"),
        ({"accept_licence": "nobodys"}, "licence"),
    ],
)
def test_bad_options(options: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        Model("smollm2-135m", offline=True, **options)  # type: ignore[arg-type]


def test_unknown_references() -> None:
    with pytest.raises(UnknownModel, match="smollm2-135n"):
        Model("smollm2-135n", offline=True)
    with pytest.raises(ModelFileMissing):
        Model("./nowhere.gguf", offline=True)


def test_the_package_offers_its_nouns() -> None:
    assert set(limpide.__all__) <= set(dir(limpide))
    assert (Sampling().temperature, Thinking.parse("off").budget) == (0.0, 0)
    assert issubclass(UnknownModel, LimpideError)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        limpide.nothing_like_this  # noqa: B018
