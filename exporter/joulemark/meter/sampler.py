"""The threads that keep the meter going: one samples and keeps up, one stands in for it, one gets devices back."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from ..clock import Clock
from ..sources.base import Source
from .durable import COMMIT_SECONDS
from .fleet import HUNG_SECONDS
from .meter import Meter

log = logging.getLogger(__name__)

FAILED_SECONDS = 0.1
# A sampler is held up that looks at devices for so long.
HELD_UP_SECONDS = 0.05
RECOVERY_SECONDS = 1.0
LATE_SOURCE_SECONDS = 10.0


class Sampler(threading.Thread):
    """Reads when the meter wants it, and has it keep up once a second, until stopped."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        super().__init__(name="joulemark-sampler", daemon=True)
        self._meter = meter
        self._clock = clock
        self._stopped = False
        self._kept_up = clock.steady()
        # Since when it looks at devices; it may make the calls itself, and one of them may hang.
        self._looking_since = math.inf

    @property
    def is_held_up(self) -> bool:
        """Whether it looks at devices for longer than it should, so that another must sample."""
        return self._clock.steady() - self._looking_since > HELD_UP_SECONDS

    def run(self) -> None:
        while not self._stopped:
            self.sample(self._look)

    def sample(self, look: Callable[[float], None]) -> None:
        """Wait for what is due next, `look` then, and have the meter keep up if that is due."""
        try:
            due = self._meter.fleet.next_reading()
            self._meter.alarm.wait(due - self._clock.steady())
            now = self._clock.steady()
            if now >= due:
                look(now)
            if now - min(self._kept_up, self._meter.saved_at) >= COMMIT_SECONDS:
                self._meter.keep_up()
                self._kept_up = now
        except Exception:
            # A failed round must not end the metering: the next one books what this one missed.
            log.exception("sampling round failed; going on")
            time.sleep(FAILED_SECONDS)

    def stop(self) -> None:
        """Stop and wait for the round in progress, unless a call hangs in it."""
        self._stopped = True
        self._meter.alarm.wake()
        self.join(HUNG_SECONDS)

    def _look(self, now: float) -> None:
        self._looking_since = now
        try:
            self._meter.fleet.look(now)
        finally:
            self._looking_since = math.inf


class StandIn(threading.Thread):
    """Samples for as long as the sampler is held up; `watch` must be called now and then to see whether it is."""

    def __init__(self, sampler: Sampler, meter: Meter) -> None:
        super().__init__(name="joulemark-stand-in", daemon=True)
        self._sampler, self._meter = sampler, meter
        self._stopped, self._wanted = False, threading.Event()

    def run(self) -> None:
        while self._wanted.wait() and not self._stopped:
            self._wanted.clear()
            while self._sampler.is_held_up and not self._stopped:
                self._sampler.sample(self._meter.fleet.look)

    def watch(self) -> None:
        """Have it sample if the sampler is held up; to look itself would cost a wake-up each time."""
        if self._sampler.is_held_up:
            self._wanted.set()

    def stop(self) -> None:
        """Stop; the sampler is to be stopped after it."""
        self._stopped = True
        self._wanted.set()


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
