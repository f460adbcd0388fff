"""The headers of every answer: what a browser may do with it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TypeAlias

from .config_file import Headers

# As ASGI has them: names in small letters, both in bytes.
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

# The pages use only what this server serves, and nothing may frame, embed or store them.
_OURS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "deny",
    "cache-control": "no-store",
}


def request_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of a request by name in small letters; the first counts of several with one name."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed([*raw])}


@functools.lru_cache(maxsize=1)
def response_headers(configured: Headers) -> RawHeaders:
    """Ours, replaced where the web configuration file sets the same."""
    chosen = {key.lower(): value for key, value in configured.model_dump(by_alias=True).items() if value}
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in {**_OURS, **chosen}.items()]


def replaced(raw: Iterable[tuple[bytes, bytes]], others: RawHeaders) -> RawHeaders:
    """The headers of an answer with others in the place of those of the same names."""
    names = {name for name, _ in others}
    return [*(header for header in raw if header[0] not in names), *others]
