"""Reads a JSON body whatever its content type, and refuses what is not a body of its model."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from . import problems
from .accepted import example_of
from .problems import Refused

MAX_BODY_BYTES = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


async def body_of(request: Request, model: type[Model]) -> Model:
    """The request's body as `model`; an empty body is one without fields. Raises Refused for what is none."""
    raw = await _bytes(request)
    data = _json(raw, model) if raw.strip() else {}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise problems.from_validation(error, model) from error


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The body for the OpenAPI page, as bodies are read by hand here."""
    schema = model.model_json_schema()
    required = bool(schema.get("required"))
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


async def _bytes(request: Request) -> bytes:
    """All of the body; how long that may take is the connection's concern."""
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_BODY_BYTES:
                raise Refused(
                    413, "Body too large", f"the body is longer than {MAX_BODY_BYTES} bytes",
                    remedy="send less in one call",
                )  # fmt: skip
    except ClientDisconnect:
        # Nobody is there any more who would read this.
        raise Refused(
            408, "Body incomplete", "the connection ended before the body did", remedy="send it anew"
        ) from None
    return bytes(raw)


def _json(raw: bytes, model: type[BaseModel]) -> Any:
    """Strict JSON: what two parsers may read in two ways is refused."""
    try:
        data = json.loads(raw, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
        # A half of a surrogate pair is a text that nobody can store or answer.
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise Refused(
            400, "Not JSON", f"the body is not JSON: {why}", remedy=f"send e.g. {example_of(model)}"
        ) from error
    return data


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice = next(key for key, _ in pairs if [other for other, _ in pairs].count(key) > 1)
        raise ValueError(f"field {twice[:80]!r} is there twice")
    return fields
