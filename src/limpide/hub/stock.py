"""What this machine has and could have, for a server: `core.stock.Stock` over catalog, store and predictions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from limpide.core.errors import LimpideError, OfflineError, UnknownModel
from limpide.core.places import offline_requested
from limpide.core.receipt import Numerics
from limpide.core.stock import Prediction, Pull, Room, StockedModel, Terms
from limpide.hub.acceptance import Acceptances
from limpide.hub.candidate import Candidate, look_at, of_catalog
from limpide.hub.catalog import CATALOG, CatalogEntry, HubEntry, nearest
from limpide.hub.fit import DEFAULT_CONTEXT, predict
from limpide.hub.licences import Licence
from limpide.hub.machine import Machine, measure_machine, memory
from limpide.hub.progress import Progress
from limpide.hub.pulls import Pulls
from limpide.hub.reference import PREFIX, HubReference, cached
from limpide.hub.resolve import LocatedModel, accepted_here, check_terms, resolve, where_is
from limpide.hub.speed import Work
from limpide.hub.store import Store


@dataclass(frozen=True, slots=True)
class Serving:
    """How a server loads models, which its predictions are for."""

    memory: int
    """Bytes that all loaded models may take together."""
    numerics: Numerics = "fast"
    context: int | None = None
    """Tokens; None is what the model was made for, predicted with 4096 at most."""
    offline: bool = False
    accept: frozenset[str] = frozenset()
    """Keys of licences that were accepted when it was started."""


class HubStock:
    """The catalog, the models that a server was started with, and the pulls. Belongs to one event loop.

    models: those that are served already, with the references by which they were asked for. serve: has one more served,
    once it came; called in the loop.
    """

    def __init__(
        self,
        models: Sequence[tuple[str, LocatedModel]],
        serving: Serving,
        serve: Callable[[str, LocatedModel], None],
    ) -> None:
        self._served = dict(models)
        self._serving = serving
        self._serve = serve
        self._pulls = Pulls(self._arrived)
        self._offline = serving.offline or offline_requested()
        self._looked_at: dict[str, Candidate] = {}
        self._machine: Machine | None = None
        self._measuring = threading.Lock()

    async def models(self) -> Sequence[StockedModel]:
        """All that are known: those that are served, then the others, the smallest first."""
        return await asyncio.to_thread(self._models, dict(self._served))

    def room(self) -> Room:
        """Memory, as it is now."""
        import psutil

        total, available = memory()
        return Room(total, available, self._serving.memory, int(psutil.Process().memory_info().rss))

    async def pull(self, model: str, accept: Collection[str] = ()) -> Pull:
        """Have a model of the catalog or of the hub (`hf:org/name`) fetched and served. Paths are nobody's to name."""
        reference = _reference(model)
        accepting = accepted_here((*accept, *self._serving.accept))
        await asyncio.to_thread(self._check, reference, accepting)

        def fetch(progress: Progress) -> LocatedModel:
            return resolve(reference, offline=self._offline, accept_licences=accepting, progress=progress)

        return self._pulls.start(reference, fetch)

    def pulls(self) -> Sequence[Pull]:
        """Those on their way and the last that came to an end, the newest first."""
        return self._pulls.all()

    def cancel(self, pull: str) -> Pull:
        """Have a pull stopped. Raises NotFound."""
        return self._pulls.cancel(pull)

    async def aclose(self) -> None:
        """Stop all pulls and wait until they have ended."""
        await self._pulls.aclose()

    def _arrived(self, reference: str, located: LocatedModel) -> None:
        self._served.setdefault(reference, located)
        self._serve(reference, located)

    def _check(self, reference: str, accepting: frozenset[str]) -> None:
        """What is known before anything is asked of the network."""
        entry = CATALOG.get(reference)
        if entry is not None:
            check_terms(entry, accepting)
        if self._offline and not _is_here(reference, entry):
            raise OfflineError(
                f"{reference} is not on this machine, and this server was started offline",
                hint="start it without --offline (and LIMPIDE_OFFLINE, HF_HUB_OFFLINE), or once, with the network: "
                f"limpide models pull {reference}",
            )

    def _models(self, served: dict[str, LocatedModel]) -> list[StockedModel]:
        machine, accepted, store = self._measured(), accepted_here(self._serving.accept), Store()
        accepted |= Acceptances().read().keys()
        first = [self._described(reference, located, machine, accepted) for reference, located in served.items()]
        known = {located.name for located in served.values()}
        others = sorted((e for e in CATALOG.values() if e.name not in known), key=lambda entry: entry.size_bytes)
        return first + [self._entry(e, where_is(e, store) is not None, machine, accepted) for e in others]

    def _described(
        self, reference: str, located: LocatedModel, machine: Machine, accepted: frozenset[str]
    ) -> StockedModel:
        """A model that is served; of one that is not of the catalog its header tells."""
        if located.entry is not None:
            return self._entry(located.entry, True, machine, accepted)
        candidate = self._candidate(reference, located)
        return StockedModel(
            name=located.name,
            title=located.name,
            publisher=None,
            parameters=candidate.shape.parameters if candidate.shape else None,
            size_bytes=candidate.file_bytes,
            size_is_estimate=False,
            stored=None,
            context=candidate.context,
            thinking=None,
            chat=None,
            terms=(),
            note="",
            here=True,
            prediction=self._prediction(candidate, machine),
        )

    def _entry(self, entry: CatalogEntry, here: bool, machine: Machine, accepted: frozenset[str]) -> StockedModel:
        candidate = of_catalog(entry, download=not here)
        if here and isinstance(entry, HubEntry):
            candidate = self._candidate(entry.name, None) or candidate
        return StockedModel(
            name=entry.name,
            title=entry.title,
            publisher=entry.publisher,
            parameters=entry.parameters,
            size_bytes=candidate.file_bytes,
            size_is_estimate=candidate.size_is_estimate,
            stored=entry.format,
            context=entry.context,
            thinking=entry.thinking,
            chat=entry.chat,
            terms=tuple(_terms(licence, accepted) for licence in entry.licences),
            note=entry.note,
            here=here,
            prediction=self._prediction(candidate, machine),
        )

    def _candidate(self, reference: str, located: LocatedModel | None) -> Candidate:
        """What the header says, read once. A file that can't be read is told by its size alone: loading says why."""
        if reference not in self._looked_at:
            try:
                self._looked_at[reference] = look_at(reference, offline=True)
            except (LimpideError, OSError):
                size = located.path.stat().st_size if located and located.path.is_file() else 0
                entry = CATALOG.get(reference)
                unread = Candidate(reference, size, Work(size), None, None, 0)
                self._looked_at[reference] = of_catalog(entry, download=False) if entry else unread
        return self._looked_at[reference]

    def _prediction(self, candidate: Candidate, machine: Machine) -> Prediction:
        context = self._serving.context or DEFAULT_CONTEXT
        context = min(context, candidate.context or context)
        found = predict(candidate, machine, context=context, numerics=self._serving.numerics)
        fits = found.memory_bytes <= self._serving.memory
        return Prediction(
            fits=fits,
            memory_bytes=found.memory_bytes,
            weights_bytes=found.weights_bytes,
            cache_bytes=found.cache_bytes,
            context=context,
            generation=_range(found.generation_tokens_per_second, found.speed_share) if fits else None,
            prompt=_range(found.prompt_tokens_per_second, found.speed_share) if fits else None,
            slowed=found.slowed,
        )

    def _measured(self) -> Machine:
        """The machine, measured when somebody first asks. Loaded models must not make it look smaller than it is."""
        with self._measuring:
            self._machine = self._machine or measure_machine()
        return replace(self._machine, memory_available=max(self._machine.memory_available, self._serving.memory))


