"""An answer is found by its id, while it is being written, by whoever asked for it."""

from __future__ import annotations

from typing import Any

import pytest

from limpide.core.errors import NotFound
from limpide.core.hosting import Caller
from limpide.server.running import RunningAnswers


def test_only_its_own_client_finds_an_answer() -> None:
    answers, ann, running = RunningAnswers(), Caller("ann"), object()
    answer: Any = running
    with answers.known("chatcmpl-1", ann, answer):
        assert answers.find("chatcmpl-1", ann) is running
        for name, caller in (("chatcmpl-1", Caller("bob")), ("chatcmpl-2", ann)):
            with pytest.raises(NotFound):
                answers.find(name, caller)
    with pytest.raises(NotFound):
        answers.find("chatcmpl-1", ann)
