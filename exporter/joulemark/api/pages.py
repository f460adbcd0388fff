"""What is not JSON: /metrics, probes, the landing page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client.exposition import choose_encoder

from ..exposition import registry_of
from ..meter import Meter


def router(meter: Meter, release: str) -> APIRouter:
    """The pages over this meter."""
    pages = APIRouter(include_in_schema=False)
    registry = registry_of(meter.snapshot, release)

    @pages.get("/", response_class=HTMLResponse)
    def landing() -> str:
        return _LANDING

    @pages.get("/metrics")
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    @pages.get("/-/healthy")
    def healthy() -> Response:
        return Response("Joulemark is healthy.\n", media_type="text/plain")

    @pages.get("/-/ready")
    def ready() -> Response:
        return Response("Joulemark is ready.\n", media_type="text/plain")

    return pages


_LANDING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Joulemark</title></head><body>
<h1>Joulemark</h1><p>Says where the joules of a pipeline go, stage by stage.</p><ul>
<li><a href="/metrics">Metrics</a></li><li><a href="/api/v1/stage">Open windows</a></li>
<li><a href="/api/v1/runs">Runs</a></li><li><a href="/openapi.json">API</a></li></ul></body></html>
"""
