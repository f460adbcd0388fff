"""One HTTP exchange with the exporter under one time limit, from the first byte to the last."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from typing import cast

from ..errors import ExporterAway
from .endpoint import Endpoint

_LARGEST_ANSWER = 16 * 1024 * 1024


def exchange(
    endpoint: Endpoint, method: str, path: str, data: bytes | None, headers: Mapping[str, str], *, seconds: float
) -> tuple[int, bytes]:
    """Status and body of the answer; raises ExporterAway that says why there is none."""
    asked = False
    try:
        connection = _connection(endpoint, seconds)
        until = time.monotonic() + seconds
        connection.connect()
        asked = True
        with closing(connection.sock) as inner:
            connection.sock = cast("socket.socket", _TimedSocket(inner, until))
            connection.request(method, path, data, dict(headers))
            response = connection.getresponse()
            raw = response.read(_LARGEST_ANSWER + 1)
            if len(raw) > _LARGEST_ANSWER:
                raise ValueError("its answer has no end")
            return response.status, raw
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = str(error) or type(error).__name__
        raise ExporterAway(f"no exporter at {endpoint.shown}: {why}", asked=asked) from error


def _connection(endpoint: Endpoint, seconds: float) -> http.client.HTTPConnection:
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
        self._until = until

    def sendall(self, data: bytes) -> None:
        self._inner.settimeout(_left(self._until))
        self._inner.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode  # http.client only reads from it.
        return io.BufferedReader(_TimedReader(self._inner, self._until))

    def close(self) -> None:
        """http.client closes before it has read the answer; `exchange` closes after."""


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
