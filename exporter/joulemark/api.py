"""The HTTP face: /metrics, the stage API, probes. It checks requests and calls the meter; no state of its own."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from . import problems
from .exposition import registry_of
from .meter import Meter
from .problems import Problem, Refused
from .state import StageRequest

MAX_BODY_BYTES = 64 * 1024

Tokens = dict[str, Annotated[int, Field(ge=0, le=2**62)]]
Text = Annotated[str, Field(max_length=256)]


class Body(BaseModel):
    """A request body; an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StageBody(Body):
    """`PUT /stage`."""

    run: str
    stage: str
    phase: str = ""
    devices: list[Text] | None = None
    ttl_seconds: float | None = None
    share: bool = False
    nest: bool = Field(False, description="suspend this run's window instead of ending it")


class TokensBody(Body):
    """Cumulative token counts by kind."""

    tokens: Tokens = Field(default_factory=dict)


class RunBody(Body):
    """`PUT /runs/{run}`; what is left out stays as it was."""

    pipeline: Text | None = None
    student: Text | None = None
    teacher: Text | None = None
    dataset: Text | None = None
    seed: int | None = None
    baseline: Text | None = None
    reference: Text | None = None
    idle_watts: dict[Text, Annotated[float, Field(ge=0, le=1e6)]] | None = None
    labels: dict[Text, Text] | None = None


class ScoreBody(Body):
    """`POST /runs/{run}/scores`; reference is the teacher's score, n the number of items."""

    benchmark: str
    score: Annotated[float, Field(allow_inf_nan=False)]
    reference: Annotated[float, Field(allow_inf_nan=False)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None


class ArtifactBody(Body):
    """`POST /runs/{run}/artifacts`."""

    artifact: Text
    kind: Text
    role: Literal["produced", "consumed"]


Model = TypeVar("Model", bound=Body)


def create_app(meter: Meter) -> FastAPI:
    """The application over one meter."""
    release = version("joulemark")
    app = FastAPI(
        title="Joulemark",
        version=release,
        description="Says which stage of which run a device works for, and what that cost in joules.",
    )
    problems.install(app)
    app.include_router(_pages(meter, release))
    failures: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": text}
        for status, text in (
            (400, "Not JSON"), (403, "May not write"), (404, "Not found"), (409, "Device held"),
            (413, "Body too large"), (422, "Invalid field"),
        )
    }  # fmt: skip
    app.include_router(_stages(meter), prefix="/api/v1", responses=failures)
    app.include_router(_runs(meter), prefix="/api/v1", responses=failures)
    return app


def _pages(meter: Meter, release: str) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    registry = registry_of(meter.snapshot, release)

    @router.get("/", response_class=HTMLResponse)
    def landing() -> str:
        return _LANDING

    @router.get("/metrics")
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    @router.get("/-/healthy")
    def healthy() -> Response:
        return Response("Joulemark is healthy.\n", media_type="text/plain")

    @router.get("/-/ready")
    def ready() -> Response:
        return Response("Joulemark is ready.\n", media_type="text/plain")

    return router


def _stages(meter: Meter) -> APIRouter:
    router = APIRouter(tags=["stages"])

    @router.put("/stage", openapi_extra=_schema(StageBody))
    def switch(body: Annotated[StageBody, Depends(_body(StageBody))]) -> dict[str, Any]:
        """End this run's window on these devices and begin the new one."""
        summary, ended = meter.begin(StageRequest(**body.model_dump()))
        return {**summary, "ended": ended[-1] if ended else None, "also_ended": ended[:-1]}

    @router.get("/stage")
    def active() -> list[dict[str, Any]]:
        """The open windows."""
        return meter.active()

    @router.post("/stage/{window_id}/heartbeat", openapi_extra=_schema(TokensBody))
    def heartbeat(window_id: str, body: Annotated[TokensBody, Depends(_body(TokensBody))]) -> dict[str, Any]:
        """Renew the lease; cumulative token counts, so that a retry adds nothing."""
        return meter.heartbeat(window_id, body.tokens)

    @router.delete("/stage/{window_id}", openapi_extra=_schema(TokensBody))
    def end(window_id: str, body: Annotated[TokensBody, Depends(_body(TokensBody))]) -> dict[str, Any]:
        """End the window and return its summary; a repeated call returns the same."""
        return meter.end(window_id, body.tokens)

    @router.get("/devices")
    def devices() -> list[dict[str, Any]]:
        """The devices: watts, joules so far, source, and whether the energy is modelled."""
        return [
            {
                "device": view.device.name,
                "uuid": view.device.key,
                "model": view.device.model,
                "source": view.source,
                "modelled": view.device.modelled,
                "watts": view.watts,
                "joules": view.joules,
                "tick_seconds": view.tick_seconds,
                "disagreement_ratio": view.disagreement_ratio,
                "gap_seconds": view.gap_seconds,
                "up": view.health.up,
                "mig": view.device.mig,
            }
            for view in meter.devices()
        ]

    return router


