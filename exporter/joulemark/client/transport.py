"""One call at a time to one exporter: an answer in JSON, or an error that says why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import CallRefused, ExporterAway
from . import timing
from .endpoint import Endpoint

if TYPE_CHECKING:
    from .connection import Exchanges

# Refusals that say "later", not "no".
_LATER = (408, 425, 429)


class Transport:
    """Calls of the stage API; what of the address is left out comes from the environment.

    With `keep` the connection is kept for the next call, until `close`; then one thread makes all of them.
    """

    def __init__(self, url: str | None = None, token: str | None = None, *, keep: bool = False) -> None:
        self.endpoint = Endpoint.found(url, token)
        self._keep = keep
        self._exchanges: Exchanges | None = None

    @property
    def url(self) -> str:
        """The exporter's address as it may be shown."""
        return self.endpoint.shown

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None, *, key: str = "") -> Any:
        """The answer; `key` makes the call one that may be repeated.

        Raises CallRefused with the exporter's own words, or ExporterAway when no usable answer came in time.
        """
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        login = self.endpoint.authorization()
        if login:
            headers["Authorization"] = login
        data = None if body is None else json.dumps(body).encode()
        path = f"/api/v1{path}"
        status, raw = self._exchange(method, path, data, headers)
        return self._read(status, raw)

    def close(self) -> None:
        """Let go of the connection."""
        if self._exchanges is not None:
            self._exchanges.close()

    def _exchange(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        # Loaded by the thread that speaks, so that importing joulemark stays quick.
        from .connection import Exchanges, exchange

        if not self._keep:
            return exchange(self.endpoint, method, path, data, headers, seconds=timing.REQUEST_SECONDS)
        self._exchanges = self._exchanges or Exchanges(self.endpoint)
        return self._exchanges.exchange(method, path, data, headers, seconds=timing.REQUEST_SECONDS)

    def _read(self, status: int, raw: bytes) -> Any:
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            answer = None
        if 200 <= status < 300 and answer is not None:
            return answer
        problem = answer if isinstance(answer, dict) else {}
        words = f"{problem['detail']} ({problem.get('remedy', '')})" if "detail" in problem else ""
        if words and 400 <= status < 500 and status not in _LATER:
            raise CallRefused(words, status)
        said = words or "nothing that an exporter says"
        raise ExporterAway(f"no exporter at {self.url}: it answered {status} and {said}", asked=True)
