"""From addresses to listening sockets."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..addresses import Address
from ..errors import SettingsError
from ..settings import Settings

BACKLOG = 2048


@contextmanager
def listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Listeners on every address of the settings, closed at the end; raises SettingsError as `listen` does."""
    with ExitStack() as doors:
        listeners = []
        for address in settings.listen_addresses:
            listeners.append(listen(address, settings.socket_mode, settings.socket_group))
            doors.callback(close, listeners[-1], address)
        yield listeners


def listen(address: Address, mode: int, group: str | None) -> socket.socket:
    """A listening socket; raises SettingsError that names the remedy. Mode and group are a Unix socket's.

    Who connects before the server is up waits for it.
    """
    if address.path is not None:
        return _unix(address.path, mode, group)
    try:
        return _tcp(address.host, address.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {address.port} on {address.host or 'every interface'} is in use: stop what listens there "
                f"('ss -ltnp sport = :{address.port}' names it) or choose another by --web.listen-address"
            ) from error
        raise SettingsError(f"cannot listen on {address}: {error.strerror}; see --web.listen-address") from error


def url_of(listener: socket.socket, *, tls: bool) -> str:
    """How a client names it."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix://{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{'https' if tls else 'http'}://{host}:{name[1]}"


def close(listener: socket.socket, address: Address) -> None:
    """Stop listening; a socket's file goes too."""
    listener.close()
    if address.path is not None:
        address.path.unlink(missing_ok=True)


def _tcp(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        return _bound(socket.AF_INET6, ("::", port), both=True)
    found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)  # noqa: S104
    # IPv4 first, as most clients try a name such as localhost.
    family, _, _, _, name = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return _bound(family, name)


def _bound(family: int, name: tuple[object, ...], *, both: bool = False) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections take it over: else the end of an answer waits until the client has confirmed its beginning, which
        # takes 40 ms where requests follow each other on one connection.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        listener.bind(name)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _unix(path: Path, mode: int, group: str | None) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Nobody may come in before group and mode are set.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        if group is not None:
            shutil.chown(path, group=group)
        path.chmod(mode)
        listener.listen(BACKLOG)
    except (OSError, LookupError) as error:
        close(listener, Address(path=path))
        why = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"cannot listen on unix:{path}: {why}; see --web.listen-address and --web.socket-group"
        ) from error
    finally:
        os.umask(before)
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that a killed exporter left; one that answers, or another file, is somebody's."""
    try:
        kind = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(kind):
        raise SettingsError(f"{path} is there and no socket: name another path in --web.listen-address")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise SettingsError(f"{path} cannot be used: {error.strerror}") from error
    raise SettingsError(f"{path} is in use: stop what listens there or name another path in --web.listen-address")
