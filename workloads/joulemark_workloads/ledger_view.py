"""What the exporter knows of a run, read through its API; nothing where no exporter answers."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

DEFAULT_URL = "http://127.0.0.1:9871"
_SECONDS = 5.0


class LedgerView:
    """Reads of one exporter."""

    def __init__(self, url: str | None) -> None:
        self.url = (url or os.environ.get("JOULEMARK_URL") or DEFAULT_URL).rstrip("/")
        # A proxy set for downloads must not carry calls to this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def run(self, name: str) -> dict[str, Any] | None:
        """The accounting of a run; None where the exporter does not know it or does not answer."""
        record: dict[str, Any] | None = self._get(f"/api/v1/runs/{quote(name, safe='')}")
        return record

    def joules(self, names: list[str]) -> float | None:
        """What runs have burnt so far, those it does not know as nothing; None where no exporter answers."""
        if self._get("/api/v1/stage") is None:
            return None
        records = [record for name in names if (record := self.run(name))]
        return sum(float(record["joules"]) for record in records)

    def devices(self) -> list[dict[str, Any]]:
        """The devices; none where no exporter answers."""
        return self._get("/api/v1/devices") or []

    def _get(self, path: str) -> Any:
        try:
            with self._opener.open(f"{self.url}{path}", timeout=_SECONDS) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None
