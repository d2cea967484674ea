"""Numbers that kernels and their callers agree on."""

from __future__ import annotations

STATE, FUNCTION, ARGUMENTS, SLEEPERS, MUTEX, CONDITION, LOCK, UNLOCK, WAIT, BROADCAST, YIELD = range(11)
NUM_FIELDS = 11

NUM_CALL_FIELDS = 4
"""A recorded call: kernel, arguments, whether it is shared, number of counters."""

FINE, COARSE = 0.5, 8.0
"""A group of activations keeps what rounding lost if its squared scale is so many times its row's mean."""
