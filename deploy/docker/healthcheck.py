"""Exit code 0 when the exporter in this container is ready; for HEALTHCHECK.

It runs every few seconds, so it imports no more than it needs: half of its time is the start of Python.
"""

import os
import socket
import sys

URL = os.environ.get("JOULEMARK_HEALTH_URL", "http://127.0.0.1:9871/-/ready")


def main() -> int:
    scheme, _, rest = URL.partition("://")
    host, _, path = rest.partition("/")
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name, int(port)), timeout=3) as plain:
            connection = _encrypted(plain) if scheme == "https" else plain
            connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            status = connection.recv(64).split()[1]
    except (OSError, ValueError, IndexError) as error:
        sys.stderr.write(f"{URL}: {error}\n")
        return 1
    # 401 is an exporter that knows its users: it lives.
    return int(status not in (b"200", b"401"))


def _encrypted(plain: socket.socket) -> socket.socket:
    import ssl

    # It asks itself, on loopback: whose certificate it is does not matter here.
    return ssl._create_unverified_context().wrap_socket(plain)  # noqa: S323


if __name__ == "__main__":
    sys.exit(main())
