"""What a server can be set to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the server behaves, whatever models it serves."""

    default_think: str = "off"
    """Position of the thinking dial when a request doesn't turn it; receipts say so."""
    ping_seconds: float = 15.0
    """After so much silence a stream carries a comment, so that nobody in between gives the connection up."""
    drain_seconds: float = 30.0
    """How long running answers may take to come to their end when the server is told to stop."""
