"""One connection: TLS, time-outs, and a bound on how many there are, so that slow or stuck clients hold up nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..api.problems import MEDIA_TYPE, Problem
from .protection import Security
from .tls import allowed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Seconds that a client may take for each part, and how many connections there may be.

    While all of them are being served, so many newcomers (`waiting`) may come in besides, and make room for each other.
    """

    handshake_seconds: float = 10.0
    header_seconds: float = 10.0
    body_seconds: float = 10.0
    reading_seconds: float = 20.0
    connections: int = 256
    waiting: int = 32


class Connection(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol, bounded. `sweep` must be called about once a second."""

    def __init__(self, *args: Any, security: Callable[[], Security], limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._security = security
        self._limits = limits
        self._raw: asyncio.Transport | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._early = bytearray()
        self._made = False
        self._requests = 0
        # When this client last had an answer; who waited longest for one makes room for others.
        self._served_at = self.loop.time()
        self._waits: tuple[str, int] | None = None
        self._since = 0.0

    # -- what asyncio calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._raw = transport
        if not self._make_room():
            transport.abort()
            return
        self.connections.add(self)
        security = self._security()
        by_socket = transport.get_extra_info("socket").family == socket.AF_UNIX
        if security.context is None or by_socket:
            self._begin(transport)
        else:
            self._handshake = self.loop.create_task(self._secure(transport, security))

    def data_received(self, data: bytes) -> None:
        if not self._made:
            # The first request may come with the end of the handshake.
            self._early += data
            return
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._requests += 1
        self._served_at = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._handshake is not None:
            self._handshake.cancel()
        if not self._made:
            self.connections.discard(self)
        else:
            super().connection_lost(exc)

    def shutdown(self) -> None:
        # With TLS a plain close would wait for the client's part in it.
        if not self._made or not (self._in_service() or self._unsent_bytes()):
            self.abort()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self._refuse(
            Problem(
                title="Not HTTP", status=400, detail=msg,
                remedy="send an HTTP/1.1 request with at most 16 kB of headers",
            )
        )  # fmt: skip

    # -- bounds --------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Cut the connection off if the client has kept it waiting for too long."""
        waits = self._waiting_for()
        if waits != self._waits:
            self._waits, self._since = waits, now
        if waits is not None and now - self._since > getattr(self._limits, f"{waits[0]}_seconds"):
            log.info("event=client_too_slow waiting_for=%s seconds=%.0f", waits[0], now - self._since)
            if waits[0] == "body" and self.conn.our_state is h11.SEND_RESPONSE:
                self._refuse(
                    Problem(
                        title="Body incomplete", status=408,
                        detail=f"the body was not whole within {self._limits.body_seconds:g} s",
                        remedy="send it at once, with its right Content-Length",
                    )
                )  # fmt: skip
            else:
                self.abort()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        if self._raw is not None:
            self._raw.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answer in the application's place, and close."""
        body = problem.model_dump_json(exclude_none=True).encode()
        headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
        for event in (
            h11.Response(status_code=problem.status, headers=headers), h11.Data(data=body), h11.EndOfMessage(),
        ):  # fmt: skip
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _waiting_for(self) -> tuple[str, int] | None:
        """What the client has yet to do for which request; None while it is our turn, or nobody's."""
        if not self._made:
            return "handshake", 0
        if self._unsent_bytes():
            return "reading", self._requests
        if self.conn.their_state is h11.SEND_BODY:
            return "body", self._requests
        ours = self.cycle is not None and not self.cycle.response_complete
        if not ours and (self._requests == 0 or self.conn.trailing_data[0]):
            return "header", self._requests
        return None

    def _unsent_bytes(self) -> int:
        unsent = self.transport.get_write_buffer_size()
        return unsent + (self._raw.get_write_buffer_size() if self._raw is not None else 0)

    def _make_room(self) -> bool:
        """Below the bound, or the connection that waited longest is cut off; false when all are being served.

        Who asks ahead of the answers is cut off though it is served: it would hold its place for as long as it likes.
        """
        if len(self.connections) < self._limits.connections:
            return True
        others = [x for x in self.connections if isinstance(x, Connection) and x._may_go()]
        if not others:
            return len(self.connections) < self._limits.connections + self._limits.waiting
        longest = min(others, key=lambda other: other._served_at)
        self.connections.discard(longest)
        longest.abort()
        return True

    def _may_go(self) -> bool:
        return not self._in_service() or bool(self.conn.trailing_data[0])

    def _in_service(self) -> bool:
        waits = self._waiting_for()
        return waits is None and self.cycle is not None and not self.cycle.response_complete

    def _begin(self, transport: asyncio.Transport) -> None:
        """HTTP starts."""
        super().connection_made(transport)
        self._made = True
        if self._early:
            self.data_received(bytes(self._early))
            self._early.clear()

    # -- TLS -----------------------------------------------------------------------------------------------

    async def _secure(self, transport: asyncio.Transport, security: Security) -> None:
        assert security.context is not None
        section = security.config.tls_server_config
        try:
            secured = await self.loop.start_tls(
                transport, self, security.context, server_side=True,
                ssl_handshake_timeout=self._limits.handshake_seconds,
            )  # fmt: skip
        except (OSError, ssl.SSLError) as error:
            log.info("event=handshake_failed reason=%r", getattr(error, "reason", None) or type(error).__name__)
            self.connections.discard(self)
            transport.abort()
            return
        if secured is None or secured.is_closing():
            self.connections.discard(self)
            return
        peer = secured.get_extra_info("ssl_object").getpeercert() or {}
        if section is not None and not allowed(peer, section.client_allowed_sans):
            log.warning("event=client_certificate_refused reason='none of client_allowed_sans'")
            secured.abort()
            self.connections.discard(self)
            return
        self._begin(secured)
