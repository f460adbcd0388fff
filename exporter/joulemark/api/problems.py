"""Errors over HTTP as RFC 9457 problem+json: what was wrong, which field, and what would be accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from ..errors import LedgerError, RequestError
from .accepted import accepted_at

MEDIA_TYPE = "application/problem+json"
_TEXTS = {
    400: "Not JSON",
    401: "No valid credentials",
    403: "May not do this",
    404: "Not found",
    408: "The body did not come in time",
    409: "Held by another run, or more than is kept",
    413: "Body too large",
    422: "Invalid field",
    429: "Too many requests",
    503: "Out of order for the moment",
}
_WORDS = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "string_pattern_mismatch": "it has control characters",
}
# What every call may answer beside its own result, and what one with a body may.
READ = (401, 403, 429, 503)
WRITE = (400, 401, 403, 408, 413, 422, 429, 503)


class Problem(BaseModel):
    """An RFC 9457 problem; `field` and `remedy` are ours."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: Annotated[str | None, Field(description="the field that was refused")] = None
    remedy: str = Field(description="what would be accepted, or what to do instead")


class Refused(RequestError):
    """A request refused before it reached the ledger."""

    def __init__(self, status: int, title: str, detail: str, *, field: str | None = None, remedy: str) -> None:
        super().__init__(detail, field=field, remedy=remedy)
        self.status = status
        self.title = title


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses for the OpenAPI page."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": _TEXTS[status], "model": Problem, "content": {MEDIA_TYPE: schema}}
        for status in sorted(statuses)
    }


def install(app: FastAPI) -> None:
    """Answer every error of this app as a problem."""
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameter)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(LedgerError, _on_ledger_error)
    app.add_exception_handler(Exception, _on_fault)


def from_validation(error: ValidationError, model: type[BaseModel]) -> Refused:
    """The first thing that is wrong with a body."""
    first = error.errors(include_url=False, include_input=False)[0]
    # pydantic marks a key of a mapping so; to a reader it is the field of that name.
    location = [part for part in first["loc"] if part != "[key]"]
    why = _WORDS.get(first["type"], first["msg"])
    field = ".".join(_shown(part) for part in location)[:120]
    return Refused(
        422,
        "Invalid field",
        f"{field}: {why}" if field else why,
        field=field or None,
        remedy=accepted_at(model, location, key=location != list(first["loc"])),
    )


def _shown(part: str | int) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(part))


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The problem as a response."""
    return JSONResponse(
        problem.model_dump(exclude_none=True), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers
    )


def from_refusal(error: RequestError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal as a response."""
    problem = Problem(
        title=error.title, status=error.status, detail=error.detail, field=error.field, remedy=error.remedy
    )
    return answer(problem, headers)


def _on_request_error(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestError)
    return from_refusal(error)


def _on_invalid_parameter(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = str(first["loc"][-1])
    return answer(
        Problem(
            title="Invalid field", status=422, detail=f"{field}: {first['msg']}", field=field,
            remedy="/docs lists what each call takes",
        )
    )  # fmt: skip


def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    title = str(error.detail)
    path = request.url.path[:120]
    problem = Problem(
        title=title,
        status=error.status_code,
        detail=f"{request.method} {path}: {title}",
        remedy="/docs lists the calls",
    )
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers.update(_allowed_at(request))
    return answer(problem, headers)


def _allowed_at(request: Request) -> dict[str, str]:
    """What may be done at this path; the router names what the first of its calls does alone."""
    for template, calls in request.app.openapi()["paths"].items():
        if compile_path(template)[0].match(request.url.path):
            return {"Allow": ", ".join(sorted(method.upper() for method in calls))}
    return {}


def _on_ledger_error(request: Request, error: Exception) -> JSONResponse:
    del request
    problem = Problem(title="Ledger out of order", status=503, detail=str(error), remedy="try again in a few seconds")
    return answer(problem, {"Retry-After": "5"})


def _on_fault(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours: the log has it in full, the answer says nothing of the inside."""
    del request, error
    return answer(
        Problem(
            title="Internal error", status=500, detail="the exporter failed to carry this out; its log says why",
            remedy="report it with the log's traceback; the state before this call is intact",
        )
    )  # fmt: skip
