"""How models call tools: one file per dialect, a registry, and the scanner that finds calls in an answer."""

from limpide.text.tools.base import CallArguments, CallBegun, MalformedCall, ReadCall, ToolDialect
from limpide.text.tools.prompted import PROMPTED
from limpide.text.tools.prompting import ToolPrompt, ToolPrompting
from limpide.text.tools.registry import TOOL_DIALECTS, detect_tool_dialect, tool_dialect_for
from limpide.text.tools.scanner import Piece, ToolScanner

__all__ = [
    "PROMPTED",
    "TOOL_DIALECTS",
    "CallArguments",
    "CallBegun",
    "MalformedCall",
    "Piece",
    "ReadCall",
    "ToolDialect",
    "ToolPrompt",
    "ToolPrompting",
    "ToolScanner",
    "detect_tool_dialect",
    "tool_dialect_for",
]
