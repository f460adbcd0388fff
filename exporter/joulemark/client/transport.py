"""One call at a time to one exporter: an answer in JSON, or an error that says why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import CallRefused, ExporterAway
from . import timing
from .endpoint import Endpoint

# Refusals that say "later", not "no".
_LATER = (408, 425, 429)


class Transport:
    """Calls of the stage API; what of the address is left out comes from the environment."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.endpoint = Endpoint.found(url, token)

    @property
    def url(self) -> str:
        """The exporter's address as it may be shown."""
        return self.endpoint.shown

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None, *, key: str = "") -> Any:
        """The answer; `key` makes the call one that may be repeated.

        Raises CallRefused with the exporter's own words, or ExporterAway when no usable answer came in time.
        """
        # Loaded by the thread that speaks, so that importing joulemark stays quick.
        from .connection import exchange

        headers = {"Content-Type": "application/json", "Connection": "close"}
        if key:
            headers["Idempotency-Key"] = key
        login = self.endpoint.authorization()
        if login:
            headers["Authorization"] = login
        data = None if body is None else json.dumps(body).encode()
        path = f"/api/v1{path}"
        status, raw = exchange(self.endpoint, method, path, data, headers, seconds=timing.REQUEST_SECONDS)
        return self._read(status, raw)

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
