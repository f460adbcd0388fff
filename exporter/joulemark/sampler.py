"""The threads that keep the meter going: one samples and commits, one gets lost devices back."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from .clock import Clock
from .fleet import HUNG_SECONDS
from .meter import Meter
from .schedule import dithered
from .sources.base import Source

log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0
# A round that takes so long is stuck in a call: another thread must go on with the sampling.
GUARD_SECONDS = 0.15
RECOVERY_SECONDS = 1.0
LATE_SOURCE_SECONDS = 10.0


class Sampler:
    """Samples at an interval, faster where the meter wants it, and commits once a second, until stopped.

    Its thread makes quick calls into drivers itself. Should one not return, another thread goes on in its place.
    """

    def __init__(self, meter: Meter, clock: Clock, interval: float) -> None:
        self._meter = meter
        self._clock = clock
        self._interval = interval
        self._regular = self._committed = clock.steady()
        self._rounds = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        # Since when a round is under way, infinity between two.
        self._since = math.inf

    def start(self) -> None:
        """Begin, in threads of its own."""
        self._take_over()
        threading.Thread(target=self._guard, name="joulemark-guard", daemon=True).start()

    def stop(self) -> None:
        """Stop and wait for the round in progress, unless it is stuck in a call."""
        self._stopped.set()
        self._meter.wake()
        if self._thread is not None:
            self._thread.join(HUNG_SECONDS)

    def _guard(self) -> None:
        while not self._stopped.wait(GUARD_SECONDS):
            if self._clock.steady() - self._since > GUARD_SECONDS:
                self._take_over()

    def _take_over(self) -> None:
        self._since = math.inf
        self._thread = threading.Thread(target=self._run, name="joulemark-sampler", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._thread is threading.current_thread() and not self._stopped.is_set():
            try:
                self._round()
            except Exception:
                # A failed round must not end the metering: the next one books what this one missed.
                log.exception("sampling round failed; going on")
                time.sleep(self._interval)

    def _round(self) -> None:
        """Wait until there is something to do, and do it."""
        wanted = self._meter.fleet.next_reading()
        woken = self._meter.wait_for_transition(min(self._regular, wanted) - self._clock.steady())
        self._since = now = self._clock.steady()
        if woken:
            self._meter.fleet.look_around()
        elif now >= self._regular:
            self._rounds += 1
            self._regular = max(self._regular + dithered(self._interval, self._rounds), now)
            self._meter.fleet.look_around(self._interval)
        elif now >= wanted:
            self._meter.fleet.look_closely(now)
        if now - self._committed >= COMMIT_SECONDS:
            self._committed = now
            self._meter.commit()
        if self._thread is threading.current_thread():
            self._since = math.inf


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
