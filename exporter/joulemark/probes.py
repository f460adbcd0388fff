"""Whether a process lives and is ready, for what watches over it."""

from __future__ import annotations

from fastapi import APIRouter, Response


def probes(name: str) -> APIRouter:
    """`/-/healthy` and `/-/ready`, as Prometheus itself has them."""
    router = APIRouter(include_in_schema=False)

    @router.get("/-/healthy")
    async def healthy() -> Response:
        return Response(f"{name} is healthy.\n", media_type="text/plain")

    @router.get("/-/ready")
    async def ready() -> Response:
        return Response(f"{name} is ready.\n", media_type="text/plain")

    return router
