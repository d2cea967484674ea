"""All tool dialects, and how to tell from a template which one its model speaks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from limpide.core.errors import InvalidParameter
from limpide.text.tools.base import ToolDialect
from limpide.text.tools.deepseek import DEEPSEEK
from limpide.text.tools.gemma import GEMMA
from limpide.text.tools.granite import GRANITE
from limpide.text.tools.harmony import HARMONY
from limpide.text.tools.hermes import HERMES
from limpide.text.tools.llama import LLAMA
from limpide.text.tools.mistral import MISTRAL
from limpide.text.tools.prompted import PROMPTED
from limpide.text.tools.qwen_xml import QWEN_XML

_SIGNS: Final[tuple[tuple[ToolDialect, tuple[str, ...]], ...]] = (
    (HARMONY, ("<|channel|>", "<|message|>", "<|call|>")),
    (GEMMA, ("<|tool_call>", "<tool_call|>")),
    (DEEPSEEK, ("<｜tool▁calls▁begin｜>",)),
    (MISTRAL, ("[TOOL_CALLS]",)),
    (GRANITE, ("<|tool_call|>",)),
    (QWEN_XML, ("<function=", "<parameter=")),
    (HERMES, ("<tool_call>", '"arguments')),
    (LLAMA, ('"parameters": ', "<|eot")),
    (PROMPTED, ()),
)
"""What all stands in the templates of a dialect's models; the first row that fits counts."""

_PLACE: Final = re.compile(r"\b(?:xml_)?tools\b")
"""Without such a variable a template has no place for tools."""

TOOL_DIALECTS: Final[Mapping[str, ToolDialect]] = MappingProxyType({dialect.name: dialect for dialect, _ in _SIGNS})


def tool_dialect_for(name: str) -> ToolDialect:
    """Dialect of a name. Raises InvalidParameter."""
    try:
        return TOOL_DIALECTS[name]
    except KeyError:
        raise InvalidParameter("tool dialect", name, ", ".join(TOOL_DIALECTS)) from None


def detect_tool_dialect(template_source: str | None) -> ToolDialect:
    """Dialect in which a model calls tools, read from its chat template: `prompted` if it knows of no calls."""
    source = template_source or ""
    return next(dialect for dialect, signs in _SIGNS if _speaks(dialect, signs, source))


def _speaks(dialect: ToolDialect, signs: Sequence[str], source: str) -> bool:
    shown = dialect.describe is not None or _PLACE.search(source) is not None
    return shown and all(sign in source for sign in signs)
