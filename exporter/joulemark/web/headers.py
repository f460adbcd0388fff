"""The headers of every answer: what a browser may do with it."""

from __future__ import annotations

from .config_file import Headers

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


def response_headers(configured: Headers) -> dict[str, str]:
    """Ours, replaced where the web configuration file sets the same."""
    chosen = {key.lower(): value for key, value in configured.model_dump(by_alias=True).items() if value}
    return {**_OURS, **chosen}
