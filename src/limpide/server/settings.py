"""What a server can be set to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the server behaves, whatever models it serves."""

    default_think: str = "off"
    """Position of the thinking dial when a request doesn't turn it; receipts say so."""
    ping_seconds: float = 15.0
    """After so much silence a stream carries a comment, so that nobody in between gives the connection up."""
    drain_seconds: float = 30.0
    """How long running answers may take to come to their end when the server is told to stop."""
    database: Path | None = None
    """Where responses, files and batches are kept; None keeps them in memory, as long as the process lives."""
    database_bytes: int = 8 << 30
    """How large it may become."""
    keep_days: int = 30
    """How long responses are kept."""
    file_bytes: int = 200 << 20
    """How large one uploaded file may be."""
    background_responses: int = 256
    """How many responses may be written in the background at once."""
    batch_lines: int = 4
    """How many requests of a batch are worked on at once, in idle hours."""
    page: Path | None = None
    """Folder of the web page that is shown at `/`; None shows none."""
