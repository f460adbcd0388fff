"""What is not JSON: /metrics, probes, and the pages for browsers."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder

from ..exposition import registry_of
from ..meter import Meter
from .problems import Refused
from .threads import SCRAPES, in_threads

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_STATIC = ("style.css", "figures.js", "landing.js", "docs.js", "icon.svg")


def router(meter: Meter, release: str, links: dict[str, str]) -> APIRouter:
    """The pages over this meter; `links` maps the names of other services to where browsers find them."""
    pages = APIRouter(include_in_schema=False)
    registry = registry_of(meter.snapshot, release)
    landing = _page("index.html").replace("<!--links-->", _links(links))
    static = {name: _page(name) for name in _STATIC}

    @pages.get("/metrics")
    @in_threads(SCRAPES)
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

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

    _probes(pages)
    return pages


def _probes(pages: APIRouter) -> None:
    @pages.get("/-/healthy")
    async def healthy() -> Response:
        return Response("Joulemark is healthy.\n", media_type="text/plain")

    @pages.get("/-/ready")
    async def ready() -> Response:
        return Response("Joulemark is ready.\n", media_type="text/plain")


def _page(name: str) -> str:
    return (files("joulemark.api") / "static" / name).read_text(encoding="utf-8")


def _links(links: dict[str, str]) -> str:
    return "\n  ".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in links.items())
