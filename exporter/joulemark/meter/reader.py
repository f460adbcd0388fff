"""Reads devices without letting a slow or hung one hold up the others.

Calls into a driver may take 50 ms, or never return. So they are made by worker threads that take devices from one
queue: quick devices one after another by one worker, slow ones side by side. Whoever waits for them does so only so
long, and not at all for a device that is known to be slower; one whose call has not returned is left alone until it
does. Where all calls are known to be quick, who orders regular readings makes them himself.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ..clock import Clock
from ..errors import ReadFailed
from ..sources.base import Device, Reading, Source, Vitals

log = logging.getLogger(__name__)

# One worker reads on for so long before another joins it.
SOON_SECONDS = 0.003
_MOST_WORKERS = 64


class Look(NamedTuple):
    """What is wanted of a device: its counter, and its power gauge or its vitals where they are asked for."""

    device: Device
    source: Source
    power: bool = True
    vitals: bool = False


class Found(NamedTuple):
    """What came of a look, and how long the reading took in seconds."""

    device: Device
    outcome: Reading | ReadFailed
    seconds: float


# Takes what was found; and a device's vitals, which come after its reading so that they cannot hold that up.
Sink = Callable[[Found], None]
VitalsSink = Callable[[Device, Vitals | None], None]


def _nothing() -> None:
    return None


class InlineReader:
    """Reads in the caller's own thread: for clocks that move only when told."""

    def __init__(self, sink: Sink, vitals_sink: VitalsSink, clock: Clock) -> None:
        self._sink = sink
        self._vitals_sink = vitals_sink
        self._clock = clock
        # What is read first must be booked first, whoever reads.
        self._reading = threading.RLock()

    def read(self, looks: Iterable[Look], patience: float = 0.0) -> None:
        """Read all of them, one after another."""
        del patience
        self.order(looks)

    def order(self, looks: Iterable[Look], within: float = SOON_SECONDS) -> None:
        """Read all of them, one after another."""
        del within
        for look in looks:
            with self._reading:
                found = _make(look, self._clock, self._clock.steady())
                self._sink(found)
            if look.vitals and isinstance(found.outcome, Reading):
                self._vitals_sink(look.device, look.source.vitals(look.device))

    def carry_out(self, looks: Iterable[Look], within: float = SOON_SECONDS) -> None:
        """Read all of them, one after another."""
        self.order(looks, within)

    def hung(self, seconds: float) -> Mapping[str, float]:
        """Nothing hangs that was waited for."""
        del seconds
        return {}

    def close(self) -> None:
        return None


