"""Puts the calls together into one application over one meter; no state of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import FastAPI

from ..meter.meter import Meter
from . import devices, factors, pages, problems, runs, stages

DESCRIPTION = """
Says which stage of which run a device works for, and what that cost in joules.

A body is JSON whatever its content type. A call that was answered may be sent again: a repeated heartbeat, end,
declaration, score or artifact changes nothing twice. A refusal is a problem (RFC 9457) that names the field, why it was
refused, and what would be accepted; nothing of it reaches the ledger.
"""


def create_app(meter: Meter, links: dict[str, str] | None = None, beside: Sequence[pages.Beside] = ()) -> FastAPI:
    """The application over one meter; it lets everybody do everything, `web` guards it.

    `links` maps names of other services to where browsers find them, for the page at `/`; `beside` gives what is on
    /metrics beside the ledger.
    """
    release = version("joulemark")
    app = FastAPI(
        title="Joulemark",
        version=release,
        description=DESCRIPTION,
        # FastAPI's own pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Newer releases look with every request whether somebody wants traces of it.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app)
    # Who asks for a call is compared with each of these in turn: those that are made most often come first.
    for part in (stages, devices, factors, runs):
        app.include_router(part.router(meter), prefix="/api/v1")
    app.include_router(pages.router(meter, release, links or {}, beside))
    return app
