"""Pure attribution of one device: from readings to joules per holder. No clock, no lock, no disk.

Energy is booked when the hardware counter moves, not when it is read. What it gained between two ticks goes to
whoever held the device meanwhile; where a boundary lies between the two ticks it waits until the ticks after it have
told the power of the new stage, and is then split (`boundary.py`). Sampled power is integrated beside it
(`power_integral.py`): that is the second estimator, and what is booked where the counter cannot be trusted.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..sources.base import Device, Reading
from .boundary import NEAREST, Part, Power, Stretch, power_of, split
from .gauge import Gauge
from .power_integral import MAX_BRIDGE_SECONDS, Holders, PowerIntegral, Slice
from .ticks import Tick, TickTracker

# Ticks after a boundary that tell the power of the new stage, and how long to wait for them at most.
_TELLING_TICKS = 3
_SETTLE_SECONDS = 2.0
# A tick of the beat that is placed worse than this part of it may be the one before or after: so long the next is
# waited for instead, in seconds.
_ANOTHER = 0.12
_DOUBT_SECONDS = 0.5
# A counter that stands still for so long, and for so many ticks, while power is drawn is frozen.
_FROZEN_SECONDS = 2.0
_FROZEN_TICKS = 20
# How far, as a part of it, the few samples that fill in for a counter that was reset may be wrong.
_FILLED_DOUBT = 0.5
# Readings that fail for longer than this are an outage; one that fails is not.
_OUTAGE_SECONDS = 0.3
# A sample this old tells nothing of the power now.
_STALE_SECONDS = 0.5
# Ticks that a counter must show again, at a believable rate, before it is trusted again.
_TRUSTED_TICKS = 4


@dataclass(frozen=True)
class Booking:
    """Joules for one holder; `holder` None is the energy that no window claims.

    `joules` is the account's energy, `integral_joules` the sampled power integrated, `variance` in joules squared
    what is not known of the energy, `bound_joules` what could be missing altogether.
    """

    holder: str | None
    joules: float = 0.0
    integral_joules: float = 0.0
    variance: float = 0.0
    bound_joules: float = 0.0


@dataclass(frozen=True)
class Settlement:
    """What one reading settled, the time that was not seen, and what was noticed."""

    bookings: tuple[Booking, ...] = ()
    gap_seconds: float = 0.0
    events: tuple[str, ...] = ()

    @property
    def joules(self) -> float:
        """Energy settled in joules."""
        return sum(booking.joules for booking in self.bookings)


NOTHING = Settlement()


class _Bookings:
    """Collects bookings by holder; what several hold is split equally."""

    def __init__(self) -> None:
        self._sums: dict[str | None, list[float]] = {}

    def add(
        self, holders: Holders, joules: float = 0.0, integral: float = 0.0, variance: float = 0.0, bound: float = 0.0
    ) -> None:
        parts = len(holders) or 1
        for holder in holders or (None,):
            sums = self._sums.setdefault(holder, [0.0, 0.0, 0.0, 0.0])
            for index, value in enumerate((joules / parts, integral / parts, variance / parts**2, bound / parts)):
                sums[index] += value

    def done(self) -> tuple[Booking, ...]:
        return tuple(Booking(holder, *sums) for holder, sums in self._sums.items() if any(sums))


@dataclass
class DeviceAccount:
    """The running account of one device.

    `settled` is the tick up to which energy is booked, None until there is one (and while power is what is booked);
    `boundaries` are the hand-overs after it, `booked_until` the instant up to which anything is booked at all.
    """

    device: Device
    total_joules: float = 0.0
    gap_seconds: float = 0.0
    settled: Tick | None = None
    holders_settled: Holders = ()
    boundaries: list[tuple[float, Holders]] = field(default_factory=list)
    counting: bool = True
    steady: float | None = None
    watts: float | None = None

    def __post_init__(self) -> None:
        self.ticks = TickTracker(self.device.tick_seconds)
        self.power = PowerIntegral(
            self.holders, refresh=self.device.power_tick_seconds, averaging=self.device.averaging_seconds
        )
        self.gauge = Gauge(self.device.power_tick_seconds)
        self.sensor = False
        self._ahead: list[Tick] = []
        self._clean: deque[Stretch] = deque(maxlen=NEAREST)
        self._slices: deque[Slice] = deque()
        self._offset = 0.0
        self._raw: float | None = None
        self._trial: list[Tick] = []
        self.integral_joules = self.integral_variance = 0.0
        self._resumed = self.settled is not None
        self._restarted = False
        # Where the counter was begun with between two ticks: what is not known of the energy since the first of them.
        self._baseline_variance = 0.0
        # What the counter showed last: it may only grow.
        self._shown = self.settled.joules if self.settled else -math.inf
        self._moved: float | None = None
        # How far the latest look is from the one before, and how far those were that last saw the counter move.
        self._apart = self._bracket = 0.0
        # When the latest reading was made, and whether it failed.
        self.looked: float | None = None
        self.failing = False
        # The latest stretch that no reading covers, and whether readings failed in it.
        self._unseen = (math.inf, -math.inf)
        self._unseen_failed = False
        self._hole_until: float | None = None
        self._hole_seconds = 0.0
        self._hole_bounds: dict[Holders, float] = {}
        if self.device.fallback and self.device.source == self.device.fallback:
            self.counting = False

    def gone_on_with(self, device: Device) -> DeviceAccount:
        """The account after a restart: its counter is read on where it is the same counter, its totals always."""
        account = DeviceAccount(device, self.total_joules, self.gap_seconds)
        if self.device.epoch == device.epoch and self.device.source == device.source:
            account = DeviceAccount(
                device, self.total_joules, self.gap_seconds, self.settled, self.holders_settled, self.boundaries,
                steady=self.steady,
            )  # fmt: skip
        return account

    # -- what others ask -----------------------------------------------------------------------------------

    @property
    def holders(self) -> Holders:
        """Who holds the device now; empty when nobody does."""
        return self.boundaries[-1][1] if self.boundaries else self.holders_settled

    @property
    def source(self) -> str:
        """What its energy comes from now."""
        return self.device.source if self.counting or not self.device.fallback else self.device.fallback

    @property
    def unsettled(self) -> bool:
        """Whether a boundary waits for ticks or samples that come after it."""
        return bool(self.boundaries) or self.power.waiting

    def references(self, holder: str) -> bool:
        """Whether energy may still be booked to this holder."""
        return holder in self.holders_settled or any(holder in holders for _, holders in self.boundaries)

    def pending(self, holder: str) -> float:
        """Joules of a holder that are not booked yet, by the latest power: an estimate for summaries."""
        start = self._booked_until()
        if start is None or self.steady is None:
            return 0.0
        rate = self._latest_power()
        spans = self._held(start, self.steady)
        return sum(rate * seconds / len(holders) for holders, seconds in spans if holder in holders)

    # -- what happens --------------------------------------------------------------------------------------

    def change_holders(self, holders: Holders, at: float) -> None:
        """Hand the device over at an instant, not before any earlier hand-over."""
        if holders == self.holders:
            return
        at = max([at, *(instant for instant, _ in self.boundaries[-1:])])
        self.power.hand_over(at, holders)
        if self.boundaries and self.boundaries[-1][0] == at:
            # Whoever holds a device for no time is not there.
            self.boundaries.pop()
        start = self._booked_until()
        if start is None:
            self.holders_settled = holders
        else:
            self.boundaries.append((max(at, start), holders))

    def apply(self, reading: Reading) -> Settlement:
        """Take one reading; returns what it settled. Readings come in the order in which they were made."""
        books, events = _Bookings(), list[str]()
        gap = self._hole(reading.end, books)
        self._apart = 0.0 if self.looked is None else reading.end - self.looked
        self.looked, self.failing = reading.end, False
        if gap or self._hole_until is not None:
            events.append("no_reading")
        self._hole_until = None
        self.steady = reading.steady if self.steady is None else max(reading.steady, self.steady)
        if reading.watts is not None:
            self.watts, self.sensor = reading.watts, reading.sensor
        if reading.sensor and reading.watts is not None:
            self._take(self._sample(reading.steady, reading.watts), books)
        if reading.energy_joules is not None:
            gap += self._count(reading, self._unwrapped(reading.energy_joules), books, events)
            self._bracket = self._apart if self._moved == reading.steady else self._bracket
        elif self.counting and self._counter_given_up(reading):
            self._fall_back(reading.steady, books, events, "counter_missing")
        if not self.counting:
            self._hole_bounds.clear()
        self._hole_seconds = 0.0
        return self._done(books, gap, events)

    def describe_anew(self, device: Device) -> None:
        """It came back described otherwise; under another epoch its counter cannot be read on."""
        self._restarted = self._restarted or device.epoch != self.device.epoch
        self.device = device
        self.power.averaging = device.averaging_seconds

    def fail(self, at: float) -> Settlement:
        """A reading failed: when that lasts it is a gap, and boundaries that still wait are decided."""
        books = _Bookings()
        self.looked, self.failing = at, True
        gap = self._hole(at, books)
        if gap and self.unsettled:
            self._take(self.power.flush(), books)
            self._settle(books, force=True)
        return self._done(books, gap, [])

    def let_go(self) -> Settlement:
        """It is not read any more: what is known is booked, and nobody holds it."""
        books = _Bookings()
        self._take(self.power.flush(), books)
        self._settle(books, force=True)
        self.boundaries.clear()
        self.holders_settled = ()
        return self._done(books, 0.0, [])

    def _hole(self, at: float, books: _Bookings) -> float:
        """Seconds up to `at` that no reading covers and that were not counted yet; all they may hold is uncertain."""
        longest = _OUTAGE_SECONDS if self.failing else MAX_BRIDGE_SECONDS
        if self.steady is None or at - self.steady <= longest:
            return 0.0
        # Sampled power is known up to the instant for which its latest sample stands.
        known = self.steady if self.counting else min(self.steady, self.power.until or self.steady)
        begin = max(known, self._hole_until or known)
        self._hole_until = at
        self._hole_seconds += at - begin
        self._unseen, self._unseen_failed = (known, at), self.failing
        for holders, seconds in self._held(begin, at):
            bound = (self.device.power_limit_watts or 0.0) * seconds if holders else 0.0
            books.add(holders, bound=bound)
            self._hole_bounds[holders] = self._hole_bounds.get(holders, 0.0) + bound
        return at - begin

    def _held(self, begin: float, end: float) -> Iterator[tuple[Holders, float]]:
        """Who held the device between two instants after what is settled, and for how many seconds of it."""
        cuts = [(-math.inf, self.holders_settled), *self.boundaries, (math.inf, ())]
        for (since, holders), (until, _) in itertools.pairwise(cuts):
            if min(until, end) > max(since, begin):
                yield holders, min(until, end) - max(since, begin)

    def _close_hole(self, energy: float, books: _Bookings) -> None:
        """The counter knows what was drawn in the hole: what was bound for it is known after all.

        Not so where it was away, and shows no more than it may have counted since a reset meanwhile.
        """
        seconds = self._unseen[1] - self._unseen[0] + 2 * self.ticks.seconds
        if not self._unseen_failed or energy > (self.device.power_limit_watts or 0.0) * seconds:
            for holders, bound in self._hole_bounds.items():
                books.add(holders, bound=-bound)
        self._hole_bounds.clear()

    # -- power ---------------------------------------------------------------------------------------------

    def _sample(self, at: float, watts: float) -> list[Slice]:
        """Integrate a value of the gauge, placed at the instant for which it stands."""
        shown = self.gauge.see(at, watts)
        self.power.refresh, self.power.sampled = self.gauge.refresh, self.gauge.between_changes
        return [] if shown is None else self.power.see(shown[0], watts, placed=shown[1])

    def _take(self, slices: list[Slice], books: _Bookings) -> None:
        """Book slices as integral, and as energy while power is what is booked; else keep them for a fall-back."""
        for one in slices:
            books.add(one.holders, integral=one.joules)
            self.integral_variance += one.variance
            if self.counting:
                self._slices.append(one)
            else:
                books.add(one.holders, one.joules, variance=one.variance)
                self._pass_boundaries(one.end)
        # A counter that stands still for seconds is judged within this; more is never needed.
        while len(self._slices) > 4096:
            self._slices.popleft()

    def _fall_back(self, at: float, books: _Bookings, events: list[str], reason: str) -> None:
        """From the last tick on, book power instead of the counter."""
        self._take(self.power.flush(), books)
        begin = self.settled.at if self.settled else math.inf
        near = power_of(list(self._clean))
        holders, joules = self.holders_settled, self._spend(books, at)
        if at > begin:
            # It may have stopped between the two looks that saw its last tick, and not at the last one that was due.
            watts = max(joules / (at - begin), near.watts if near else 0.0)
            books.add(holders, bound=watts * self._bracket)
        self.counting = False
        self._trial = []
        self.settled = None
        self._ahead.clear()
        self._clean.clear()
        events.append(reason)

    def _spend(self, books: _Bookings, at: float) -> float:
        """Book sampled power since the last tick as energy and bound what has none, up to now; returns the joules."""
        since, total = self.settled.at if self.settled else math.inf, 0.0
        known = since
        for one in self._slices:
            part = one.after(self.settled.at if self.settled else -math.inf)
            if part:
                self._bind(known, part.begin, books)
                books.add(part.holders, part.joules, variance=part.variance)
                known = part.end
                total += part.joules
        until = self._sampled_until(at)
        self._bind(known, until, books)
        self._slices.clear()
        self._pass_boundaries(until)
        return total

    def _sampled_until(self, at: float) -> float:
        """Up to when power has been sampled; now, where that was so long ago that it is of no use."""
        until = self.power.until
        return at if until is None or at - until > _STALE_SECONDS else until

    def _bind(self, begin: float, end: float, books: _Bookings) -> None:
        """Bound what was drawn in a stretch of which nothing is known, but for that which is bound already."""
        hole = self._unseen if self._unseen[0] < self._unseen[1] else (end, end)
        for first, last in ((begin, min(end, hole[0])), (max(begin, hole[1]), end)):
            for holders, seconds in self._held(first, last) if first < last else ():
                if holders:
                    books.add(holders, bound=(self.device.power_limit_watts or 0.0) * seconds)

    def _pass_boundaries(self, until: float) -> None:
        while self.boundaries and self.boundaries[0][0] <= until:
            self.holders_settled = self.boundaries.pop(0)[1]

    # -- counter -------------------------------------------------------------------------------------------

    def _count(self, reading: Reading, energy: float, books: _Bookings, events: list[str]) -> float:
        """Take a counter value; returns the seconds of a gap that it revealed."""
        restarted, self._restarted = self._restarted, False
        if not self.counting:
            return self._try_counter(reading, energy, restarted, books, events)
        last = self._ahead[-1] if self._ahead else self.settled
        if last is None:
            self.ticks.see(reading.begin, reading.end, energy)
            self._start_from(reading, energy)
            return 0.0
        fault = "counter_reset" if restarted else self._fault(reading, energy, last)
        if fault:
            events.append(fault)
            return self._break(reading, energy, books)
        self._shown = energy
        self._moved = reading.steady if self._moved is None else self._moved
        tick = self._seen(reading, energy)
        if tick is None:
            still = reading.steady - self._moved
            frozen = still > max(_FROZEN_SECONDS, _FROZEN_TICKS * self.ticks.seconds)
            if frozen and reading.sensor and (reading.watts or 0.0) > 0 and self.device.fallback:
                self._fall_back(reading.steady, books, events, "counter_frozen")
            return 0.0
        if self._moved >= self._unseen[1]:
            # Seen to move since: it had not stopped in the hole.
            self._close_hole(energy, books)
        self._moved = reading.steady
        if tick.joules > last.joules:
            # Else it shows what was counted ahead of it, when the counter was begun with between two ticks.
            self._ahead.append(tick)
            self._settle(books, force=False)
        return 0.0

    def _seen(self, reading: Reading, energy: float) -> Tick | None:
        if self._resumed:
            # The first look after a restart: when the counter ticked meanwhile is not known, but that it did is.
            self._resumed = False
            self.ticks.see(reading.begin, reading.end, energy)
            assert self.settled is not None
            behind, spread = self.ticks.lag(reading.steady)
            at = max(self.settled.at, reading.steady - behind)
            return Tick(at, spread, energy) if energy > self.settled.joules else None
        return self.ticks.see(reading.begin, reading.end, energy)

    def _fault(self, reading: Reading, energy: float, last: Tick) -> str:
        if energy < self._shown - 1e-3:
            return "counter_reset"
        limit = self.device.power_limit_watts
        elapsed = reading.end - last.at + 2 * self.ticks.seconds
        if limit is not None and energy - last.joules > limit * elapsed + 1.0:
            return "absurd_delta"
        return ""

    def _start_from(self, reading: Reading, energy: float, watts: float = 0.0) -> None:
        """Begin to count where sampled power ends, at `watts`: what that has booked is not counted again."""
        self._start_at(self._sampled_until(reading.steady), reading, energy, watts, self.ticks.lag(reading.steady))

    def _start_at(self, until: float, reading: Reading, energy: float, watts: float, lag: tuple[float, float]) -> None:
        behind, spread = lag
        # What the counter would have shown at that instant, had it refreshed then.
        joules = energy + watts * (behind - reading.steady + until)
        self.settled = Tick(until, spread, joules)
        self._shown = energy
        self._moved = reading.steady
        varied = max(self.power.variations[1], 0.02 * watts)
        self._baseline_variance = (watts * spread) ** 2 + (varied * (reading.steady - until + behind)) ** 2

    def _break(self, reading: Reading, energy: float, books: _Bookings) -> float:
        """The counter cannot be read on: sampled power fills in up to now, else nothing is booked and all is bound."""
        assert self.settled is not None
        self._resumed = False
        begin = self.settled.at
        self._settle(books, force=True)
        self._take(self.power.flush(), books)
        holders = {self.holders_settled, *(held for _, held in self.boundaries)}
        joules, watts = self._spend(books, reading.steady), self._latest_power()
        until = max(self._sampled_until(reading.steady), self.settled.at)
        # It shows nothing of what was drawn before it began anew, which was at any time since the look before this.
        behind = min(self.ticks.seconds, self._apart) / 2
        for held in holders:
            books.add(held, bound=_FILLED_DOUBT * (joules + watts * (reading.steady - until)) + watts * behind)
        self.ticks.restart()
        self._ahead.clear()
        self._clean.clear()
        self._hole_bounds.clear()
        self.ticks.see(reading.begin, reading.end, energy)
        self._start_at(until, reading, energy, watts, (behind, 0.0))
        return max(0.0, reading.steady - begin - self._hole_seconds)

    def _try_counter(
        self, reading: Reading, energy: float, restarted: bool, books: _Bookings, events: list[str]
    ) -> float:
        """While power is booked: trust the counter again once it has moved believably for some ticks."""
        if self.device.source == self.device.fallback:
            return 0.0
        if self._trial and (restarted or energy < self._trial[-1].joules):
            self._trial = []
            self.ticks.restart()
        tick = self.ticks.see(reading.begin, reading.end, energy)
        if tick is None or not reading.watts or self.power.waiting:
            return 0.0
        self._trial.append(tick)
        if len(self._trial) < _TRUSTED_TICKS + 1:
            return 0.0
        trial = Stretch(self._trial[1], self._trial[-1])
        self._trial = self._trial[1:]
        rate = trial.joules / trial.seconds
        if not 0.5 * reading.watts < rate < 2 * reading.watts:
            return 0.0
        self._take(self.power.flush(), books)
        books.add(self.holders_settled, variance=self.power.late_variance)
        self.counting = True
        self._trial = []
        self._start_from(reading, energy, rate)
        events.append("counter_back")
        return 0.0

    def _counter_given_up(self, reading: Reading) -> bool:
        """Whether the counter has been missing for long enough to go on without it."""
        if not (reading.sensor and reading.watts is not None and self.device.fallback):
            return False
        if self.settled is None:
            return True
        return reading.steady - (self._moved or self.settled.at) > 0.5

    # -- settling ------------------------------------------------------------------------------------------

    def _settle(self, books: _Bookings, *, force: bool) -> None:
        """Book up to the last tick whose boundaries can be decided."""
        self._ahead = [tick for tick in self._ahead[:-1] if not self._doubtful(tick)] + self._ahead[-1:]
        while self._ahead and self.settled is not None:
            tick = self._ahead[0]
            if not force and self._may_be_another(tick) and tick.at - self.settled.at < _DOUBT_SECONDS:
                break
            inside = [boundary for boundary in self.boundaries if boundary[0] <= tick.at]
            if not inside:
                stretch = Stretch(self.settled, tick)
                books.add(self.holders_settled, stretch.joules, variance=self._baseline_variance)
                if stretch.seconds < MAX_BRIDGE_SECONDS:
                    self._clean.appendleft(stretch)
            elif force or self._decided(inside):
                self._split(tick, inside, books)
            else:
                break
            self.settled = tick
            self._baseline_variance = 0.0
            self._ahead.pop(0)
        if self.settled is not None:
            while self._slices and self._slices[0].end <= self.settled.at:
                self._slices.popleft()

    def _doubtful(self, tick: Tick) -> bool:
        """Whether a tick tells nothing that the next one does not tell better."""
        either_side = any(abs(tick.at - at) < 2 * tick.spread and tick.spread > 0.0005 for at, _ in self.boundaries)
        return either_side or self._may_be_another(tick)

    def _may_be_another(self, tick: Tick) -> bool:
        """Whether it is in doubt which tick of the beat this is, as one was due just when it was looked for."""
        return self.ticks.locked and tick.spread > _ANOTHER * self.ticks.seconds

    def _clean_after(self, boundaries: int) -> list[Stretch]:
        """The stretches after the first tick ahead that lie wholly before the next boundary."""
        until = self.boundaries[boundaries][0] if boundaries < len(self.boundaries) else math.inf
        ticks = [tick for tick in self._ahead if tick.at <= until]
        return [Stretch(a, b) for a, b in itertools.pairwise(ticks) if b.at - a.at < MAX_BRIDGE_SECONDS]

    def _decided(self, inside: list[tuple[float, Holders]]) -> bool:
        """Whether nothing more will be learnt of the power on the far side soon."""
        if len(self._clean_after(len(inside))) >= _TELLING_TICKS:
            return True
        latest = self._ahead[-1].at
        if len(inside) < len(self.boundaries) and latest >= self.boundaries[len(inside)][0]:
            return True
        return latest - inside[-1][0] > _SETTLE_SECONDS

    def _split(self, tick: Tick, inside: list[tuple[float, Holders]], books: _Bookings) -> None:
        assert self.settled is not None
        varied = self.power.variations
        before, after = power_of(list(self._clean), varied[0]), power_of(self._clean_after(len(inside)), varied[1])
        unseen = tick.at - self.settled.at > MAX_BRIDGE_SECONDS or (
            self._unseen[0] < tick.at and self.settled.at < self._unseen[1]
        )
        if unseen:
            # Over seconds that nobody saw, power may have been anything.
            before, after = _doubtful(before), _doubtful(after)
        parts = split(self.settled, tick, [at for at, _ in inside], before, after)
        held = [self.holders_settled, *(holders for _, holders in inside)]
        for holders, part in zip(held, parts, strict=True):
            books.add(holders, variance=self._baseline_variance)
            self._book_part(holders, part, tick.joules - self.settled.joules if unseen else 0.0, books)
        self.holders_settled = inside[-1][1]
        self.boundaries = self.boundaries[len(inside) :]
        self._clean.clear()

    def _book_part(self, holders: Holders, part: Part, unseen_joules: float, books: _Bookings) -> None:
        if unseen_joules:
            books.add(holders, part.joules, bound=unseen_joules)
        else:
            books.add(holders, part.joules, variance=part.variance)

    # -- inside --------------------------------------------------------------------------------------------

    def _booked_until(self) -> float | None:
        return self.settled.at if self.counting and self.settled else (None if self.counting else self.power.until)

    def _latest_power(self) -> float:
        if self.sensor and self.watts is not None:
            return self.watts
        power = power_of(list(self._clean))
        return power.watts if power else (self.watts or 0.0)

    def _unwrapped(self, raw: float) -> float:
        """A counter that starts again at 0 after its range goes on instead, where that is certain."""
        wrap, limit = self.device.wrap_joules, self.device.power_limit_watts
        if self._raw is None and self.settled is not None:
            self._raw, self._offset = self.settled.joules % wrap if wrap else self.settled.joules, 0.0
            if wrap:
                self._offset = self.settled.joules - self._raw
        if wrap and self._raw is not None and raw < self._raw:
            elapsed = 0.0 if self.steady is None or self.settled is None else self.steady - self.settled.at
            if limit is None or limit * elapsed < wrap:
                self._offset += wrap
        self._raw = raw
        return raw + self._offset

    def _done(self, books: _Bookings, gap: float, events: list[str]) -> Settlement:
        settlement = Settlement(books.done(), gap, tuple(events))
        self.total_joules += settlement.joules
        self.integral_joules += sum(booking.integral_joules for booking in settlement.bookings)
        self.gap_seconds += gap
        return settlement


def _doubtful(power: Power | None) -> Power | None:
    return Power(power.watts, max(power.deviation, 0.5 * power.watts)) if power else None
