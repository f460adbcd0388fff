"""From the text of a setting to its value; each raises ValueError that says what is wrong."""

from __future__ import annotations

from urllib.parse import urlsplit


def duration(text: str) -> float:
    """Seconds from '100ms', '0.1s', '2m' or a plain number of seconds."""
    units = {"ms": 1e-3, "s": 1.0, "m": 60.0}
    for unit in ("ms", "s", "m"):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * units[unit]
    return float(text)


def octal(text: str) -> int:
    """Permissions as chmod takes them."""
    return int(text, 8)


def truth(text: str) -> bool:
    """Yes or no."""
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.strip().lower() not in words:
        raise ValueError("say true or false")
    return words[text.strip().lower()]


def names(text: str) -> tuple[str, ...]:
    """Host names, separated by commas."""
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    if any(set(name) & set("/ @:*") for name in names):
        raise ValueError("a host name has neither scheme nor port")
    return names


def url(text: str) -> str:
    """A web address without a login."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.username:
        raise ValueError("not a web address")
    return text


def engine(text: str) -> str:
    """The address of a container engine."""
    scheme, _, rest = text.partition("://")
    if scheme not in ("unix", "tcp", "http", "https", "ssh") or not rest:
        raise ValueError("not an address of a container engine")
    return text
