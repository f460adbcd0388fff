"""Before anything else starts: what on this machine will keep it from starting, and what to do. Standard library only.

It says so and stops nothing: the engine has the last word, in words that do not say what to do.
"""

import contextlib
import errno
import http.client
import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple


class Service(NamedTuple):
    """A service with a port, and how it shows that a taken port is its own: of an `up` before this one."""

    name: str
    method: str
    path: str
    # In the answer's status or text; a stranger of the same kind does not say it.
    mark: str


SERVICES = {
    # It wants a token where one outside of containers does not.
    "JOULEMARK_PORT": Service("exporter", "POST", "/api/v1/stage/preflight/heartbeat", "401"),
    "PROMETHEUS_PORT": Service("prometheus", "GET", "/api/v1/status/flags", "/etc/prometheus/joulemark/"),
    "GRAFANA_PORT": Service("grafana", "GET", "/api/dashboards/uid/joulemark-pipelines", "200"),
    "ALERTMANAGER_PORT": Service("alertmanager", "GET", "/api/v2/status", "JoulemarkExporterDown"),
    "VICTORIAMETRICS_PORT": Service("victoriametrics", "GET", "/flags", "/victoria-metrics-data"),
}
DRIVER = Path("/proc/driver/nvidia/version")
# The machine's own, where compose.gpu.yaml mounts them.
PROGRAMS = Path("/machine/bin")
TOOLKIT = ("nvidia-ctk", "nvidia-container-runtime-hook", "nvidia-container-runtime")


def main() -> int:
    host = os.environ.get("JOULEMARK_BIND") or "127.0.0.1"
    if _why_not(host, 0) == errno.EADDRNOTAVAIL:
        _wrong(f"{host} is no address of this machine", "set JOULEMARK_BIND in .env to one that is, or leave it out")
    for setting in sys.argv[1:]:
        # What cannot be looked at, the engine judges alone.
        with contextlib.suppress(OSError, ValueError, OverflowError):
            if setting == "nvidia":
                _nvidia()
            else:
                _port(host, setting, int(os.environ[setting]))
    return 0


def _wrong(what: str, remedy: str) -> None:
    sys.stdout.write(f"wrong: {what}\n       {remedy}\n")


def _port(host: str, setting: str, port: int) -> None:
    service = SERVICES[setting]
    if _why_not(host, port) == errno.EADDRINUSE and not _ours(host, port, service):
        free = next((n for n in range(port + 1, 65536) if not _why_not(host, n)), 0)
        _wrong(
            f"port {port} is taken by another program, so {service.name} cannot start",
            f"set {setting}={free or '…'} in .env, or stop that program: 'ss -ltnp sport = :{port}' names it",
        )


def _why_not(host: str, port: int) -> int:
    """The number of the error that keeps a port from being listened at, 0 for none."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        return error.errno or 0
    return 0


def _ours(host: str, port: int, service: Service) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        headers = {"Content-Type": "application/json"} if service.method == "POST" else {}
        connection.request(service.method, service.path, "{}" if headers else None, headers)
        answer = connection.getresponse()
        return service.mark == str(answer.status) or service.mark in answer.read(1_000_000).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _nvidia() -> None:
    # Under Windows the driver is Windows' own, and Docker Desktop brings what it needs.
    if "microsoft" in Path("/proc/version").read_text().lower():
        return
    if not DRIVER.exists():
        _wrong(
            "compose.gpu.yaml asks for NVIDIA GPUs, but this machine has no NVIDIA driver loaded",
            "install it ('nvidia-smi' then lists the GPUs), or leave compose.gpu.yaml out",
        )
    elif not any((PROGRAMS / name).exists() for name in TOOLKIT):
        _wrong(
            "compose.gpu.yaml asks for NVIDIA GPUs, but there is no NVIDIA Container Toolkit in /usr/bin",
            "install it, run 'nvidia-ctk runtime configure --runtime=docker' and restart Docker; "
            "or leave compose.gpu.yaml out",
        )


if __name__ == "__main__":
    sys.exit(main())
