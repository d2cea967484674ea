"""Numbers that kernels and their callers agree on."""

from __future__ import annotations

STATE, FUNCTION, ARGUMENTS, SLEEPERS, MUTEX, CONDITION, LOCK, UNLOCK, WAIT, BROADCAST, YIELD = range(11)
NUM_FIELDS = 11

NUM_CALL_FIELDS = 4
"""A recorded call: kernel, arguments, whether it is shared, number of counters."""

FINE, COARSE = 0.5, 8.0
"""A group of activations keeps what rounding lost if its squared scale is so many times its row's mean."""

(
    JOB_Q,
    JOB_FACTORS,
    JOB_X_ROWS,
    JOB_REST,
    JOB_WEIGHT,
    JOB_ROWS,
    JOB_ROW_BYTES,
    JOB_OUT,
    JOB_OUT_STRIDE,
    JOB_ADD,
) = range(10)
NUM_JOB_FIELDS = 10
"""One job of `grouped`: rounded activations, their factors, their rows, rows to their second set; blocks, rows, bytes
of a row; out, bytes of a row of out, 1 to add to what it holds."""
