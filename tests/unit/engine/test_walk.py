"""One walk through the trie of a run gives each text what it would get alone; and shares all that can be shared."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from limpide.cache import BranchCache
from limpide.engine import trie
from limpide.engine.apart import Apart, score_alone
from limpide.engine.parity import prove
from limpide.engine.texts import Text, windows
from limpide.engine.walk import Layout, Walk

TOLERANCE = 1e-4


def walk(world: Any, texts: Sequence[Text], *, most_slots: int = 4096, budget: int = 64) -> Walk:
    layout = Layout(world.model.spec.kv_shapes, torch.float32, most_slots, budget)
    return Walk(world.model, texts, layout)


def check(world: Any, texts: Sequence[Text], **options: int) -> None:
    """Each text's scores are those of a plain pass over it, and each text has one."""
    found = list(walk(world, texts, **options))
    assert sorted(index for index, _ in found) == list(range(len(texts)))
    for index, scored in found:
        tokens, start = texts[index]
        if start == len(tokens):
            assert (scored.logprobs, scored.greedy) == ((), True)
            continue
        rows = torch.log_softmax(world.plain_logits(list(tokens[:-1])), -1)[start - 1 :]
        wanted = [float(row[token]) for row, token in zip(rows, tokens[start:], strict=True)]
        assert scored.logprobs == pytest.approx(wanted, abs=TOLERANCE)
        assert scored.greedy == all(int(row.argmax()) == token for row, token in zip(rows, tokens[start:], strict=True))


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Text], int, int]:
    """Texts that share much, since they are made of few different tokens and of one another's beginnings."""
    texts: list[Text] = []
    for _ in range(draw(st.integers(1, 8))):
        beginning = draw(st.sampled_from(texts))[0] if texts and draw(st.booleans()) else []
        rest = draw(st.lists(st.integers(0, 2), min_size=1, max_size=24))
        tokens = [*beginning[: draw(st.integers(0, len(beginning)))], *rest]
        texts.append((tokens, draw(st.integers(1, len(tokens)))))
    return texts, draw(st.integers(1, 40)), draw(st.integers(1, 40))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(run=runs())
@example(run=([([1, 2, 0, 1], 2), ([1, 2, 0, 1], 2), ([1, 2, 0], 2), ([1, 2, 0, 2, 2], 4)], 1, 1))
@example(run=([([0, 0, 1], 2), ([0, 0, 2], 2), ([0, 0], 1), ([0], 1)], 3, 1))
def test_any_run_in_any_order_scores_as_each_text_alone(world: Any, run: tuple[list[Text], int, int]) -> None:
    texts, most_slots, budget = run
    check(world, texts, most_slots=most_slots, budget=budget)


def questions(count: int, seed: int = 0) -> list[Text]:
    """Questions of four choices with a preamble that all of them share."""
    draw = random.Random(seed)

    def tokens(length: int) -> list[int]:
        return [draw.randrange(256) for _ in range(length)]

    preamble, texts = tokens(30), []
    for _ in range(count):
        context = [*preamble, *tokens(draw.randrange(5, 20))]
        texts += [([*context, *tokens(draw.randrange(1, 6))], len(context)) for _ in range(4)]
    draw.shuffle(texts)
    return texts


def too_much_in_common(a: Any, b: Any) -> int:
    count = min(len(a), len(b))
    return min(count, 1 + next((i for i in range(count) if a[i] != b[i]), count))


def given_up_too_early(self: Any, spans: Sequence[tuple[int, int]]) -> Any:
    for start, _ in spans:
        self._free += self._path[start : self._depth].tolist()
    return STEP(self, spans)


def shared_from_the_root(self: Any, spans: Sequence[tuple[int, int]]) -> Any:
    view = STEP(self, spans)
    view.pages.block_tables[1:, :1] = view.pages.block_tables[1:, 1:2]
    return view


STEP = BranchCache.step


def test_a_run_larger_than_its_cache(world: Any) -> None:
    texts = questions(12)
    assert sum(len(tokens) for tokens, _ in texts) > 10 * 64
    check(world, texts, most_slots=64)


