"""When each device is read next: regularly all of them together, and each when it wants it besides."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .schedule import REGULAR, Next

# How far the regular interval is varied, and the step (golden ratio) that spreads it evenly.
_DITHER = 0.3
_GOLDEN = 0.6180339887498949
# A reading beside the regular ones does for one of them when it comes in these parts of the interval after the last.
_SOONEST, _LATEST = 0.7, 1.3
# One of an even row of looks does for it sooner, so that the others of the row do too.
_SOONEST_OF_ROW = 0.35
# Looks that are due within so little time of each other are taken together, in seconds.
_TOGETHER = 0.0005


class Timetable:
    """Devices by key, and when they are due; all instants in seconds of the steady clock. Not thread-safe.

    The regular readings of all devices are made together, about every `interval` seconds. Not exactly: readings at
    an even beat would fall into step with the counters' ticks. A whole reading is one of counter and gauge.
    """

    def __init__(self, interval: float, now: float) -> None:
        self.interval = interval
        # How many seconds after a whole reading of it the next of a device is due at the latest.
        self.longest = _LATEST * interval
        self.next_round = now
        self._rounds = 0
        self._due: dict[str, float] = {}
        # When each of the devices that are looked at in an even row is wanted, the step of that row, and when it ends.
        self._rows: dict[str, tuple[float, float, float]] = {}
        # Those that are looked at closely.
        self._close: set[str] = set()
        self._whole_at: dict[str, float] = {}
        self._waited_for = -math.inf

    def add(self, key: str) -> None:
        """A device that is to be read at once."""
        self._due[key] = self._whole_at[key] = -math.inf

    def remove(self, key: str) -> None:
        """A device that is not read any more."""
        del self._due[key], self._whole_at[key]
        self._rows.pop(key, None)
        self._close.discard(key)

    def wait_for_next(self) -> float:
        """When the next reading is due; whoever asks waits until then."""
        self._waited_for = min(self._due.values(), default=self.next_round)
        return self._waited_for

    def is_sooner(self) -> bool:
        """Whether one is due before what is waited for by now."""
        return min(self._due.values(), default=math.inf) < self._waited_for

    def take(self, now: float) -> dict[str, bool]:
        """The devices that are due, each with whether its reading is to be a whole one; they are read regularly on."""
        regular = self.is_round(now)
        if regular:
            self._rounds += 1
            varied = 1 + _DITHER * (self._rounds * _GOLDEN % 1.0 - 0.5)
            self.next_round = max(self.next_round + self.interval * varied, now)
        whole: dict[str, bool] = {}
        soonest, soonest_of_row = _SOONEST * self.interval, _SOONEST_OF_ROW * self.interval
        until = now + _TOGETHER
        for key in [key for key, instant in self._due.items() if instant <= until]:
            row, since = self._rows.pop(key, None), now - self._whole_at[key]
            whole[key] = since >= (soonest_of_row if row else soonest) and (regular or key not in self._close)
            if whole[key]:
                self._whole_at[key] = now
            # Unless its reading has another wish, it is wanted as it was before.
            if row:
                self._go_on(key, now, *row)
            else:
                self._due[key] = max(self.next_round, self._whole_at[key] + soonest)
        return whole

    def stale(self, now: float) -> set[str]:
        """The devices whose latest whole reading was so long ago that another does for a regular one."""
        return {key for key, at in self._whole_at.items() if now - at >= _SOONEST * self.interval}

    def is_round(self, now: float) -> bool:
        """Whether the regular readings are due."""
        return now >= self.next_round

    def note(self, now: float, keys: Iterable[str]) -> None:
        """Whole readings of these are made now."""
        for key in keys:
            self._whole_at[key] = now
            if key not in self._rows:
                self.want(key, REGULAR)

    def want(self, key: str, following: Next) -> None:
        """When a device wants its next reading; one that is wanted soon anyhow does for the regular one."""
        instant = following.instant
        if instant is None or following.close:
            regular = self._regular(key)
            self._due[key] = regular if instant is None else min(instant, regular)
        else:
            self._due[key] = self._alone(key, instant)
        (self._close.add if following.close else self._close.discard)(key)
        if instant is not None and following.step:
            # One look more than is known of it: the reading of that says how it goes on.
            self._rows[key] = instant, following.step, following.quiet_until + 2 * following.step
        else:
            self._rows.pop(key, None)

    def _go_on(self, key: str, now: float, instant: float, step: float, end: float) -> None:
        """The next look of a row, or the one that a regular reading came before; none after its end."""
        if instant <= now + _TOGETHER:
            # Who was woken late skips those that are past.
            instant += step * (1 + max(0, math.floor((now - instant) / step)))
        if instant < end:
            self._due[key] = self._alone(key, instant)
            self._rows[key] = instant, step, end
        else:
            self._due[key] = self._regular(key)
        self._close.discard(key)

    def _alone(self, key: str, instant: float) -> float:
        """When a device that wants a whole reading is due: one that is wanted soon anyhow does for the regular one."""
        return instant if instant <= self._whole_at[key] + self.longest else min(instant, self._regular(key))

    def _regular(self, key: str) -> float:
        return max(self.next_round, self._whole_at[key] + _SOONEST * self.interval)
