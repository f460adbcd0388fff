"""Runs the application on its listeners and looks once a second after files and connections."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from .connection import Connection, Limits
from .gate import Gate
from .protection import Protection


class _Server(uvicorn.Server):
    """Looks after itself once a second and at a signal: to wake ten times a second costs more than all its work."""

    async def main_loop(self) -> None:
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        while not await self.on_tick(0):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._leave.wait(), 1.0)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if hasattr(self, "_leave"):
            self._loop.call_soon_threadsafe(self._leave.set)


def serve_http(
    app: ASGIApp, listeners: Sequence[socket.socket], protection: Protection, allowed_hosts: tuple[str, ...],
    besides: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Serve until a signal ends it; `besides`, which must not wait for anything, is called once a second."""
    gate = Gate(app, lambda: protection.security.config, lambda: protection.tokens, allowed_hosts)
    config = _config(gate, protection)
    server = _Server(config)

    async def once_a_second() -> None:
        besides()
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
