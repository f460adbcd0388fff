"""Whether `joulemark serve` could start here: its folder, its port. Nothing is made or changed."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path

from ..settings import Settings
from .exporter import ask_exporter
from .facts import PortFacts, StateDirFacts

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


def port_facts(settings: Settings) -> PortFacts:
    """Whether the address that `serve` would take is free, and who has it if not."""
    host, port = settings.host_and_port
    address = settings.listen_address
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            # Another listener on a wildcard address shows only now.
            probe.listen(1)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return PortFacts(address, "refused", str(error))
        there = ask_exporter(f"http://{_reachable(host)}:{port}", asked=False)
        return PortFacts(address, "joulemark" if there.reachable else "taken", there.version or there.reason)
    return PortFacts(address, "free")


def _reachable(host: str) -> str:
    """An address at which what listens on `host` answers."""
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared, not bound
    return local.get(host, f"[{host}]" if ":" in host else host)
