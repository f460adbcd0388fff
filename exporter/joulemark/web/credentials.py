"""The Authorization header: a bearer token, or a name and password."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """What a request presents; nothing when it presents nothing that can be read."""

    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str = field(default="", repr=False)


def credentials_of(header: str | None) -> Credentials:
    """Read the header's value."""
    scheme, _, rest = (header or "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return Credentials(token=rest.strip())
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(rest.strip(), validate=True).decode("utf-8", "surrogateescape")
        except (binascii.Error, ValueError):
            return Credentials()
        user, colon, password = text.partition(":")
        return Credentials(user=user, password=password) if colon else Credentials()
    return Credentials()
