"""What the OpenAPI document says that FastAPI can't find out by itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from limpide.server.wire.base import Reply

_STREAMED: dict[str, type[Reply]] = {}
"""Chunks that appear in no response but a stream."""


def streamed(*chunks: type[Reply], ending: str = "`[DONE]` ends them") -> dict[int | str, dict[str, Any]]:
    """For `responses=`: the endpoint may also answer with a stream of these."""
    _STREAMED.update({chunk.__name__: chunk for chunk in chunks})
    names = " or ".join(f"`{chunk.__name__}`" for chunk in chunks)
    description = f"JSON, or with `stream` server-sent events, each a {names}; {ending}."
    schema = {"type": "string", "description": f"Events: `data: ` and a {names} in JSON."}
    return {200: {"description": description, "content": {"text/event-stream": {"schema": schema}}}}


def install(app: FastAPI) -> None:
    """Have the document name the chunks of streams, too."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas = make().setdefault("components", {}).setdefault("schemas", {})
            for chunk in _STREAMED.values():
                schema = chunk.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
                parts = schema.pop("$defs", {})
                for name, part in {**parts, chunk.__name__: schema}.items():
                    schemas.setdefault(name, part)
        return make()

    app.openapi = openapi  # type: ignore[method-assign]
