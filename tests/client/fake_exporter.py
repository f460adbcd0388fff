"""Something that listens where an exporter should, and behaves as badly as it is told to."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from typing import Any

Answer = Callable[["FakeExporter", str, str, dict[str, Any]], bytes | None]


class FakeExporter:
    """Behaves like an exporter until `behave` names something else; remembers every call as (method, path, body)."""

    def __init__(self, family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0), wrap: Any = None) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.windows: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.behave = "well"
        # It says nothing before it hangs up.
        self.connections, self.answers_per_connection = 0, 1
        self._released = threading.Event()
        fake = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                fake.connections += 1
                for _ in range(fake.answers_per_connection):
                    if not fake._serve(self):
                        break

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            address_family = family

            def server_bind(self) -> None:
                if family == socket.AF_UNIX:
                    self.socket.bind(self.server_address)
                else:
                    super().server_bind()

            def get_request(self) -> Any:
                connection, peer = super().get_request()
                return (wrap(connection) if wrap else connection), peer

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is no error here."""

        self._server = Server(address, Handler)
        self.port = self._server.server_address[1] if family == socket.AF_INET else 0
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and let go of who hangs."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def made(self, method: str, pattern: str) -> list[dict[str, Any]]:
        """The bodies of the calls of this method whose path matches."""
        return [body for called, path, body in list(self.calls) if called == method and re.fullmatch(pattern, path)]

    def has_had(self, calls: int) -> bool:
        """Whether so many calls came in all."""
        return len(self.calls) >= calls

    def open_windows(self) -> list[dict[str, Any]]:
        """The windows that are open."""
        return [window for window in self.windows.values() if window["state"] in ("active", "suspended")]

    def _serve(self, handler: Any) -> bool:
        """Answer a request; false when none comes any more."""
        line = handler.rfile.readline().decode()
        if not line:
            return False
        headers: dict[str, str] = {}
        while (row := handler.rfile.readline().decode().strip()) != "":
            name, _, value = row.partition(":")
            headers[name.lower()] = value.strip()
        raw = handler.rfile.read(int(headers.get("content-length", "0")))
        method, path, _ = line.split(" ", 2)
        body = json.loads(raw) if raw else {}
        self.calls.append((method, path.removeprefix("/api/v1"), body))
        self.headers.append(headers)
        self._answer(handler, self._act(method, path.removeprefix("/api/v1"), body, headers))
        return True

    def _answer(self, handler: Any, good: tuple[int, Any]) -> None:
        behaviour = BEHAVIOURS.get(self.behave)
        if self.behave == "hang":
            self._released.wait(120)
        elif self.behave == "trickle":
            while not self._released.is_set():
                handler.wfile.write(b"H")
                time.sleep(0.02)
        elif behaviour is not None:
            handler.wfile.write(behaviour)
        else:
            status, answer = good
            text = json.dumps(answer).encode()
            handler.wfile.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))

    def _act(self, method: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        """What a small exporter would do: windows of a run in a stack, by key, ended with those on top of them."""
        if self.behave not in ("well", "deaf"):
            return 200, {}
        if method == "PUT" and path == "/stage":
            return 200, self._begin(body, headers.get("idempotency-key", ""))
        if method == "GET" and path == "/stage":
            return 200, self.open_windows()
        found = re.fullmatch(r"/stage/([^/]+)(/heartbeat)?", path)
        if found:
            window = self.windows.get(found[1])
            if window is None:
                return 404, {"detail": f"no window {found[1]}", "remedy": "begin one"}
            window["tokens"].update(body.get("tokens", {}))
            if method == "DELETE" and window["state"] in ("active", "suspended"):
                self._end(window, "failed" if body.get("failed") else "ended")
            return 200, window
        return 200, [{"device": "gpu0", "uuid": "GPU-1", "watts": 70.0}] if path == "/devices" else {}

    def _begin(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        if key and key in self.keys:
            return self.windows[self.keys[key]]
        held = body.get("devices") or ALL
        below = [w for w in self.open_windows() if w["run"] == body["run"] and {*held} & {*w["devices"]}]
        for window in below if not body.get("nest") else []:
            self._end(window, "replaced")
        name = f"w{len(self.windows)}"
        self.windows[name] = {
            "id": name, "devices": held,
            "run": body["run"], "stage": body["stage"], "phase": body.get("phase", ""), "state": "active",
            "joules": 10.0, "seconds": 1.0, "uncertainty_joules": 1.0, "joules_by_device": {"gpu0": 10.0},
            "mean_watts": 10.0, "peak_watts": 10.0, "tokens": {}, "started_at": time.time(), "ended_at": None,
            "parent": below[-1]["id"] if body.get("nest") and below else None,
        }  # fmt: skip
        self.keys[key] = name
        return self.windows[name]

    def _end(self, window: dict[str, Any], state: str) -> None:
        window["state"], window["ended_at"] = state, time.time()
        for child in [w for w in self.open_windows() if w["parent"] == window["id"]]:
            self._end(child, state)

    def expire(self) -> None:
        """Let every lease run out."""
        for window in self.open_windows():
            self._end(window, "expired")


def _http(status: str, kind: str, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode() + body


ALL = ["gpu0"]
BEHAVIOURS = {
    "hang up": b"",
    "html 502": _http("502 Bad Gateway", "text/html", b"<html><h1>502 Bad Gateway</h1></html>"),
    "html 404": _http("404 Not Found", "text/html", b"<html>nothing here</html>"),
    "html 200": _http("200 OK", "text/html", b"<html>Welcome to nginx</html>"),
    "truncated": _http("200 OK", "application/json", b'{"id": "w1", "sta', length=400),
    "no length, half of it": b'HTTP/1.1 200 OK\r\n\r\n{"id": "w1"',
    "a list": _http("200 OK", "application/json", b"[1, 2]"),
    "a number": _http("200 OK", "application/json", b"7"),
    "null": _http("200 OK", "application/json", b"null"),
    "wrong types": _http("200 OK", "application/json", b'{"id": 7, "state": [], "joules": "many", "tokens": 3}'),
    "not http": b"220 smtp.example.org ESMTP\r\n",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 5000,
    "deep": _http("200 OK", "application/json", b"[" * 100_000),
    "bytes": bytes(range(256)) * 20,
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "too many": _http(
        "429 Too Many Requests", "application/problem+json", b'{"detail": "too many", "remedy": "later"}'
    ),
}
