"""When an energy counter refreshes: each tick placed in time, and how well its instant is known.

A counter shows the energy up to its latest refresh. A reading sees only that it has moved since the reading before:
the tick lies between the two. Most cards refresh at an even beat, so ticks that were seen closely give period and
phase (`beat.py`), and every later tick has its instant without being watched for. A counter may begin to refresh at
another time without a word of its driver: what its readings show that is not of the beat has it learnt anew.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .beat import USEFUL, Beat
from .training import Training

# Assumed until the device has been measured: the slowest refresh known from real cards.
UNMEASURED_TICK_SECONDS = 0.1
# A tick is seen closely when it is bracketed by less than these seconds and part of the period; where calls take long,
# by less than so many of them, up to a part of it.
_CLOSE_SECONDS, _CLOSE, _CLOSE_CALLS, _LEAST_CLOSE = 0.0025, 0.06, 3.2, 0.8
# To learn the beat this part of what the period is taken for does, or so many calls.
_TEACHING, _TEACHING_CALLS = 0.3, 3.0
# It is sure which tick of the beat one was that is placed better than by this part of the period.
_SURE = 0.15
# The steps of a check are this part of the period at most.
_STEP = 0.03
# Uneven ticks are not further apart than so many periods.
_FURTHEST = 1.5
# The weight of the latest call in what a call takes.
_NEW_CALL = 0.1
# A beat whose phase is not known to these seconds or parts of the period is doubtful; where calls take long, to so much
# of one, up to a part of the period: no closer can they tell.
_DOUBT_SECONDS, _DOUBT, _DOUBT_CALL, _DOUBT_MOST = 0.0003, 0.005, 0.8, 0.01
# A doubtful beat is checked no sooner than after so many periods, nor than so many calls would take.
_CHECK_PERIODS, _CHECK_CALLS = 5, 150
# One that is not is checked all the same after so many seconds.
_CHECK_SECONDS = 30.0
# None that has stood still for so long, and for so many periods.
_STILL_SECONDS, _STILL_TICKS = 2.0, 20
# For so long ahead it is found at a time that no check is wanted.
_AHEAD_SECONDS = 1.0
# What does not fit the beat counts one, and less with time, in seconds by a factor e. With so much it is in doubt, with
# more what it says of an instant is not taken, and then it is learnt anew.
_FORGOTTEN_SECONDS, _DOUBTED, _DISTRUSTED, _DISPROVED = 10.0, 0.3, 1.5, 2.4
# Looks that are to see nothing between two ticks are not further from them than this part of the period.
GAP = 0.45
_SQRT12 = math.sqrt(12.0)


class Tick(NamedTuple):
    """One refresh: its instant, the standard deviation of that instant in seconds, and the energy it showed."""

    at: float
    spread: float
    joules: float


class TickTracker:
    """Follows the refreshes of one counter.

    `declared` is the refresh of a counter whose documentation states one; it is then not measured. `seconds` is the
    time between refreshes: declared, measured, or assumed until it is. `always_moves` says that every refresh shows
    another value, so that one that is due and does not show was none.
    """

    def __init__(self, declared: float | None = None, *, always_moves: bool = False) -> None:
        self.declared = declared
        self.seconds = declared or UNMEASURED_TICK_SECONDS
        # What a reading of it takes, a running mean.
        self.call_seconds = 0.0
        # Whether its beat is known.
        self.locked = False
        self._beat: Beat | None = None
        self._measured: float | None = None
        self._always_moves = always_moves
        # The reading before: when it began, what it showed, and whether that was what it had shown before.
        self._before: tuple[float, float] | None = None
        self._stood = False
        self._training = Training()
        # When what it shows was first seen.
        self._shown_since = -math.inf
        # How much did not fit the beat, by when.
        self._misfits, self._misfit_at = 0.0, -math.inf
        self._closely_seen = -math.inf
        # The latest tick, and the latest of which is sure which one of the beat it was.
        self._latest = self._surely = -math.inf
        # Up to when it is known that no check is wanted.
        self._sure_until = -math.inf

    @property
    def known_seconds(self) -> float | None:
        """The time between refreshes where it is declared or was measured on this device, else None."""
        return self.declared or self._measured

    @property
    def jitter(self) -> float:
        """Standard deviation of one tick around the beat in seconds; 0 where there is none."""
        return self._beat.jitter if self._beat else 0.0

    @property
    def training(self) -> bool:
        """Whether close readings are wanted to learn the beat."""
        if self.declared or self.locked:
            return False
        return self._before is None or self._training.wanted(self._before[0])

    def is_doubted(self, at: float) -> bool:
        """Whether something was seen of late that does not fit the beat."""
        return self._misfits > 0 and self._misfits_by(at) > _DOUBTED

    def restart(self) -> None:
        """Forget phase and beat: the counter was reset, or its device was away."""
        self._before, self._stood = None, False
        self._relearn()

    def see(self, begin: float, end: float, joules: float) -> Tick | None:
        """Take a reading made between two instants; the tick when the counter has moved since the one before."""
        before, self._before = self._before, (begin, joules)
        self.call_seconds += _NEW_CALL * (end - begin - self.call_seconds)
        if self._training.begun is None:
            self._training.begun = begin
        if before is None:
            return None
        stood, self._stood = self._stood, joules == before[1]
        if self._stood:
            return None
        if stood and self._always_moves and self._beat and self.spans_tick(self._shown_since, before[0]):
            self._misfit(end)
        self._shown_since = end
        tick = self._place(before[0], end, joules)
        self._latest = tick.at
        if not self.locked and not self.declared:
            closest = max(_TEACHING * self.seconds, _TEACHING_CALLS * self.call_seconds)
            self._learn(self._training.move(before[0], end, closest=closest, alone=stood), end)
        if self.locked and tick.spread < _SURE * self.seconds:
            self._surely = tick.at
        return tick

    def lag(self, at: float) -> tuple[float, float]:
        """How old what the counter shows at an instant is, and the standard deviation of that, in seconds."""
        if self._beat:
            return self._beat.since_tick(at), math.hypot(self._beat.deviation(at), self.call_seconds / _SQRT12)
        return self.seconds / 2, self.seconds / _SQRT12

    def since_tick(self, at: float) -> float:
        """Seconds from the latest tick of the beat, which must be known, to an instant."""
        assert self._beat
        return self._beat.since_tick(at)

    def due_tick(self, now: float) -> tuple[float, float] | None:
        """The tick that comes next or should have come by now, and its deviation in seconds; None without a beat."""
        if not self._beat:
            return None
        deviation, period = self._beat.deviation(now), self._beat.period
        return self._beat.tick_at(max(self._latest + period / 2, now - 3 * deviation)) + period, deviation

    def wants_check(self, now: float) -> bool:
        """Whether the beat has not been seen closely for so long that its phase becomes doubtful."""
        if not self._beat or now < self._sure_until:
            return False
        # A counter that stands still tells nothing. Doubt only grows with time.
        still = now - self._shown_since > max(_STILL_SECONDS, _STILL_TICKS * self._beat.period)
        if still or not self._is_doubtful(now + _AHEAD_SECONDS, self._beat):
            self._sure_until = now + _AHEAD_SECONDS
            return False
        return self._is_doubtful(now, self._beat)

    @property
    def sure_until(self) -> float:
        """Up to when no check is wanted if no reading is taken; for ever without a beat that could be checked."""
        return self._sure_until if self.locked else math.inf

    def _is_doubtful(self, at: float, beat: Beat) -> bool:
        as_calls_tell = min(_DOUBT_CALL * self.call_seconds, _DOUBT_MOST * beat.period)
        drift = beat.drift(at)
        if drift > USEFUL / 2 * beat.period:
            # Soon it would say nothing any more.
            return True
        doubtful = drift > max(_DOUBT_SECONDS, _DOUBT * beat.period, as_calls_tell)
        soonest = max(_CHECK_PERIODS * beat.period, _CHECK_CALLS * self.call_seconds)
        return at - self._closely_seen > (soonest if doubtful else max(soonest, _CHECK_SECONDS))

    def is_close(self, width: float) -> bool:
        """Whether two looks so many seconds apart see a tick between them closely, as far as calls can tell."""
        if not self._always_moves:
            return width < _TEACHING * self.seconds
        as_calls_tell = min(_CLOSE_CALLS * self.call_seconds, _LEAST_CLOSE * self.seconds)
        return width < max(_CLOSE_SECONDS + _CLOSE * self.seconds, as_calls_tell)

    def fits(self, begin: float, end: float) -> bool:
        """Whether a tick of the beat may lie between two instants; false without a beat."""
        if not self._beat:
            return False
        near = 4 * self._beat.deviation(end) + 1e-4
        return self._beat.since_tick(end + near) <= end - begin + 2 * near

    def spans_gap(self, begin: float, end: float) -> bool:
        """Whether two instants lie apart between two ticks of the beat, which must be known, with its middle inside."""
        assert self._beat
        since, period = self._beat.since_tick(begin), self._beat.period
        return since < GAP * period and (1 - GAP) * period < since + end - begin < period

    def is_just_after(self, at: float) -> bool:
        """Whether an instant is one from which such a gap may be seen."""
        assert self._beat
        return self._beat.since_tick(at) < GAP * self._beat.period

    def spans_tick(self, begin: float, end: float) -> bool:
        """Whether a tick of the beat, which must be known, surely lies between two instants."""
        assert self._beat
        near = 4 * self._beat.deviation(end) + 1e-4
        return self._beat.since_tick(end - near) < end - begin - 2 * near

    def check_step(self, at: float) -> float:
        """The step in seconds by which a check looks for the tick that is due around an instant."""
        assert self._beat
        return max(0.0005, min(self._beat.drift(at), _STEP * self._beat.period))

    def deviation(self, at: float) -> float:
        """Standard deviation of a tick of the beat, which must be known, around an instant, in seconds."""
        assert self._beat
        return self._beat.deviation(at)

    def _place(self, low: float, high: float, joules: float) -> Tick:
        if self._beat:
            found = self._place_by_beat(low, high, self._beat)
            if found is not None:
                # Where in a call its value is taken is not known, but it is always there: many looks do not tell it.
                return Tick(found[0], math.hypot(found[1], self.call_seconds / _SQRT12), joules)
        elif self.declared:
            low = max(low, high - self.declared)
            return Tick((low + high) / 2, (high - low) / _SQRT12, joules)
        # It is the latest of those that came: it is as young as uneven ticks are apart at most.
        low = max(low, high - _FURTHEST * self.seconds)
        return Tick((low + high) / 2, (high - low) / _SQRT12, joules)

    def _place_by_beat(self, low: float, high: float, beat: Beat) -> tuple[float, float] | None:
        """The latest tick of the beat within the bracket; None where it has none there, or is not to be trusted."""
        deviation = beat.deviation(high)
        if deviation > USEFUL * beat.period:
            self._relearn()
            return None
        # The latest tick that may have come, and the one before it. The counter has moved: it was one of them.
        later = beat.tick_at(high + 4 * deviation + 1e-4)
        earlier = later - beat.period
        if min(high - later, later - low) > 5 * deviation:
            likely, less = 1.0, 0.0
        else:
            came = _below(high - later, deviation)
            likely, less = came * _below(later - low, deviation), (1 - came) * _below(earlier - low, deviation)
        if earlier < self._surely + beat.period / 2:
            # That one was seen before, so it is the other.
            less = 0.0
        if likely + less < 1e-3:
            self._misfit(high)
            return None
        width, distrusted = high - low, self._misfits > 0 and self._misfits_by(high) > _DISTRUSTED
        share = likely / (likely + less)
        if width < beat.period and self.is_close(width):
            # A wider bracket has a tick in it whatever the beat.
            self._closely_seen = high
            found = beat.update((low + high) / 2, width, later if share > 0.5 else earlier)
            self._measured = self.seconds = beat.period
            return None if distrusted else found
        if distrusted:
            return None
        at = earlier + share * beat.period
        doubt = math.sqrt(share * (1 - share)) * beat.period
        return min(max(at, low), high), math.hypot(min(deviation, width / _SQRT12), doubt)

    def _misfits_by(self, at: float) -> float:
        return self._misfits * math.exp((self._misfit_at - at) / _FORGOTTEN_SECONDS)

    def _misfit(self, at: float) -> None:
        if at == self._misfit_at:
            # One look tells of one.
            return
        self._misfits, self._misfit_at = self._misfits_by(at) + 1, at
        if self._misfits >= _DISPROVED:
            self._relearn()

    def _relearn(self) -> None:
        self.locked, self._beat = False, None
        self._training = Training()
        self._misfits = 0.0
        self._sure_until = -math.inf

    def _learn(self, found: tuple[float | None, Beat | None] | None, at: float) -> None:
        if found is None:
            return
        self._measured, self._beat = found
        self.seconds = self._measured or self.seconds
        if self._beat:
            self.locked, self._closely_seen = True, at


def _below(distance: float, deviation: float) -> float:
    """The chance that a Gaussian of this deviation around 0 lies below a distance."""
    return 0.5 * (1 + math.erf(distance / (max(deviation, 1e-6) * math.sqrt(2))))
