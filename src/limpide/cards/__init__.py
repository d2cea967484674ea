"""Model cards that can be checked: every form of a card is computed from the evidence beside it, and from nothing else.

`cards` knows `evals` as well as `core`: a card's numbers come from the same statistics, and its records from the same
reader, as those that `limpide eval show` and `limpide compare` print. Computed twice, they could differ.
"""

from limpide.cards.evidence import Evidence, gather
from limpide.cards.facts import LicenceFacts, ModelFacts, StoredFormat
from limpide.cards.forms import forms, write_card
from limpide.cards.verifying import Finding, verify

__all__ = [
    "Evidence",
    "Finding",
    "LicenceFacts",
    "ModelFacts",
    "StoredFormat",
    "forms",
    "gather",
    "verify",
    "write_card",
]
