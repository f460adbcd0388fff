"""The pages of `joulemark frontier`: /metrics, probes, and a line for who comes with a browser."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from ..probes import probes
from .frontier import FrontierCollector

_LANDING = (
    '<!doctype html><html lang="en"><title>Joulemark frontier</title><h1>Joulemark frontier</h1>'
    '<p>Which runs no other beats in energy and quality: <a href="/metrics">metrics</a>.</p></html>'
)


def create_app(prometheus: str, timeout_seconds: float) -> FastAPI:
    """The application over one Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FrontierCollector(prometheus, timeout_seconds))
    app = FastAPI(
        title="Joulemark frontier", version=version("joulemark"), docs_url=None, redoc_url=None, openapi_url=None
    )

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    @app.get("/")
    async def landing() -> Response:
        return Response(_LANDING, media_type="text/html")

    app.include_router(probes("Joulemark frontier"))
    return app
