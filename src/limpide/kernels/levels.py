"""Tables of the formats whose nibbles are looked up."""

from __future__ import annotations

TWICE_E2M1 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
"""Twice each value of the 4-bit float of MXFP4, so that all are whole. As in ggml there is no negative zero."""

IQ4_NL = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""ggml's `kvalues_iq4nl`, of IQ4_NL and IQ4_XS."""
