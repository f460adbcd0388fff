"""Whether `joulemark serve` could start here: its folder, its addresses, its files. Nothing is made."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path

from ..addresses import Address
from ..client.endpoint import Endpoint
from ..errors import SettingsError
from ..settings import Settings
from ..web.listeners import listen
from ..web.protection import Protection
from .exporter import ask_exporter
from .facts import AddressFacts, StateDirFacts

_MOUNTS = Path("/proc/self/mounts")


def state_dir_facts(folder: Path, mounts: Path = _MOUNTS) -> StateDirFacts:
    """Whether the ledger could be written in this folder, which need not exist yet."""
    folder = folder.expanduser().absolute()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return StateDirFacts(
        path=str(folder),
        exists=nearest == folder,
        reason=_why_not_writable(nearest, folder),
        filesystem=_filesystem(nearest.resolve(), mounts),
        free_bytes=shutil.disk_usage(nearest).free,
    )


def _why_not_writable(nearest: Path, folder: Path) -> str:
    if not nearest.is_dir():
        return f"{nearest} is a file, not a folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest} is not writable for this user (uid {os.getuid()})"
    foreign = [path for path in folder.glob("ledger.sqlite*") if not os.access(path, os.R_OK | os.W_OK)]
    return f"{foreign[0]} belongs to another user" if foreign else ""


def _filesystem(path: Path, mounts: Path) -> str:
    """The type of the file system that holds a path: the deepest mount above it."""
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    above = [(len(row[1]), row[2]) for row in rows if path.is_relative_to(row[1])]
    return max(above)[1] if above else ""


def address_facts(settings: Settings) -> list[AddressFacts]:
    """Whether each address that `serve` would listen at is free, and who has it if not."""
    return [_unix(address, address.path) if address.path else _tcp(address) for address in settings.listen_addresses]


def _tcp(address: Address) -> AddressFacts:
    try:
        listener = listen(address, 0, None)
    except SettingsError as error:
        if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
            return AddressFacts(str(address), "refused", str(error))
        return _who(address, f"http://{_reachable(address.host)}:{address.port}")
    listener.close()
    return AddressFacts(str(address), "free")


def _unix(address: Address, path: Path) -> AddressFacts:
    # Only looked at: listening would make the socket, and remove one that was left.
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return AddressFacts(str(address), "refused", f"{path.parent} is not there, or not writable for this user")
    if path.exists() and not path.is_socket():
        return AddressFacts(str(address), "refused", f"{path} is there and no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return AddressFacts(str(address), "free")
    return _who(address, f"unix://{path}")


def _who(address: Address, url: str) -> AddressFacts:
    # Without a token: it may be anybody who listens there.
    there = ask_exporter(Endpoint(url), asked=False)
    return AddressFacts(str(address), "joulemark" if there.reachable else "taken", there.version or there.reason)


def _reachable(host: str) -> str:
    """An address at which what listens on `host` answers."""
    local = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared, not bound
    return local.get(host, f"[{host}]" if ":" in host else host)


def why_no_web(settings: Settings) -> str:
    """Why the files of tokens and of the web configuration cannot be used; empty when they can."""
    try:
        Protection(settings)
    except SettingsError as error:
        return str(error)
    return ""