class ThreadedReader:
    """Reads by worker threads; the sinks are called in theirs, and `rested` when one has nothing more to do.

    So they are in that of a caller who reads himself.
    """

    def __init__(
        self, sink: Sink, vitals_sink: VitalsSink, clock: Clock, rested: Callable[[], None] = _nothing
    ) -> None:
        self._sink = sink
        self._vitals_sink = vitals_sink
        self._clock = clock
        self._rested = rested
        self._lock = threading.Lock()
        self._work_done = threading.Condition(self._lock)
        # One look a device at most, in the order in which they came.
        self._queue: dict[str, Look] = {}
        # Since when a call is under way, and what is wanted once more when it has returned.
        self._busy: dict[str, float] = {}
        self._again: dict[str, Look] = {}
        self._expected: dict[str, float] = {}
        # For each who waits, the devices for which he still does.
        self._awaited: dict[int, set[str]] = {}
        # Workers without work, each behind a lock of its own; the last to come is the first to go on.
        self._resting: list[threading.Lock] = []
        self._workers = 0
        self._closed = False

    def order(self, looks: Iterable[Look], within: float = SOON_SECONDS) -> None:
        """Have devices read, by as many workers as it takes for all that waits to be read within so many seconds."""
        with self._lock:
            self._enqueue(looks)
            self._staff_for_queue(within)

    def carry_out(self, looks: Iterable[Look], within: float = SOON_SECONDS) -> None:
        """The same, but where all that waits is known to be quick the caller reads it himself.

        That spares waking somebody for it. A device that hangs all of a sudden holds the caller up; where a call is
        under way already, perhaps for ever, he is not put at risk.
        """
        with self._lock:
            self._enqueue(looks)
            seconds = sum([self._expected.get(key, math.inf) for key in self._queue])
            if self._busy or seconds > SOON_SECONDS:
                self._staff_for_queue(within)
                return
        if self._work_off():
            self._rested()

    def read(self, looks: Iterable[Look], patience: float) -> None:
        """Have devices read and wait `patience` seconds at most, for those that are expected to answer by then."""
        wanted = list(looks)
        deadline = self._clock.steady() + patience
        # Somebody waits, perhaps for vitals too, which take longer still.
        self.order(wanted, SOON_SECONDS / 2)
        with self._work_done:
            self._wait({x.device.key for x in wanted if self._answers_by(x.device.key, deadline)}, deadline)

    def _wait(self, keys: set[str], deadline: float) -> None:
        """Wait for devices that are being read; with the lock held."""
        awaited = self._awaited[id(keys)] = keys & {*self._busy, *self._queue}
        try:
            while awaited and not self._closed:
                left = deadline - self._clock.steady()
                if left <= 0:
                    # Whoever holds the queue up is stuck in a call: somebody else must go on with the rest.
                    self._staff(len(self._queue))
                    return
                self._work_done.wait(left)
        finally:
            del self._awaited[id(keys)]

    def hung(self, seconds: float) -> Mapping[str, float]:
        """The devices whose call has not returned for so long, with the time since it was made."""
        now = self._clock.steady()
        with self._work_done:
            return {key: now - since for key, since in self._busy.items() if now - since > seconds}

    def close(self) -> None:
        """Let the workers go; one that is stuck in a call goes when that returns."""
        with self._work_done:
            self._closed = True
            self._queue.clear()
            self._staff(len(self._resting))
            self._work_done.notify_all()

    def _enqueue(self, looks: Iterable[Look]) -> None:
        for look in looks:
            key = look.device.key
            if key in self._queue or key in self._busy:
                self._join(key, look)
            else:
                self._queue[key] = look

    def _join(self, key: str, look: Look) -> None:
        """Have a look at the same device that is queued or under way do for this one too."""
        other = self._queue.get(key)
        if other is not None:
            power, vitals = look.power or other.power, look.vitals or other.vitals
            self._queue[key] = look._replace(power=power, vitals=vitals)
        elif look.vitals:
            # What is under way will do for the reading, but knows nothing of the vitals.
            self._again[key] = look

    def _answers_by(self, key: str, deadline: float) -> bool:
        now = self._clock.steady()
        since, expected = self._busy.get(key, now), self._expected.get(key, 0.0)
        late = key in self._busy and now - since > max(2 * expected, deadline - now)
        return since + expected <= deadline and not late

    def _staff_for_queue(self, within: float) -> None:
        seconds = sum([self._expected.get(key, 0.0) for key in self._queue])
        self._staff(min(len(self._queue), max(1, math.ceil(seconds / within))))

    def _staff(self, wanted: int) -> None:
        """Wake so many workers, or hire them."""
        for _ in range(wanted):
            if self._resting:
                # Who rested last finds most of what it needs still in the processor's cache.
                self._resting.pop().release()
            elif self._workers < _MOST_WORKERS:
                self._hire()

    def _hire(self) -> None:
        try:
            threading.Thread(target=self._work, name=f"joulemark-reader-{self._workers + 1}", daemon=True).start()
        except RuntimeError as error:
            # What is queued is read when a worker is free, or when one can be had with what is ordered next.
            log.warning("no thread can be had for a reading (%s): is there a limit of processes?", error)
        else:
            self._workers += 1

    def _work(self) -> None:
        wakes = threading.Lock()
        wakes.acquire()
        while self._work_off(wakes):
            try:
                self._rested()
            except Exception:
                log.exception("the next readings could not be planned; going on with the regular ones")
            wakes.acquire()

    def _work_off(self, wakes: threading.Lock | None = None) -> bool:
        """Read what is queued until nothing is; a worker rests then, behind its lock. False when all is closed."""
        look: Look | None = None
        while True:
            with self._lock:
                if look is not None:
                    # Its call has returned.
                    del self._busy[look.device.key]
                    if self._again or self._awaited:
                        self._finish(look.device.key)
                if self._closed:
                    return False
                look = self._queue.pop(next(iter(self._queue))) if self._queue else None
                if look is None:
                    if wakes is not None:
                        self._resting.append(wakes)
                    return True
                began = self._busy[look.device.key] = self._clock.steady()
            self._make(look, began)

    def _make(self, look: Look, began: float) -> None:
        try:
            found = _make(look, self._clock, began)
            key = look.device.key
            known = self._expected.get(key, found.seconds)
            self._expected[key] = known + 0.2 * (found.seconds - known)
            self._sink(found)
            if look.vitals and isinstance(found.outcome, Reading):
                self._vitals_sink(look.device, look.source.vitals(look.device))
        except Exception:
            log.exception("device=%s reading could not be booked; going on", look.device.name)

    def _finish(self, key: str) -> None:
        """Go on with what is wanted once more of a device, and tell who waits for it; with the lock held."""
        again = self._again.pop(key, None)
        if again and not self._closed:
            self._queue[key] = again
            self._staff(1)
        waiting = [awaited for awaited in self._awaited.values() if key in awaited]
        for awaited in waiting:
            awaited.discard(key)
        # To wake somebody for each device that he waits for would cost more than the readings.
        if not all(waiting):
            self._work_done.notify_all()


Reader = InlineReader | ThreadedReader


def _make(look: Look, clock: Clock, began: float) -> Found:
    outcome: Reading | ReadFailed
    try:
        outcome = look.source.read(look.device, power=look.power)
    except ReadFailed as error:
        outcome = error
    return Found(look.device, outcome, clock.steady() - began)