def _reference(model: str) -> str:
    """A name of the catalog, or a repository of the hub. Raises UnknownModel for everything else, paths included."""
    if model.startswith(PREFIX):
        return str(HubReference.parse(model))
    if model not in CATALOG:
        near = nearest(model[:80]) or get_close_matches(model[:80], CATALOG, n=3, cutoff=0)
        raise UnknownModel(
            f"the catalog has no model {model[:80]!r}",
            expected="a name of the catalog, or hf:org/name for a repository of the Hugging Face hub",
            hint=", ".join(near),
        )
    return model


def _is_here(reference: str, entry: CatalogEntry | None) -> bool:
    if entry is not None:
        return where_is(entry, Store()) is not None
    return cached(HubReference.parse(reference)) is not None


def _terms(licence: Licence, accepted: frozenset[str]) -> Terms:
    return Terms(
        key=licence.key,
        name=licence.name,
        spdx=licence.spdx,
        url=licence.terms,
        commercial=licence.commercial,
        display=licence.display,
        use_policy=licence.use_policy,
        plainly=licence.plainly(),
        needs_acceptance=licence.needs_acceptance,
        accepted=licence.key in accepted,
    )


def _range(speed: float | None, share: tuple[float, float]) -> tuple[float, float] | None:
    return None if speed is None else (speed * share[0], speed * share[1])
