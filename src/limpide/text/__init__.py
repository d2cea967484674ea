"""Text to tokens and back: tokenizers, detokenizer, chat templates, thinking dialects. Knows no model and no engine."""

from limpide.text.chat import encode_chat, render_chat
from limpide.text.detokenizer import Detokenizer
from limpide.text.template import ChatTemplate
from limpide.text.thinking import Prepared, ThinkingDialect, ThinkingPlan, detect_dialect, dialect_for
from limpide.text.tokenizer import Tokenizer

__all__ = [
    "ChatTemplate",
    "Detokenizer",
    "Prepared",
    "ThinkingDialect",
    "ThinkingPlan",
    "Tokenizer",
    "detect_dialect",
    "dialect_for",
    "encode_chat",
    "render_chat",
]
