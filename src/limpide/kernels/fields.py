"""The numbers that make a pool, by their positions."""

from __future__ import annotations

STATE, FUNCTION, ARGUMENTS, SLEEPERS, MUTEX, CONDITION, LOCK, UNLOCK, WAIT, BROADCAST, YIELD = range(11)
NUM_FIELDS = 11

NUM_CALL_FIELDS = 4
"""A recorded call: kernel, arguments, whether it is shared, number of counters."""
