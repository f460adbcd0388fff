"""The threads that keep the meter going: one samples and keeps up, one gets lost devices back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ..clock import Clock
from ..sources.base import Source
from .durable import COMMIT_SECONDS
from .meter import Meter

log = logging.getLogger(__name__)

FAILED_SECONDS = 0.1
RECOVERY_SECONDS = 1.0
LATE_SOURCE_SECONDS = 10.0


class Sampler(threading.Thread):
    """Reads when the meter wants it, and has it keep up once a second, until stopped."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        super().__init__(name="joulemark-sampler", daemon=True)
        self._meter = meter
        self._clock = clock
        self._stopped = False

    def run(self) -> None:
        kept_up = self._clock.steady()
        while not self._stopped:
            try:
                fleet = self._meter.fleet
                due = fleet.next_reading()
                self._meter.alarm.wait(due - self._clock.steady())
                now = self._clock.steady()
                if now >= due:
                    fleet.look(now)
                if now - min(kept_up, self._meter.saved_at) >= COMMIT_SECONDS:
                    self._meter.keep_up()
                    kept_up = now
            except Exception:
                # A failed round must not end the metering: the next one books what this one missed.
                log.exception("sampling round failed; going on")
                time.sleep(FAILED_SECONDS)

    def stop(self) -> None:
        """Stop and wait for the round in progress."""
        self._stopped = True
        self._meter.alarm.wake()
        self.join()


class Recovery(threading.Thread):
    """Gets failing devices back, and takes up sources that come later, for example with their driver.

    `late_sources` builds those that were missing and are there now.
    """

    def __init__(self, meter: Meter, late_sources: Callable[[], list[Source]]) -> None:
        super().__init__(name="joulemark-recovery", daemon=True)
        self._meter = meter
        self._late_sources = late_sources
        self._stopped = threading.Event()

    def run(self) -> None:
        looked = time.monotonic()
        while not self._stopped.wait(RECOVERY_SECONDS):
            try:
                self._meter.recover()
                if time.monotonic() - looked >= LATE_SOURCE_SECONDS:
                    looked = time.monotonic()
                    for source in self._late_sources():
                        self._meter.add_source(source)
            except Exception:
                log.exception("recovery round failed; going on")

    def stop(self) -> None:
        """Stop; a round in progress is not waited for, as a driver may be stuck in it."""
        self._stopped.set()
