"""Runs the application on its listeners and looks once a second after files and connections."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from .connection import Connection, Limits
from .gate import Gate
from .protection import Protection


def serve_http(
    app: ASGIApp, listeners: Sequence[socket.socket], protection: Protection, allowed_hosts: tuple[str, ...]
) -> None:
    """Serve until a signal ends it."""
    gate = Gate(app, lambda: protection.security.config, lambda: protection.tokens, allowed_hosts)
    config = _config(gate, protection)
    server = uvicorn.Server(config)

    async def once_a_second() -> None:
        protection.refresh()
        now = asyncio.get_running_loop().time()
        for connection in tuple(server.server_state.connections):
            if isinstance(connection, Connection):
                connection.sweep(now)

    config.callback_notify = once_a_second
    server.run(sockets=list(listeners))


def _config(app: ASGIApp, protection: Protection) -> uvicorn.Config:
    protocol: Callable[..., Connection] = functools.partial(
        Connection, security=lambda: protection.security, limits=Limits()
    )
    options: dict[str, Any] = {"http": protocol}
    return uvicorn.Config(
        app, **options, loop="asyncio", ws="none", lifespan="off", log_config=None, log_level="error", access_log=False,
        # Whoever stands before us says for whom; we believe nobody's headers.
        proxy_headers=False, server_header=False, timeout_notify=0, timeout_graceful_shutdown=3,
    )  # fmt: skip
