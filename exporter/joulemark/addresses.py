"""Where to listen: HOST:PORT for TCP, unix:PATH for a Unix socket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_UNIX = "unix:"
# What fits into sockaddr_un, the closing zero left out.
_LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True)
class Address:
    """One address: either `path` of a Unix socket, or `host` (empty for every interface) and `port`."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Addresses separated by commas; raises ValueError that says what is wrong with which."""
    addresses = tuple(_parse(part.strip()) for part in text.split(",") if part.strip())
    if not addresses:
        raise ValueError("no address")
    return addresses


def _parse(text: str) -> Address:
    if text.startswith(_UNIX):
        return Address(path=_socket_path(text.removeprefix(_UNIX)))
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not (port.isascii() and port.isdigit() and int(port) <= 65535) or (":" in host and bare == host):
        raise ValueError(f"{text!r} is not an address")
    return Address(bare, int(port))


def _socket_path(text: str) -> Path:
    # unix:///run/x.sock, as a client's URL has it, and unix:/run/x.sock are the same.
    path = Path("/" + text.lstrip("/")) if text.startswith("/") else Path(text)
    if not path.is_absolute():
        raise ValueError(f"the socket path {text!r} is not absolute")
    if len(str(path).encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"the socket path {text!r} is longer than {_LONGEST_SOCKET_PATH} bytes")
    return path
