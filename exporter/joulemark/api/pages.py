"""What is not JSON: /metrics, probes, and the pages for browsers."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder, gzip_accepted
from starlette.background import BackgroundTask
from starlette.datastructures import Headers

from ..exposition.exposition import Sample
from ..exposition.page import Page
from ..meter.meter import Meter
from ..probes import probes
from .problems import Refused
from .threads import SCRAPES, in_thread

# A page on loopback is not worth compressing well.
_GZIP_LEVEL = 1
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# What is on /metrics beside the ledger: asked at every scrape, must not wait.
Beside = Callable[[], Iterable[Sample]]
_STATIC = ("style.css", "figures.js", "landing.js", "docs.js", "icon.svg")


def router(meter: Meter, release: str, links: dict[str, str], beside: Sequence[Beside]) -> APIRouter:
    """The pages over this meter; `links` maps the names of other services to where browsers find them."""
    pages = APIRouter(include_in_schema=False)
    page = Page(release)
    landing = _page("index.html").replace("<!--links-->", _links(links))
    static = {name: _page(name) for name in _STATIC}

    @pages.get("/metrics")
    async def metrics(request: Request) -> Response:
        return await in_thread(SCRAPES, _scrape, meter, page, request.headers, beside)

    @pages.get("/")
    async def overview() -> Response:
        return Response(landing, media_type="text/html")

    @pages.get("/docs")
    async def docs() -> Response:
        return Response(_page("docs.html"), media_type="text/html")

    @pages.get("/static/{name}")
    async def file(name: str) -> Response:
        if name not in static:
            raise Refused(404, "Not found", f"there is no file {name[:80]!r}", remedy="/ is the page for browsers")
        return Response(static[name], media_type=_TYPES[name.rpartition(".")[2]])

    pages.include_router(probes("Joulemark"))
    return pages


def _scrape(meter: Meter, page: Page, asked: Headers, beside: Sequence[Beside]) -> Response:
    _, content_type = choose_encoder(asked.get("accept", ""))
    snapshot = meter.snapshot()
    more = [sample for samples in beside for sample in samples()]
    body = page.text(snapshot, more, openmetrics=content_type.startswith("application/openmetrics-text"))
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if gzip_accepted(asked.get("accept-encoding", "")):
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, background=BackgroundTask(meter.saw, snapshot))


def _page(name: str) -> str:
    return (files("joulemark.api") / "static" / name).read_text(encoding="utf-8")


def _links(links: dict[str, str]) -> str:
    return "\n  ".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in links.items())
