"""The gate in front of the application: who may write."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..api.problems import Refused, from_refusal

_READS = ("GET", "HEAD", "OPTIONS")


class Gate:
    """An ASGI application around another that refuses foreign writers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["method"] not in _READS:
            try:
                _refuse_foreign_writer(scope)
            except Refused as error:
                app = from_refusal(error)
        await app(scope, receive, send)


def _refuse_foreign_writer(scope: Scope) -> None:
    """Only this machine may write, and no page in a browser of another origin."""
    headers = Headers(scope=scope)
    host = scope["client"][0] if scope["client"] else ""
    if not _is_loopback(host):
        raise Refused(
            403, "May not write", f"writes are accepted from this machine only, not from {host}",
            remedy="call the exporter from its own machine",
        )  # fmt: skip
    origin = headers.get("origin")
    own = headers.get("host")
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
