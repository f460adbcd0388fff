"""Keeps web pages of others out: a page that somebody has open must not read or write here in his name.

A page can send some requests without being asked whether it may: GET, and POST with a text body. And a page can have
its own name resolve to this machine (DNS rebinding), so that the browser takes both for one origin.
"""

from __future__ import annotations

import functools
import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..api.problems import Refused

_REMEDY = "call the API from a program, not from a page in a browser"


def refuse_unknown_name(headers: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Refuse a request to a loopback address under a name that is not this machine's: a page that rebinds its own."""
    host = headers.get("host")
    name = _name(host) if host else ""
    if host is None or is_loopback(name) or name in _own_names() or name in allowed or name.endswith(".localhost"):
        return
    raise Refused(
        403, "Unknown host name", f"this address is not known as {name[:80]!r}", field="Host",
        remedy="use localhost or 127.0.0.1, or allow the name by --web.allowed-hosts",
    )  # fmt: skip


def refuse_foreign_page(headers: Mapping[str, str]) -> None:
    """Refuse what a browser sends for a page of another origin; programs send none of these headers."""
    site = headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        raise Refused(403, "May not write", f"a page of another site ({site}) asks", field="Origin", remedy=_REMEDY)
    own = headers.get("host", "").lower()
    for header in ("origin", "referer"):
        value = headers.get(header)
        if value is not None and _host_and_port(value) != own:
            raise Refused(
                403, "May not write", f"a page of another origin ({value[:80]}) asks",
                field=header.capitalize(), remedy=_REMEDY,
            )  # fmt: skip


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether this is the name or an address of loopback."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _own_names() -> tuple[str, ...]:
    name = os.uname().nodename.lower()
    return name, name.partition(".")[0]


def _host_and_port(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """The name of a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or host
    except ValueError:
        return host
