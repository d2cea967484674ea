"""Scores on disk: what is known isn't computed again, and what is damaged is."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from limpide.backends.fake import FakeBackend
from limpide.core.errors import InvalidParameter
from limpide.core.ports import Scored, ScoreRequest, Scores
from limpide.evals.score_cache import CachedScores, ScoreCache, key_of

IDENTITY: dict[str, str | None] = {"weights_sha256": "a" * 64, "tokenizer_sha256": "b" * 64, "numerics": "fast"}
REQUESTS = [ScoreRequest(f"Question {number}: ", answer) for number in range(5) for answer in ("yes", "no", "yes")]


class Counting:
    """The fake backend, and how many requests it was asked."""

    def __init__(self) -> None:
        self.backend = FakeBackend("yes")
        self.asked = 0

    def __call__(self, requests: Sequence[ScoreRequest]) -> Scores:
        self.asked += len(requests)
        return self.backend.score_all(requests)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "scores.sqlite"


def score(path: Path, identity: dict[str, str | None] = IDENTITY) -> tuple[dict[int, Scored], int]:
    """All scores, and how many of them were computed."""
    counting, cache = Counting(), ScoreCache(path)
    scores = CachedScores(counting, REQUESTS, cache=cache, identity=identity)
    found = dict(scores)
    assert scores.hits == len(REQUESTS) - counting.asked
    cache.close()
    return found, counting.asked


def test_what_is_known_is_not_computed_again(path: Path) -> None:
    first, computed = score(path)
    assert computed == len(REQUESTS)
    assert first[0].greedy
    assert not first[1].greedy
    assert score(path) == (first, 0)


@pytest.mark.parametrize("name", list(IDENTITY))
def test_other_hashes_are_another_model(path: Path, name: str) -> None:
    score(path)
    assert score(path, {**IDENTITY, name: "other"})[1] == len(REQUESTS)
    assert score(path, {**IDENTITY, name: None})[1] == len(REQUESTS)
    assert score(path, {**IDENTITY, name: None})[1] == len(REQUESTS), "nothing is kept for a model without a hash"


def test_a_key_tells_context_from_continuation() -> None:
    keys = key_of(IDENTITY, [ScoreRequest("ab", "c"), ScoreRequest("a", "bc"), ScoreRequest("", "abc")])
    assert len(set(keys)) == 3


def test_damaged_entries_are_computed_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found, _ = score(path)
    connection = sqlite3.connect(path)
    (number, value) = connection.execute("SELECT number, value FROM scores ORDER BY number LIMIT 1").fetchone()
    flipped = bytes([value[0], value[1] ^ 1, *value[2:]])
    connection.execute("UPDATE scores SET value = ? WHERE number = ?", (flipped, number))
    connection.execute("UPDATE scores SET value = x'00' WHERE number = ?", (number + 1,))
    connection.execute("UPDATE scores SET value = 'text' WHERE number = ?", (number + 2,))
    connection.commit()
    connection.close()
    again, computed = score(path)
    assert again == found
    assert 3 <= computed <= 6  # each is asked for once or twice in the run
    assert "damaged" in caplog.text
    assert score(path)[1] == 0


@pytest.mark.parametrize("content", [b"rubbish" * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_begun_anew(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    found, computed = score(path)
    assert computed == len(found) == len(REQUESTS)
    assert str(path) in caplog.text
    assert path.with_name(path.name + ".damaged").read_bytes() == content
    assert score(path) == (found, 0)


def test_a_file_that_cant_be_used_keeps_nobody_from_scoring(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    assert score(tmp_path / "file" / "scores.sqlite")[1] == len(REQUESTS)
    assert "can't be kept" in caplog.text


def test_the_oldest_make_room(path: Path) -> None:
    cache = ScoreCache(path, max_bytes=1 << 17)
    keys = [number.to_bytes(32, "big") for number in range(400)]
    for key in keys:
        cache.put({key: Scored((-1.0,) * 100, False)})
    kept = cache.get(keys)
    cache.close()
    assert path.stat().st_size <= 2 << 17
    assert keys[-1] in kept
    assert keys[0] not in kept
    assert 50 < len(kept) < 300
    with pytest.raises(InvalidParameter):
        ScoreCache(path, max_bytes=10)


def fill(path: Path, first: int) -> None:
    cache = ScoreCache(path)
    for number in range(first, first + 100):
        cache.put({number.to_bytes(32, "big"): Scored((float(-number),), False)})
    cache.close()


def test_two_processes_fill_one_file(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=fill, args=(path, first)) for first in (0, 50)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    keys = [number.to_bytes(32, "big") for number in range(150)]
    assert ScoreCache(path).get(keys) == {key: Scored((float(-n),), False) for n, key in enumerate(keys)}
