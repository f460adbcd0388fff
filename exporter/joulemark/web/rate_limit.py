"""A token bucket over all requests, as `rate_limit` in the web configuration file asks for."""

from __future__ import annotations

import time
from collections.abc import Callable

from .config_file import RateSection


class Bucket:
    """Lets a burst through, then one request each interval; full at first."""

    def __init__(self, limit: RateSection, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._now = now
        self._left = float(limit.burst)
        self._filled_at = now()

    def wait_seconds(self) -> float:
        """0 and one taken out, or how long until the next would pass."""
        if not self.limit.interval:
            return 0.0
        now = self._now()
        gained = (now - self._filled_at) / self.limit.interval
        self._left = min(float(self.limit.burst), self._left + gained)
        self._filled_at = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) * self.limit.interval
