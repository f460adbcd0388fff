"""What a run says of itself that belongs to no instant: declarations, scores, artifacts. It may come late."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from ..errors import ClientError, ExporterAway
from .line import Line
from .misses import Misses

# A job that scores for weeks while nobody answers must not fill its memory with it.
_KEPT = 1000


class Records:
    """Sent in order; kept while the exporter is away."""

    def __init__(self, line: Line, misses: Misses) -> None:
        self._line, self._misses = line, misses
        self._unsent: deque[tuple[str, str, Mapping[str, object]]] = deque()

    def add(self, method: str, path: str, body: Mapping[str, object]) -> None:
        """Have it sent next; called on the job's threads."""
        self._unsent.append((method, path, body))

    def send_waiting(self) -> Any:
        """Send all that waits; the last one's answer or refusal is the caller's. Raises ExporterAway."""
        answer = None
        while len(self._unsent) > _KEPT:
            self._unsent.popleft()
            self._misses.records += 1
        while self._unsent:
            try:
                answer = self._line.call(*self._unsent[0])
            except ExporterAway:
                raise
            except ClientError as error:
                self._unsent.popleft()
                self._misses.records += 1
                if not self._unsent:
                    raise
                self._line.complain(error)
            else:
                self._unsent.popleft()
        return answer

    def drop(self) -> None:
        """The run ends: what still waits was not kept."""
        self._misses.records += len(self._unsent)
        self._unsent.clear()
