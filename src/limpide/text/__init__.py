"""Text to tokens and back: tokenizers, detokenizer, chat templates, dialects of thinking and of tool calls.

Knows no model and no engine.
"""

from limpide.text.chat import encode_chat, render_chat
from limpide.text.detokenizer import Detokenizer
from limpide.text.template import ChatTemplate
from limpide.text.thinking import Prepared, ThinkingDialect, ThinkingPlan
from limpide.text.thinking_dialects import detect_dialect, dialect_for
from limpide.text.tokenizer import Tokenizer
from limpide.text.tools import (
    PROMPTED,
    ToolDialect,
    ToolPrompting,
    ToolScanner,
    detect_tool_dialect,
    tool_dialect_for,
)

__all__ = [
    "PROMPTED",
    "ChatTemplate",
    "Detokenizer",
    "Prepared",
    "ThinkingDialect",
    "ThinkingPlan",
    "Tokenizer",
    "ToolDialect",
    "ToolPrompting",
    "ToolScanner",
    "detect_dialect",
    "detect_tool_dialect",
    "dialect_for",
    "encode_chat",
    "render_chat",
    "tool_dialect_for",
]
