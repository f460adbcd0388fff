"""The line to the exporter: its calls, whether anybody answers at the moment, and the one warning when nobody does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import CallRefused, ClientError, ExporterAway
from . import timing
from .notice import warn
from .transport import Transport


def anything(answer: Any) -> Any:
    """Reads an answer of which nothing is expected."""
    return answer


class Line:
    """Calls of one run, made by one thread; `strict` says that failures are raised in the job and need no warning."""

    def __init__(self, transport: Transport, *, strict: bool) -> None:
        self._transport = transport
        self._strict = strict
        self._complaints: set[str] = set()
        self._retry_at = 0.0
        self.outage: str | None = None

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        key: str = "",
        read: Callable[[Any], Any] = anything,
    ) -> Any:
        """`Transport.call`, its answer checked by `read`; raises as these do."""
        try:
            answer = read(self._transport.call(method, path, body, key=key))
        except ExporterAway as error:
            self._lost(error)
            raise
        except CallRefused:
            self.outage = None
            raise
        self.outage = None
        return answer

    def close(self) -> None:
        """No more calls are made."""
        self._transport.close()

    @property
    def is_quiet(self) -> bool:
        """Whether nobody answered a moment ago, so that another call would only cost time; never for a strict run."""
        return self.outage is not None and not self._strict and time.monotonic() < self._retry_at

    def complain(self, error: ClientError) -> None:
        """Warn of a refusal, once for each text."""
        text = f"{error}; the job goes on"
        if not self._strict and text not in self._complaints and len(self._complaints) < 100:
            self._complaints.add(text)
            warn(text)

    def _lost(self, error: ExporterAway) -> None:
        if self.outage is None and not self._strict:
            since = time.strftime("%H:%M:%S")
            warn(f"{error} (since {since}); the job goes on, its energy is not booked to a stage meanwhile")
        self.outage = str(error)
        self._retry_at = time.monotonic() + timing.RETRY_SECONDS
