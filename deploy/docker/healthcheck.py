"""Exit code 0 when the exporter in this container is ready; for HEALTHCHECK, so light and without any import of it."""

import http.client
import os
import ssl
import sys

URL = os.environ.get("JOULEMARK_HEALTH_URL", "http://127.0.0.1:9871/-/ready")


def main() -> int:
    scheme, _, rest = URL.partition("://")
    host, _, path = rest.partition("/")
    try:
        connection: http.client.HTTPConnection = http.client.HTTPConnection(host, timeout=3)
        if scheme == "https":
            # It asks itself, on loopback: whose certificate it is does not matter here.
            context = ssl._create_unverified_context()  # noqa: S323
            connection = http.client.HTTPSConnection(host, timeout=3, context=context)
        connection.request("GET", f"/{path}")
        # 401 is an exporter that knows its users: it lives.
        return int(connection.getresponse().status not in (200, 401))
    except OSError as error:
        sys.stderr.write(f"{URL}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