@pytest.mark.parametrize(
    ("part", "name", "wrong"),
    [
        (trie, "_common", too_much_in_common),
        (BranchCache, "step", given_up_too_early),
        (BranchCache, "step", shared_from_the_root),
    ],
)
def test_wrong_sharing_is_found(
    world: Any, monkeypatch: pytest.MonkeyPatch, part: Any, name: str, wrong: object
) -> None:
    texts = questions(12)
    check(world, texts, most_slots=64)
    monkeypatch.setattr(part, name, wrong)
    with pytest.raises(AssertionError):
        check(world, texts, most_slots=64)


def test_each_node_of_the_trie_is_computed_once_and_each_row_once(world: Any) -> None:
    texts = questions(12)
    run = walk(world, [*texts, *texts])
    computed: list[tuple[int, int]] = []

    class Counting:
        def forward(self, tokens: Any, positions: Any, kv: Any, rows: Any) -> Any:
            computed.append((len(tokens), len(rows)))
            return world.model.forward(tokens, positions, kv, rows)

        logits = world.model.logits

    run._model = Counting()
    results = dict(run)
    nodes = {tuple(tokens[: i + 1]) for tokens, _ in texts for i in range(len(tokens) - 1)}
    rows = {tuple(tokens[: i + 1]) for tokens, start in texts for i in range(start - 1, len(tokens) - 1)}
    assert sum(count for count, _ in computed) == run.work.unique_tokens == len(nodes)
    assert sum(count for _, count in computed) == run.work.rows == len(rows)
    assert run.work.requests == 2 * run.work.distinct == 2 * len(texts)
    assert run.work.tokens == 2 * sum(len(tokens) - 1 for tokens, _ in texts)
    assert all(results[i] == results[i + len(texts)] for i in range(len(texts)))


def test_no_step_is_larger_than_the_cache_has_room_for(world: Any) -> None:
    texts = questions(6)
    portions = list(trie.Trie(texts).portions(7))
    sizes = [sum(piece.stop - piece.start for piece in portion.pieces) for portion in portions]
    assert set(sizes[:-1]) == {7}
    assert 0 < sizes[-1] <= 7
    assert sorted(text for portion in portions for text in portion.done) == list(range(len(texts)))


def test_the_proof_of_parity_sees_what_is_wrong(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = questions(6)

    def alone(text: Text) -> Any:
        return score_alone(world.model, text, kv_shapes=world.model.spec.kv_shapes, dtype=torch.float32)

    good = prove(walk(world, texts), alone, sample=10, seed=3)
    assert good.sampled == 10
    assert good.max_difference < TOLERANCE
    assert good.flips == 0
    again = prove(walk(world, texts), alone, sample=10, seed=3)
    assert again.tokens == good.tokens
    monkeypatch.setattr(trie, "_common", too_much_in_common)
    bad = prove(walk(world, texts), alone, sample=10, seed=3)
    assert bad.max_difference > 0.1
    assert bad.flips > 0


def test_recurrent_models_share_nothing_and_score_the_same(hybrid: Any) -> None:
    texts = [*questions(3), ([1, 2], 2), *questions(3)]
    run = Apart(hybrid.engine().score, texts, 5)
    found = dict(run)
    assert run.work.unique_tokens == sum(len(tokens) - 1 for tokens, _ in questions(3))
    for index, (tokens, start) in enumerate(texts):
        if start < len(tokens):
            rows = torch.log_softmax(hybrid.plain_logits(list(tokens[:-1])), -1)[start - 1 :]
            wanted = [float(row[token]) for row, token in zip(rows, tokens[start:], strict=True)]
            assert found[index].logprobs == pytest.approx(wanted, abs=TOLERANCE)
    assert len(found) == len(texts)


@given(length=st.integers(0, 60), window=st.integers(2, 30), stride=st.integers(1, 29))
def test_windows_score_each_token_but_the_first_once(length: int, window: int, stride: int) -> None:
    stride = min(stride, window - 1)
    cut = windows(range(length), window=window, stride=stride)
    assert [token for tokens, start in cut for token in tokens[start:]] == list(range(1, length))
    assert all(0 < start < len(tokens) <= window for tokens, start in cut)
    assert all(len(tokens) - start <= stride for tokens, start in cut[1:])
    assert all(start >= window - stride for _, start in cut[1:-1])
