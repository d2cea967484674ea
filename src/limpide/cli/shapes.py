"""The form of an answer, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from limpide.cli.options import read_path
from limpide.core.errors import InvalidParameter
from limpide.core.shape import JsonSchema, Regex, Shape

MAX_FILE = 1 << 20


def read_shape(json_schema: Path | None, regex: str | None) -> Shape | None:
    """The shape that was asked for, if one was. Raises InvalidParameter."""
    if json_schema is not None and regex is not None:
        raise InvalidParameter("regex", regex, "nothing beside --json-schema: an answer has one form")
    if regex is not None:
        return Regex(regex)
    if json_schema is None:
        return None
    try:
        schema = json.loads(read_path(json_schema, MAX_FILE))
    except (ValueError, RecursionError) as error:
        raise InvalidParameter("json_schema", str(json_schema), f"a JSON schema ({str(error)[:100]})") from None
    return JsonSchema(schema)
