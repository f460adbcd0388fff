"""Readings of one device that were made and are not taken yet: what they show already."""

from __future__ import annotations

import math
from collections import deque

from ..sources.base import Device, Reading
from .counter import Counter
from .proof import BeatProof
from .settling import Settling
from .ticks import Tick, TickTracker


class Coming:
    """The readings, oldest first; a reading that is taken, and those before it, must be dropped."""

    def __init__(self, ticks: TickTracker, counter: Counter, settling: Settling) -> None:
        self._ticks, self._counter, self._settling = ticks, counter, settling
        self._readings: deque[Reading] = deque()
        # When two of them that were close to each other saw the counter move as its beat wants it, and as it does not.
        self._closely_at = self._oddly_at = -math.inf
        self.proof = BeatProof(ticks)
        # The reading whose tick was asked for last since one was taken, and what it was.
        self._asked: tuple[Reading, Tick | None] | None = None

    def add(self, reading: Reading) -> None:
        """One more."""
        before = self._readings[-1] if self._readings else None
        self._readings.append(reading)
        if self.proof.since is not None:
            self.proof.look(reading.begin, reading.end)
        if before is None or before.energy_joules == reading.energy_joules:
            return
        begin, end = before.begin, reading.end
        if self._ticks.is_close(end - begin):
            self._closely_at, self._oddly_at = (end, -math.inf) if self._ticks.fits(begin, end) else (-math.inf, end)

    def drop_until(self, at: float) -> None:
        """Those that had come by an instant are taken."""
        self._asked = None
        while self._readings and self._readings[0].end <= at:
            self._readings.popleft()

    def until(self, at: float | None) -> float | None:
        """When the latest of them was made; without any, the instant that is given."""
        return max(at or 0.0, self._readings[-1].steady) if self._readings else at

    @property
    def see_a_tick(self) -> bool:
        """Whether two of them see one of the beat closely: what that tells of it is known when they are taken."""
        return bool(self._readings) and self._closely_at >= self._readings[0].end

    @property
    def see_an_odd_tick(self) -> bool:
        """Whether two of them see one closely that is not of the beat: to take them tells whether it has changed."""
        return bool(self._readings) and self._oddly_at >= self._readings[0].end

    def watts(self, latest: float, most: float) -> tuple[float, float]:
        """The latest power and the most of late, from what they were in readings that are taken."""
        seen = [x.watts for x in self._readings if x.sensor and x.watts is not None]
        return (seen or [latest])[-1], max([latest, most, *seen])

    def shown(self, device: Device, around: float = math.inf) -> list[Tick]:
        """The ticks of the counter from what is booked on, none where it is not what is booked.

        Of the readings that are not taken yet, those around an instant and the last tell theirs, about.
        """
        shown = self._settling.shown
        if not shown or not self._readings:
            return shown
        taken, last = shown[-1], self._readings[-1]
        telling: list[Reading] = []
        if taken.at < around < last.end:
            for reading in self._readings:
                telling = [*telling[-1:], reading]
                if reading.end > around:
                    break
        for reading in telling if telling and telling[-1] is last else [*telling, last]:
            tick = self._tick(reading, device, taken)
            if tick and tick.joules > shown[-1].joules and tick.at > shown[-1].at:
                shown.append(tick)
        return shown

    def _tick(self, reading: Reading, device: Device, taken: Tick) -> Tick | None:
        # The last is asked for twice at a transition: for who held the device, and for what a restart goes on from.
        asked = self._asked
        if asked is None or asked[0] is not reading:
            asked = self._asked = reading, self._counter.coming(reading, device, taken)
        return asked[1]

    def known(self, device: Device) -> list[Tick]:
        """The ticks around the one up to which all is booked, without it: what a restart goes on from."""
        return [*self._settling.before, *self.shown(device)[1:]]
