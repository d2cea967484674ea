"""For an application that was made without a stock: it serves what it was made with, and knows of nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from limpide.core.errors import NotFound, UnknownModel
from limpide.core.stock import Pull, StockedModel


class NoStock:
    """A `core.stock.Stock` without anything in it."""

    async def models(self) -> Sequence[StockedModel]:
        """None."""
        return ()

    def room(self) -> None:
        """Not counted."""

    async def pull(self, model: str, accept: Collection[str] = ()) -> Pull:
        """Raises UnknownModel."""
        raise UnknownModel(f"this server has no catalog, and can't fetch {model[:80]!r}")

    def pulls(self) -> Sequence[Pull]:
        """None."""
        return ()

    def cancel(self, pull: str) -> Pull:
        """Raises NotFound."""
        raise NotFound(f"no pull is called {pull[:80]!r}")

    async def aclose(self) -> None:
        """Nothing is under way."""