def _runs(meter: Meter) -> APIRouter:
    router = APIRouter(tags=["runs"])

    @router.get("/runs")
    def runs() -> list[dict[str, Any]]:
        """The runs, newest first."""
        return meter.runs()

    @router.get("/runs/{run}")
    def run_record(run: str) -> dict[str, Any]:
        """Full accounting of one run."""
        return meter.run_record(run)

    @router.put("/runs/{run}", openapi_extra=_schema(RunBody))
    def declare(run: str, body: Annotated[RunBody, Depends(_body(RunBody))]) -> dict[str, Any]:
        """Say what a run is."""
        meter.declare(run, body.model_dump(exclude_none=True))
        return meter.run_record(run)

    @router.post("/runs/{run}/scores", openapi_extra=_schema(ScoreBody))
    def score(run: str, body: Annotated[ScoreBody, Depends(_body(ScoreBody))]) -> dict[str, Any]:
        """Keep a benchmark score; a later one of the same benchmark replaces it."""
        meter.score(run, body.benchmark, body.score, body.reference, body.n)
        return meter.run_record(run)

    @router.post("/runs/{run}/artifacts", openapi_extra=_schema(ArtifactBody))
    def artifact(run: str, body: Annotated[ArtifactBody, Depends(_body(ArtifactBody))]) -> dict[str, Any]:
        """Keep that the run produced or consumed a teacher artifact."""
        meter.artifact(run, body.artifact, body.kind, body.role)
        return meter.run_record(run)

    return router


def _body(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """Reads a JSON body whatever its content type, after asking whether this caller may write."""

    async def read(request: Request) -> Model:
        _refuse_foreign_writer(request)
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_BODY_BYTES:
                raise Refused(
                    413, "Body too large", f"more than {MAX_BODY_BYTES} bytes", remedy="send less in one call"
                )
        try:
            data = json.loads(raw) if raw.strip() else {}
        except ValueError as error:
            example = '{"run":"kd-1b","stage":"teacher"}'
            raise Refused(400, "Not JSON", f"the body is not JSON: {error}", remedy=f"send e.g. {example}") from error
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise problems.from_validation(error) from error

    return read


def _refuse_foreign_writer(request: Request) -> None:
    """Only this machine may write, and no page in a browser of another origin."""
    host = request.client.host if request.client else ""
    if not _is_loopback(host):
        raise Refused(
            403, "May not write", f"writes are accepted from this machine only, not from {host}",
            remedy="call the exporter from its own machine",
        )  # fmt: skip
    origin = request.headers.get("origin")
    own = request.headers.get("host")
    if (origin is not None and urlsplit(origin).netloc != own) or not _is_local_name(own or ""):
        raise Refused(
            403, "May not write", "the request comes from a web page of another origin",
            remedy="call the API from a program, not from a page in a browser",
        )  # fmt: skip


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_local_name(host: str) -> bool:
    """Whether a Host header names this machine: a page that rebinds its own name to loopback does not."""
    name = urlsplit(f"//{host}").hostname or ""
    return name == "localhost" or _is_loopback(name)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """The request body for the OpenAPI page, as bodies are read by hand here."""
    return {"requestBody": {"content": {"application/json": {"schema": model.model_json_schema()}}}}


_LANDING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Joulemark</title></head><body>
<h1>Joulemark</h1><p>Says where the joules of a pipeline go, stage by stage.</p><ul>
<li><a href="/metrics">Metrics</a></li><li><a href="/api/v1/stage">Open windows</a></li>
<li><a href="/api/v1/runs">Runs</a></li><li><a href="/docs">API</a></li></ul></body></html>
"""
