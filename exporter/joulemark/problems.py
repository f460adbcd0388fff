"""Errors over HTTP as RFC 9457 problem+json: what was wrong, which field, and what would be accepted."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from .errors import RequestError


class Problem(BaseModel):
    """An RFC 9457 problem; `field` and `remedy` are ours."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
    remedy: str = Field(description="what to do instead")


class Refused(RequestError):
    """A request refused before it reached the ledger."""

    def __init__(self, status: int, title: str, detail: str, *, field: str | None = None, remedy: str) -> None:
        super().__init__(detail, field=field, remedy=remedy)
        self.status = status
        self.title = title


def install(app: FastAPI) -> None:
    """Answer every error of this app as a problem."""
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


def from_validation(error: ValidationError) -> Refused:
    """The first thing that is wrong with a body."""
    first = error.errors()[0]
    field = _field(first["loc"])
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        message = "unknown field"
    return Refused(
        422,
        "Invalid field",
        f"{field}: {message}" if field else message,
        field=field or None,
        remedy="see /docs for the fields that this call takes",
    )


def _field(location: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in location)


def _response(problem: Problem) -> JSONResponse:
    return JSONResponse(
        problem.model_dump(exclude_none=True), status_code=problem.status, media_type="application/problem+json"
    )


def _on_request_error(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestError)
    return _response(
        Problem(title=error.title, status=error.status, detail=error.detail, field=error.field, remedy=error.remedy)
    )


def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    problem = Problem(
        title=str(error.detail),
        status=error.status_code,
        detail=f"{request.method} {request.url.path}: {error.detail}",
        remedy="/docs lists the calls",
    )
    return _response(problem)
