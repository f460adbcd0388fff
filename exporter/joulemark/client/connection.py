"""HTTP exchanges with the exporter, each under one time limit, from the first byte to the last."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import select
import socket
import ssl
import time
from collections.abc import Mapping
from typing import cast

from ..errors import ExporterAway
from . import timing
from .endpoint import Endpoint

_LARGEST_ANSWER = 16 * 1024 * 1024


def exchange(
    endpoint: Endpoint, method: str, path: str, data: bytes | None, headers: Mapping[str, str], *, seconds: float
) -> tuple[int, bytes]:
    """Status and body of the answer; raises ExporterAway that says why there is none."""
    with contextlib.closing(Exchanges(endpoint)) as one:
        return one.exchange(method, path, data, {**headers, "Connection": "close"}, seconds=seconds)


class Exchanges:
    """Exchanges with one exporter on a connection that is kept for the next one; for one thread at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._kept: _Connection | None = None

    def exchange(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], *, seconds: float
    ) -> tuple[int, bytes]:
        """Status and body of the answer; raises ExporterAway that says why there is none.

        The request is sent again where the exporter let go of the kept connection just then.
        """
        until = time.monotonic() + seconds
        request, asked = (method, path, data, headers), False
        try:
            kept, self._kept = self._kept, None
            if kept is not None and kept.is_usable():
                asked = True
                with contextlib.suppress(ConnectionError):
                    return self._ask(kept, request, until)
            opened = _Connection(self._endpoint, until)
            asked = True
            return self._ask(opened, request, until)
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = str(error) or type(error).__name__
            raise ExporterAway(f"no exporter at {self._endpoint.shown}: {why}", asked=asked) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _ask(self, connection: _Connection, request: _Request, until: float) -> tuple[int, bytes]:
        try:
            answer, goes_on = connection.ask(request, until)
        except BaseException:
            connection.close()
            raise
        if goes_on:
            self._kept = connection
        else:
            connection.close()
        return answer


_Request = tuple[str, str, bytes | None, Mapping[str, str]]


class _Connection:
    """One connection: open from its making on, which raises as sockets do."""

    def __init__(self, endpoint: Endpoint, until: float) -> None:
        self._http = _unopened(endpoint, _left(until))
        self._http.connect()
        self._socket = _TimedSocket(self._http.sock, until)
        self._http.sock = cast("socket.socket", self._socket)
        self._process = os.getpid()
        self._answered = time.monotonic()

    def ask(self, request: _Request, until: float) -> tuple[tuple[int, bytes], bool]:
        """Status and body of the answer, and whether another request may follow."""
        method, path, data, headers = request
        self._socket.until = until
        self._http.request(method, path, data, dict(headers))
        response = self._http.getresponse()
        raw = response.read(_LARGEST_ANSWER + 1)
        if len(raw) > _LARGEST_ANSWER:
            raise ValueError("its answer has no end")
        self._answered = time.monotonic()
        return (response.status, raw), response.isclosed() and not response.will_close

    def is_usable(self) -> bool:
        """Whether the exporter still holds it; else it is closed. One of the process before a fork is never usable."""
        usable = (
            self._process == os.getpid()
            and time.monotonic() - self._answered < timing.KEPT_SECONDS
            and not self._socket.has_been_closed()
        )
        if not usable:
            self.close()
        return usable

    def close(self) -> None:
        self._socket.close_for_good()


def _unopened(endpoint: Endpoint, seconds: float) -> http.client.HTTPConnection:
    parts = endpoint.split()
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, seconds)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=_trust(endpoint))
    return http.client.HTTPConnection(host, parts.port, timeout=seconds)


def _trust(endpoint: Endpoint) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_file)
        if endpoint.certificate_file:
            context.load_cert_chain(endpoint.certificate_file)
    except OSError as error:
        raise ExporterAway(f"JOULEMARK_CA_FILE or JOULEMARK_CERT_FILE cannot be used: {error}") from error
    return context


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


class _TimedSocket:
    """What http.client uses of a socket. A server that sends a byte now and then cannot hold it beyond its time."""

    def __init__(self, inner: socket.socket, until: float) -> None:
        self._inner = inner
        self.until = until

    def sendall(self, data: bytes) -> None:
        self._inner.settimeout(_left(self.until))
        self._inner.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode  # http.client only reads from it.
        return io.BufferedReader(_TimedReader(self._inner, self.until))

    def has_been_closed(self) -> bool:
        """Whether the other end has closed it, or sent what nobody asked for."""
        poll = select.poll()
        poll.register(self._inner, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """http.client closes before it has read the answer."""

    def close_for_good(self) -> None:
        self._inner.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, inner: socket.socket, until: float) -> None:
        self._inner = inner
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # as sockets take it
        self._inner.settimeout(_left(self._until))
        return self._inner.recv_into(buffer)


def _left(until: float) -> float:
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds
