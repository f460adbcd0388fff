"""One energy counter as it is read: whether what it shows can be believed, and when it moved."""

from __future__ import annotations

import math

from ..sources.base import Device, Reading
from .boundary import Stretch
from .counter_range import CounterRange
from .ticks import Tick, TickTracker

# A counter that stands still for so long, and for so many ticks, while power is drawn is frozen.
_FROZEN_SECONDS = 2.0
_FROZEN_TICKS = 20
# A counter that could not be read for so long is missing.
_MISSING_SECONDS = 0.5
# Ticks that a counter must show again, at a believable rate, before it is trusted again.
_TRUSTED_TICKS = 4


class Counter:
    """Judges the values of one counter; `last` is the tick from which it is read on, None for a new one."""

    def __init__(self, ticks: TickTracker, last: Tick | None) -> None:
        self._ticks = ticks
        self._range = CounterRange(last.joules if last else None)
        # What it showed last, which may only grow, and when it was last seen to move.
        self._shown = last.joules if last else -math.inf
        self.moved: float | None = None
        # How far those two looks are apart between which it was last seen to move.
        self.bracket = 0.0
        # Whether the next value is the first after a restart of the exporter, or of what is counted.
        self._resumed, self.restarted = last is not None, False
        self._trial: list[Tick] = []

    def value(self, reading: Reading, device: Device, settled: Tick | None) -> float:
        """What a reading showed, in joules, had the counter no end."""
        assert reading.energy_joules is not None
        wrap, limit, gained_at_most = device.wrap_joules, device.power_limit_watts, None
        if wrap and limit is not None:
            gained_at_most = limit * (reading.steady - settled.at if settled else 0.0)
        return self._range.unwrapped(reading.energy_joules, wrap, gained_at_most)

    def coming(self, reading: Reading, device: Device, latest: Tick) -> Tick | None:
        """About the tick that a reading shows which is not taken yet; None where it shows nothing, or nothing real."""
        raw = reading.energy_joules
        more = 0.0 if raw is None else self._range.beyond(raw, device.wrap_joules)
        if not more or self._is_absurd(more, reading.end - latest.at, device.power_limit_watts):
            return None
        behind, spread = self._ticks.lag(reading.end)
        return Tick(reading.end - behind, spread, latest.joules + more)

    def begin(self, reading: Reading, energy: float) -> None:
        """It is counted from this value on."""
        self._resumed = False
        self._shown, self.moved = energy, reading.steady

    def fault(self, reading: Reading, energy: float, last: Tick, limit_watts: float | None) -> str:
        """Why a value cannot follow the tick before it, "" where it can."""
        restarted, self.restarted = self.restarted, False
        if restarted or energy < self._shown - 1e-3:
            return "counter_reset"
        return "absurd_delta" if self._is_absurd(energy - last.joules, reading.end - last.at, limit_watts) else ""

    def _is_absurd(self, gained: float, seconds: float, limit_watts: float | None) -> bool:
        """Whether it gained more than the device can have drawn, two ticks and a joule beside."""
        return limit_watts is not None and gained > limit_watts * (seconds + 2 * self._ticks.seconds) + 1.0

    def see(self, reading: Reading, energy: float, last: Tick) -> Tick | None:
        """Take a value that can be believed, `last` being the latest tick; the tick when it has moved."""
        self._shown = energy
        self.moved = reading.steady if self.moved is None else self.moved
        tick = self._ticks.see(reading.begin, reading.end, energy)
        if not self._resumed:
            return tick
        # The first look after a restart: when the counter ticked meanwhile is not known, but that it did is.
        self._resumed = False
        behind, spread = self._ticks.lag(reading.steady)
        at = max(last.at, reading.steady - behind)
        return Tick(at, spread, energy) if energy > last.joules else None

    def frozen(self, reading: Reading) -> bool:
        """Whether it has stood still for too long while power was drawn, or while the gauge could not say so."""
        still = reading.steady - (reading.steady if self.moved is None else self.moved)
        drawn = (reading.watts or 0.0) > 0 if reading.sensor else bool(reading.failed)
        return drawn and still > max(_FROZEN_SECONDS, _FROZEN_TICKS * self._ticks.seconds)

    def missing(self, reading: Reading, settled: Tick | None) -> bool:
        """Whether it could not be read for too long, and there is a gauge to go on with."""
        if not reading.sensor or reading.watts is None:
            return False
        return settled is None or reading.steady - (self.moved or settled.at) > _MISSING_SECONDS

    def forget_trial(self) -> None:
        """What it has shown of late proves nothing any more."""
        self._trial = []

    def trusted_again(self, reading: Reading, energy: float, *, telling: bool) -> float | None:
        """The watts at which it has moved for some ticks, when the gauge finds them believable; else None.

        `telling` says that the gauge's reading is of the same load as the counter's.
        """
        restarted, self.restarted = self.restarted, False
        if self._trial and (restarted or energy < self._trial[-1].joules):
            self._trial = []
            self._ticks.restart()
        tick = self._ticks.see(reading.begin, reading.end, energy)
        if tick is None or not reading.watts or not telling:
            return None
        self._trial.append(tick)
        if len(self._trial) < _TRUSTED_TICKS + 1:
            return None
        trial = Stretch.between(self._trial[1], self._trial[-1])
        self._trial = self._trial[1:]
        rate = trial.joules / trial.seconds
        return rate if 0.5 * reading.watts < rate < 2 * reading.watts else None
