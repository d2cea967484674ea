"""Where models come from: a catalog, a store on this machine, and what a model will cost here before it is fetched."""

from limpide.hub.acceptance import Acceptances
from limpide.hub.catalog import CATALOG, DEFAULT_MODEL, CatalogEntry, HubEntry, PinnedEntry
from limpide.hub.licences import LICENCES, Licence
from limpide.hub.progress import Progress, Silent
from limpide.hub.resolve import LocatedModel, resolve
from limpide.hub.store import Installed, Store

__all__ = [
    "CATALOG",
    "DEFAULT_MODEL",
    "LICENCES",
    "Acceptances",
    "CatalogEntry",
    "HubEntry",
    "Installed",
    "Licence",
    "LocatedModel",
    "PinnedEntry",
    "Progress",
    "Silent",
    "Store",
    "resolve",
]
