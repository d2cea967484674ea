"""Log-likelihoods of all items of a run in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from limpide.core.errors import (
    ChatUnsupported,
    EndpointFailed,
    EndpointRefused,
    EngineStopped,
    LimpideError,
    ThinkingUnsupported,
)
from limpide.core.ports import Backend, Scored, ScoreRequest, Scores
from limpide.core.scoring import ScoringWork
from limpide.evals.score_cache import CachedScores, ScoreCache
from limpide.evals.task import Item

ScoreAll = Callable[[Sequence[ScoreRequest]], Scores]
Worked = Callable[[ScoringWork, int], None]
"""What the scores of a run take, and how many more were known already: told once, before the first score."""
Refused = tuple[Item, LimpideError]

HOPELESS = (ChatUnsupported, ThinkingUnsupported, EngineStopped)
"""Errors that every other item would meet as well: they end the run, which can be resumed."""
_ABOUT_US = frozenset({401, 402, 403, 404})
"""Statuses of an endpoint that every other request would meet, too."""


def score_items(
    score_all: ScoreAll, items: Sequence[Item], worked: Worked
) -> Iterator[tuple[Item, list[Scored] | LimpideError]]:
    """Scores of each item's continuations, in the order in which they are done.

    An item that can't be scored has its error, and keeps no other from being scored. Raises what would meet all items.
    """
    if not items:
        return
    scores, good, refused = _begin(score_all, items)
    yield from refused
    worked(scores.work, scores.hits if isinstance(scores, CachedScores) else 0)
    left = dict(enumerate(good))
    try:
        for index, scored in _by_item(scores, good):
            yield left.pop(index), scored
    except LimpideError as error:
        _raise_if_general(error)
    # Whatever stopped them together, an endpoint's refusal of one for example, need not stop each by itself.
    for item in left.values():
        yield item, _alone(score_all, item)


def scorable(score_all: ScoreAll, items: Sequence[Item]) -> list[ScoreRequest]:
    """The requests of all items that can be scored."""
    return requests_of(_begin(score_all, items)[1])


def requests_of(items: Sequence[Item]) -> list[ScoreRequest]:
    """One request for each continuation, item by item."""
    return [ScoreRequest(item.context, each) for item in items for each in _continuations(item)]


def cached(backend: Backend, cache: ScoreCache | None) -> ScoreAll:
    """The backend's `score_all`, which looks up what is known already if there is a cache."""
    if cache is None:
        return backend.score_all
    identity = asdict(backend.fingerprint())
    return lambda requests: CachedScores(backend.score_all, requests, cache=cache, identity=identity)


def _begin(score_all: ScoreAll, items: Sequence[Item]) -> tuple[Scores, Sequence[Item], list[Refused]]:
    """Scores, not computed yet, of all items that aren't refused at once (too long, for example); these; the others."""
    try:
        return score_all(requests_of(items)), items, []
    except LimpideError as error:
        _raise_if_general(error)
    good, refused = [], []
    for item in items:
        try:
            score_all(requests_of([item]))
            good.append(item)
        except LimpideError as error:
            _raise_if_general(error)
            refused.append((item, error))
    return score_all(requests_of(good)), good, refused


def _by_item(scores: Scores, items: Sequence[Item]) -> Iterator[tuple[int, list[Scored]]]:
    """Index and scores of each item as soon as all of its continuations have theirs."""
    owners = [(index, at) for index, item in enumerate(items) for at in range(len(_continuations(item)))]
    found: dict[int, dict[int, Scored]] = {}
    for number, scored in scores:
        index, at = owners[number]
        parts = found.setdefault(index, {})
        parts[at] = scored
        if len(parts) == len(_continuations(items[index])):
            del found[index]
            yield index, [parts[at] for at in range(len(parts))]


def _alone(score_all: ScoreAll, item: Item) -> list[Scored] | LimpideError:
    try:
        return dict(_by_item(score_all(requests_of([item])), [item]))[0]
    except LimpideError as error:
        _raise_if_general(error)
        return error


def _raise_if_general(error: LimpideError) -> None:
    """Raise what would meet every other item; an endpoint that fails was asked again more than once."""
    refused = isinstance(error, EndpointRefused) and error.status in _ABOUT_US
    if refused or isinstance(error, (*HOPELESS, EndpointFailed)):
        raise error


def _continuations(item: Item) -> tuple[str, ...]:
    return item.choices or (item.text,)
