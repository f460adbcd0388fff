"""Reads a JSON body whatever its content type, and refuses what is not a body of its model."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from . import problems
from .accepted import example_of
from .problems import Refused

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 10.0

Model = TypeVar("Model", bound=BaseModel)


def body_of(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that gives the request's body as `model`; an empty body is one without fields."""

    async def read(request: Request) -> Model:
        raw = await _bytes(request)
        data = _json(raw, model) if raw.strip() else {}
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise problems.from_validation(error, model) from error

    return read


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The body for the OpenAPI page, as bodies are read by hand here."""
    schema = model.model_json_schema()
    required = bool(schema.get("required"))
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


async def _bytes(request: Request) -> bytes:
    try:
        with anyio.fail_after(BODY_SECONDS):
            return await _whole(request)
    except (TimeoutError, ClientDisconnect):
        raise Refused(
            408, "Body incomplete", f"the body was not whole within {BODY_SECONDS:.0f} s",
            remedy="send it at once, with its right Content-Length",
        ) from None  # fmt: skip


async def _whole(request: Request) -> bytes:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise Refused(
                413, "Body too large", f"the body is longer than {MAX_BODY_BYTES} bytes", remedy="send less in one call"
            )
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
