"""When an energy counter refreshes: each tick placed in time, and how well its instant is known.

A counter shows the energy up to its latest refresh. A reading sees only that it has moved since the reading before:
the tick lies between the two. Most cards refresh at an even beat, so ticks that were seen closely give period and
phase (a Kalman filter with these two states), and every later tick has its instant without being watched for.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

# Assumed until the device has been measured: the slowest refresh known from real cards.
UNMEASURED_TICK_SECONDS = 0.1
# Ticks that must be seen closely before the beat is taken as known: the spread of so many is good to a sixth.
_TRAINING_TICKS = 20
_TRAINING_SECONDS = 3.0
# The training's few ticks may happen to look even: what they say is taken for less than it is by so much.
_FEW = 1.5
# A tick is seen closely when it is bracketed by less than this part of the period.
_CLOSE = 0.3
# A beat whose ticks are less even, or less well known, than this part of the period says nothing.
_USEFUL = 0.13
# Uneven ticks are not further apart than so many periods.
_FURTHEST = 1.5
# Relative drift of the period from tick to tick that is allowed for.
_DRIFT = 2e-6
# The weight of the latest call in what a call takes.
_NEW_CALL = 0.1
# A beat whose phase is not known to these seconds or parts of the period is doubtful; where calls take long, to so much
# of one, up to a part of the period: no closer can they tell.
_DOUBT_SECONDS, _DOUBT, _DOUBT_CALL, _DOUBT_MOST = 0.0003, 0.005, 0.8, 0.01
# A doubtful beat is checked no sooner than after so many periods, nor than so many calls would take.
_CHECK_PERIODS, _CHECK_CALLS = 5, 150
# One that is not is checked all the same after so many seconds.
_CHECK_SECONDS = 30.0
# For so long ahead it is found at a time that no check is wanted.
_AHEAD_SECONDS = 1.0
_SQRT12 = math.sqrt(12.0)


class Tick(NamedTuple):
    """One refresh: its instant, the standard deviation of that instant in seconds, and the energy it showed."""

    at: float
    spread: float
    joules: float


class TickTracker:
    """Follows the refreshes of one counter.

    `declared` is the refresh of a counter whose documentation states one; it is then not measured. `seconds` is the
    time between refreshes: declared, measured, or assumed until it is.
    """

    def __init__(self, declared: float | None = None) -> None:
        self.declared = declared
        self.seconds = declared or UNMEASURED_TICK_SECONDS
        self.jitter = 0.0
        self._jitter_square = 0.0
        # What a reading of it takes, a running mean.
        self.call_seconds = 0.0
        self.locked = False
        self._period: float | None = None
        self._phase = 0.0
        # Variances of phase and period, and their covariance.
        self._pp = self._pt = self._tt = 0.0
        self._before: tuple[float, float] | None = None
        self._training: list[tuple[float, float]] = []
        self._training_since: float | None = None
        self._misses = 0
        self._closely_seen = -math.inf
        self._close_ticks = 0
        # The latest tick, and the latest of which is sure which one of the beat it was.
        self._latest = self._surely = -math.inf
        # Up to when it is known that no check is wanted.
        self._sure_until = -math.inf

    @property
    def known_seconds(self) -> float | None:
        """The time between refreshes where it is declared or was measured on this device, else None."""
        return self.declared or self._period

    @property
    def training(self) -> bool:
        """Whether close readings are wanted to learn the beat."""
        if self.declared or self.locked:
            return False
        since, before = self._training_since, self._before
        return since is None or before is None or before[0] - since < _TRAINING_SECONDS

    def restart(self) -> None:
        """Forget phase and beat: the counter was reset, or its device was away."""
        self._before = None
        self._relearn()

    def see(self, begin: float, end: float, joules: float) -> Tick | None:
        """Take a reading made between two instants; the tick when the counter has moved since the one before."""
        before, self._before = self._before, (begin, joules)
        self.call_seconds += _NEW_CALL * (end - begin - self.call_seconds)
        if self._training_since is None:
            self._training_since = begin
        if before is None or joules == before[1]:
            return None
        tick = self._place(before[0], end, joules)
        self._latest = tick.at
        if self.locked and tick.spread < _CLOSE * self.seconds / 2:
            self._surely = tick.at
        return tick

    def lag(self, at: float) -> tuple[float, float]:
        """How old what the counter shows at an instant is, and the standard deviation of that, in seconds."""
        if self.locked and self._period is not None:
            return (at - self._phase) % self._period, self.deviation(at)
        return self.seconds / 2, self.seconds / _SQRT12

    def since_tick(self, at: float) -> float:
        """Seconds from the latest tick of the beat, which must be known, to an instant."""
        assert self._period is not None
        return (at - self._phase) % self._period

    def due_tick(self, now: float) -> tuple[float, float] | None:
        """The tick that comes next or should have come by now, and its deviation in seconds; None without a beat."""
        if not self.locked or self._period is None:
            return None
        deviation = self.deviation(now)
        after = max(self._latest + self._period / 2, now - 3 * deviation)
        return self._phase + (math.floor((after - self._phase) / self._period) + 1) * self._period, deviation

    def wants_check(self, now: float) -> bool:
        """Whether the beat has not been seen closely for so long that its phase becomes doubtful."""
        if not self.locked or now < self._sure_until:
            return False
        # Doubt only grows with time.
        if not self._is_doubtful(now + _AHEAD_SECONDS):
            self._sure_until = now + _AHEAD_SECONDS
            return False
        return self._is_doubtful(now)

    @property
    def sure_until(self) -> float:
        """Up to when no check is wanted if no reading is taken; for ever without a beat that could be checked."""
        return self._sure_until if self.locked else math.inf

    def _is_doubtful(self, at: float) -> bool:
        assert self._period is not None
        as_calls_tell = min(_DOUBT_CALL * self.call_seconds, _DOUBT_MOST * self._period)
        doubtful = self._drift(at) > max(_DOUBT_SECONDS, _DOUBT * self._period, as_calls_tell)
        soonest = max(_CHECK_PERIODS * self._period, _CHECK_CALLS * self.call_seconds)
        return at - self._closely_seen > (soonest if doubtful else max(soonest, _CHECK_SECONDS))

    def is_close(self, width: float) -> bool:
        """Whether two looks that are so many seconds apart see a tick between them closely."""
        return width < _CLOSE * self.seconds

    def fits(self, begin: float, end: float) -> bool:
        """Whether a tick of the beat may lie between two instants; false without a beat."""
        if not self.locked:
            return False
        near = 4 * self.deviation(end) + 1e-4
        return self.since_tick(end + near) <= end - begin + 2 * near

    def check_step(self, at: float) -> float:
        """The step in seconds by which a check looks for the tick that is due around an instant."""
        return max(0.0005, self._drift(at))

    def deviation(self, at: float) -> float:
        """Standard deviation of a tick of the beat, which must be known, around an instant, in seconds."""
        return math.hypot(self._drift(at), self.jitter)

    def _drift(self, at: float) -> float:
        """Standard deviation of the beat itself, without the jitter of its ticks."""
        assert self._period is not None
        n = (at - self._phase) / self._period
        square = self._pp + 2 * n * self._pt + n * n * self._tt
        return math.sqrt(square) if square > 0 else 0.0

    def _place(self, low: float, high: float, joules: float) -> Tick:
        if self.locked and self._period is not None:
            found = self._place_by_beat(low, high, self._period)
            if found is not None:
                return Tick(found[0], found[1], joules)
        elif self.declared:
            low = max(low, high - self.declared)
            return Tick((low + high) / 2, (high - low) / _SQRT12, joules)
        elif self.is_close(high - low):
            self._learn((low + high) / 2, high - low)
        # It is the latest of those that came: it is as young as uneven ticks are apart at most.
        low = max(low, high - _FURTHEST * self.seconds)
        return Tick((low + high) / 2, (high - low) / _SQRT12, joules)

    def _place_by_beat(self, low: float, high: float, period: float) -> tuple[float, float] | None:
        """The latest tick of the beat within the bracket; None when the beat does not fit, which unlearns it."""
        deviation = self.deviation(high)
        if deviation > _USEFUL * period:
            self._relearn()
            return None
        # The latest tick that may have come, and the one before it. The counter has moved: it was one of them.
        later = self._phase + math.floor((high + 4 * deviation + 1e-4 - self._phase) / period) * period
        earlier = later - period
        if min(high - later, later - low) > 5 * deviation:
            likely, less = 1.0, 0.0
        else:
            came = _below(high - later, deviation)
            likely, less = came * _below(later - low, deviation), (1 - came) * _below(earlier - low, deviation)
        if earlier < self._surely + period / 2:
            # That one was seen before, so it is the other.
            less = 0.0
        if likely + less < 1e-3:
            self._misses += 1
            if self._misses >= 3:
                self._relearn()
            return None
        width = high - low
        share = likely / (likely + less)
        if width < _CLOSE * period:
            # A wider bracket has a tick in it whatever the beat.
            self._misses = 0
            self._closely_seen = high
            return self._update((low + high) / 2, width, later if share > 0.5 else earlier)
        at = earlier + share * period
        doubt = math.sqrt(share * (1 - share)) * period
        return min(max(at, low), high), math.hypot(min(deviation, width / _SQRT12), doubt)

    def _update(self, seen: float, width: float, predicted: float) -> tuple[float, float]:
        """Kalman step with a tick seen at `seen`; returns its instant by beat and sight together."""
        assert self._period is not None
        n = round((predicted - self._phase) / self._period)
        tt = self._tt + (_DRIFT * self._period) ** 2 * max(1, abs(n))
        pt = self._pt + n * self._tt
        pp = self._pp + 2 * n * self._pt + n * n * self._tt
        sight = width * width / 12
        residual = seen - predicted
        if width < 0.001 + 0.04 * self._period:
            self._close_ticks += 1
            told = sight + self.jitter**2
            # The less is known of the beat itself, the less a tick tells of how even ticks are.
            weight = max(0.1, 1 / (self._close_ticks + _TRAINING_TICKS)) * (told / (told + pp)) ** 2
            self._jitter_square += weight * (residual * residual - sight - pp - self._jitter_square)
            self.jitter = math.sqrt(max(0.0, self._jitter_square))
        noise = sight + self.jitter**2
        gain_p, gain_t = pp / (pp + noise), pt / (pp + noise)
        self._phase = predicted + gain_p * residual
        self._period = self.seconds = self._period + gain_t * residual
        self._pp, self._pt, self._tt = pp * (1 - gain_p), pt * (1 - gain_p), tt - gain_t * pt
        # This tick itself: the beat's word, with its jitter, against what was seen of it.
        beat = pp + self.jitter**2
        weight = beat / (beat + sight) if beat + sight > 0 else 0.0
        return predicted + weight * residual, math.sqrt(beat * sight / (beat + sight)) if beat + sight > 0 else 0.0

    def _relearn(self) -> None:
        self.locked = False
        self._training, self._training_since = [], None
        self._misses = self._close_ticks = 0
        self._sure_until = -math.inf

    def _learn(self, seen: float, width: float) -> None:
        self._training.append((seen, width))
        if len(self._training) < _TRAINING_TICKS:
            return
        times = [at for at, _ in self._training]
        steps = sorted(b - a for a, b in itertools.pairwise(times))
        period = steps[len(steps) // 2]
        counts = [round((at - times[0]) / period) for at in times]
        phase, period = _line(counts, times)
        residuals = [at - phase - n * period for n, at in zip(counts, times, strict=True)]
        spread = math.sqrt(sum(r * r for r in residuals) / (len(residuals) - 2))
        self._period = self.seconds = period
        sight = max(w for _, w in self._training) / _SQRT12
        if spread > _USEFUL * period:
            # No beat in it: go on with what is seen, and learn anew.
            self._training = self._training[1:]
            return
        self._jitter_square = (_FEW * spread) ** 2 - sight**2
        self.jitter = math.sqrt(max(0.0, self._jitter_square))
        last, middle = counts[-1], sum(counts) / len(counts)
        variance = max(spread, sight) ** 2
        around = sum((n - middle) ** 2 for n in counts)
        self._phase = phase + last * period
        self._tt = variance / around
        self._pp = variance / len(counts) + self._tt * (last - middle) ** 2
        self._pt = self._tt * (last - middle)
        self.locked = True
        self._closely_seen = times[-1]
        self._training = []


def _below(distance: float, deviation: float) -> float:
    """The chance that a Gaussian of this deviation around 0 lies below a distance."""
    return 0.5 * (1 + math.erf(distance / (max(deviation, 1e-6) * math.sqrt(2))))


def _line(x: list[int], y: list[float]) -> tuple[float, float]:
    """Least squares: intercept and slope."""
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)
    return my - slope * mx, slope
