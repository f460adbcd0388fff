"""A container engine's HTTP API on a Unix socket, as much of it as is asked here; the real Docker SDK speaks to it."""

from __future__ import annotations

import itertools
import json
import queue
import socketserver
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_numbers = itertools.count(1)


class FakeEngine:
    """Containers that start, pause and exit when told; `silent` ones of their changes are never told as events."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.url = f"unix://{socket}"
        self.silent = False
        self.forbidden = ""
        self.listings = 0
        self._containers: dict[str, dict[str, Any]] = {}
        self._streams: list[queue.Queue[str | None]] = []
        self._server: _Server | None = None
        self.up()

    def run(self, labels: Mapping[str, str], *, env: tuple[str, ...] = (), requests: Any = None, name: str = "") -> str:
        """Start a container; its id."""
        container_id = f"{next(_numbers):064x}"
        self._containers[container_id] = {
            "Id": container_id,
            "Name": f"/{name or 'job'}",
            "State": {"Running": True, "Paused": False, "Restarting": False},
            "Config": {"Labels": dict(labels), "Env": list(env)},
            "HostConfig": {"DeviceRequests": requests},
        }
        self._tell(container_id, "start")
        return container_id

    def exit(self, container_id: str) -> None:
        """The container ended, or was killed: to the engine that is one."""
        self._containers[container_id]["State"].update(Running=False, Paused=False)
        self._tell(container_id, "die")

    def remove(self, container_id: str) -> None:
        """It ended and is gone, as with `--rm`."""
        del self._containers[container_id]
        self._tell(container_id, "die")

    def restart(self, container_id: str) -> None:
        self._containers[container_id]["State"].update(Running=True)
        self._tell(container_id, "start")

    def pause(self, container_id: str, *, paused: bool = True) -> None:
        self._containers[container_id]["State"].update(Paused=paused)
        self._tell(container_id, "pause" if paused else "unpause")

    def tell(self, container_id: str, event: str) -> None:
        """An event, true or not."""
        self._tell(container_id, event)

    def up(self) -> None:
        """Listen."""
        self.socket.unlink(missing_ok=True)
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Stop as an engine that is restarted does: connections end, the socket's file stays."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for stream in self._streams:
            stream.put(None)
        self._streams.clear()

    def close(self) -> None:
        if self._server is not None:
            self.down()

    def _tell(self, container_id: str, event: str) -> None:
        if self.silent:
            return
        for stream in self._streams:
            stream.put(json.dumps({"Type": "container", "status": event, "id": container_id}))

    # -- what the handler asks -----------------------------------------------------------------------------

    def listed(self, filters: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        self.listings += 1
        return [
            {"Id": key}
            for key, facts in self._containers.items()
            if facts["State"]["Running"] and all(label in facts["Config"]["Labels"] for label in filters["label"])
        ]

    def inspected(self, container_id: str) -> dict[str, Any] | None:
        return self._containers.get(container_id)

    def subscribe(self) -> queue.Queue[str | None]:
        self._streams.append(queue.Queue())
        return self._streams[-1]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        super().__init__(str(engine.socket), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        # The SDK writes the API's version before every call but the first.
        path = url.path.split("/", 2)[2] if url.path.startswith("/v1.") else url.path[1:]
        if self.server.engine.forbidden and path.startswith(self.server.engine.forbidden):
            self._answer(403, {"message": "403 Forbidden"})
        elif path == "version":
            self._answer(200, {"ApiVersion": "1.41", "Version": "20.10"})
        elif path == "containers/json":
            self._answer(200, self.server.engine.listed(json.loads(parse_qs(url.query)["filters"][0])))
        elif path == "events":
            self._stream()
        else:
            found = self.server.engine.inspected(path.split("/")[1])
            self._answer(200 if found else 404, found or {"message": "No such container"})

    def _answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self) -> None:
        events = self.server.engine.subscribe()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (event := events.get()) is not None:
            self.wfile.write(f"{len(event) + 1:x}\r\n{event}\n\r\n".encode())
            self.wfile.flush()
        self.close_connection = True
