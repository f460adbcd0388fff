"""Pure attribution of one device: from readings to joules per holder. No clock, no lock, no disk.

Energy is booked when the hardware counter moves, not when it is read. What it gained between two ticks goes to
whoever held the device meanwhile; where a boundary lies between the two ticks it waits until the ticks after it have
told the power of the new stage, and is then split (`settling.py`, `boundary.py`). Sampled power is integrated beside
it (`power_integral.py`): that is the second estimator, and what is booked where the counter cannot be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..sources.base import Device, Reading
from .booking import NOTHING, Bookings, Settlement
from .coming import Coming
from .counter import Counter
from .gauge import Gauge
from .hand_overs import Boundary, HandOvers
from .hole import LEAST_HOLE_SECONDS, Hole, is_hole
from .power_integral import Holders, PowerIntegral, Slice
from .settling import Settling
from .stand_in import StandIn
from .ticks import Tick, TickTracker

# How far, as a part of it, the few samples that fill in for a counter that was reset may be wrong.
_FILLED_DOUBT = 0.5


class DeviceAccount:
    """The running account of one device.

    `settled` is the tick up to which energy is booked, None until there is one (and while power is what is booked);
    `boundaries` are the hand-overs after it, `shown` the ticks known around it, `steady` is when it was read last.
    """

    def __init__(
        self, device: Device, total_joules: float = 0.0, gap_seconds: float = 0.0, settled: Tick | None = None,
        holders_settled: Holders = (), boundaries: list[Boundary] | None = None, *, steady: float | None = None,
        shown: Sequence[Tick] = (),
    ) -> None:  # fmt: skip
        self.device, self.total_joules, self.gap_seconds, self.steady = device, total_joules, gap_seconds, steady
        self.integral_joules = self.integral_variance = 0.0
        self.watts: float | None = None
        # Whether the counter is what is booked, and not sampled power.
        self.counting = not (device.fallback and device.source == device.fallback)
        self.looked: float | None = None  # When the latest look was made, which failed if it is failing.
        self.failing = self.sensor = False
        self.ticks = TickTracker(device.tick_seconds, always_moves=True)
        self.gauge = Gauge(device.power_tick_seconds)
        self.hand_overs = HandOvers(holders_settled, boundaries or [])
        self.power = PowerIntegral(
            self.hand_overs.current, refresh=device.power_tick_seconds, averaging=device.averaging_seconds
        )
        self._hole = Hole(device.power_limit_watts or 0.0)
        self._settling = Settling(self.ticks, self.power, self.hand_overs, self._hole, settled, shown)
        self._stand_in = StandIn(self.power, self.hand_overs, self._hole)
        self._counter = Counter(self.ticks, self._settling.latest)
        self.coming = Coming(self.ticks, self._counter, self._settling)
        self._books = Bookings()  # What was settled and is to be booked.
        self.quiet_until = -math.inf  # So long no look beside the regular ones is wanted, whatever those show.
        self._apart = 0.0  # How far the latest look is from the one before.

    def gone_on_with(self, device: Device) -> DeviceAccount:
        """The account after a restart: its counter is read on where it is the same counter, its totals always."""
        if self.device.epoch != device.epoch or self.device.source != device.source:
            return DeviceAccount(device, self.total_joules, self.gap_seconds)
        return DeviceAccount(
            device, self.total_joules, self.gap_seconds, self.settled, self.hand_overs.settled,
            self.hand_overs.ahead, steady=self.coming.until(self.steady), shown=self.coming.known(self.device),
        )  # fmt: skip

    @property
    def settled(self) -> Tick | None:
        """The tick of the counter up to which energy is booked."""
        return self._settling.settled

    @property
    def source(self) -> str:
        """What its energy comes from now."""
        return self.device.source if self.counting or not self.device.fallback else self.device.fallback

    @property
    def unsettled(self) -> bool:
        """Whether a boundary waits for ticks or samples that come after it."""
        return bool(self.hand_overs.boundaries or self.hand_overs.coming) or self.power.waiting

    @property
    def booked_until(self) -> float | None:
        """Up to when its energy is booked, None before there is any."""
        if not self.counting:
            return self.power.until
        settled = self._settling.settled
        return settled.at if settled else None

    @property
    def latest_watts(self) -> float:
        """Its latest power, by the gauge where it has one, else by the counter."""
        if self.sensor and self.watts is not None:
            return self.watts
        power = self._settling.power_before
        return power.watts if power else (self.watts or 0.0)

    @property
    def referenced(self) -> set[str]:
        """The holders to whom energy may still be booked, or from whom a bound may be taken back."""
        return self.hand_overs.referenced | self._hole.referenced

    def change_holders(self, holders: Holders, at: float) -> None:
        """Hand the device over at an instant, not before any earlier hand-over; readings before it may still come."""
        if holders != self.hand_overs.latest:
            self.quiet_until = -math.inf
            self.hand_overs.announce(holders, at)

    def take_over(self, before: float = math.inf) -> None:
        """All readings up to an instant have come: who holds the device from before that on does so."""
        for at, holders in self.hand_overs.come(before) if self.hand_overs.coming else ():
            self.power.hand_over(at, holders)
            self.hand_overs.add(holders, at, self.booked_until)

    def take(self, reading: Reading) -> Settlement:
        """Take one reading, in the order in which they were made; what it settles is booked with `settle`."""
        at, self.quiet_until = reading.end, -math.inf
        self.coming.drop_until(at)
        if self.hand_overs.coming:
            self.take_over(at)
        if not self.counting and reading.watts is None:
            # A counter that is not trusted tells nothing.
            return self._miss(at)
        gap, events = 0.0, []
        if self.failing or self.steady is None or at - self.steady > LEAST_HOLE_SECONDS:
            gap = self._find_hole(at)
            events = ["no_reading"] if self._hole.read_again() or gap else []
        self._apart = 0.0 if self.looked is None else at - self.looked
        self.looked, self.failing = at, False
        self.steady = reading.steady if self.steady is None else max(reading.steady, self.steady)
        if reading.watts is not None:
            self.watts, self.sensor = reading.watts, reading.sensor
        self._book_slices(self.power.sample(self.gauge, reading))
        if reading.energy_joules is not None:
            energy = self._counter.value(reading, self.device, self._settling.settled)
            gap += self._count(reading, energy, events)
        elif self.counting and self.device.fallback and self._counter.missing(reading, self.settled):
            self._fall_back(reading.steady, events, "counter_missing")
        if not self.counting:
            self._hole.keep()
        self._hole.seconds = 0.0
        self.gap_seconds += gap
        return Settlement((), gap, tuple(events)) if gap or events else NOTHING

    def settle(self, noticed: Settlement = NOTHING) -> Settlement:
        """What the readings settled that were taken, with what was noticed in them."""
        bookings = self._books.take()
        for booking in bookings:
            self.total_joules += booking.joules
            self.integral_joules += booking.integral_joules
        return noticed._replace(bookings=bookings)

    def describe_anew(self, device: Device) -> None:
        """It came back described otherwise; under another epoch its counter cannot be read on."""
        self._counter.restarted = self._counter.restarted or device.epoch != self.device.epoch
        self.device = device
        self._hole.most_watts = device.power_limit_watts or 0.0
        self.power.averaging = device.averaging_seconds

    def fail(self, at: float) -> Settlement:
        """A reading failed: when that lasts it is a gap, and boundaries that still wait are decided."""
        return self.settle(self._miss(at))

    def _miss(self, at: float) -> Settlement:
        self.quiet_until = -math.inf
        self.coming.drop_until(at)
        self.take_over(at)
        self.looked, self.failing = at, True
        gap = self._find_hole(at)
        if gap and self.unsettled:
            self._book_slices(self.power.flush())
            self._book_ticks(force=True)
        self.gap_seconds += gap
        return Settlement(gap_seconds=gap)

    def let_go(self) -> Settlement:
        """It is not read any more: what is known is booked, and nobody holds it."""
        self.take_over()
        self._book_slices(self.power.flush())
        self._book_ticks(force=True)
        self.hand_overs.clear()
        return self.settle()

    def _find_hole(self, at: float) -> float:
        if self.steady is None or not is_hole(at - self.steady, failed=self.failing):
            return 0.0
        # Sampled power is known up to the instant for which its latest sample stands.
        known = self.steady if self.counting else min(self.steady, self.power.until or self.steady)
        return self._hole.grow(known, at, self.hand_overs, self._books, failed=self.failing)

    def _book_slices(self, slices: list[Slice]) -> None:
        """Book slices as integral, and as energy while power is what is booked; else keep them for a fall-back."""
        for one in slices:
            self._books.add(one.holders, integral=one.joules)
            self.integral_variance += one.variance + one.late
            if self.counting:
                self._stand_in.keep(one)
            else:
                self._hole.book(one, self.hand_overs, self._books)
                self.hand_overs.pass_until(one.end)

    def _fall_back(self, at: float, events: list[str], reason: str) -> None:
        """From the last tick on, book power instead of the counter."""
        self._book_slices(self.power.flush())
        begin = self.settled.at if self.settled else None
        holders, near = self.hand_overs.settled, self._settling.power_before
        joules, _ = self._stand_in.book(begin, at, self._books)
        if begin is not None and at > begin:
            # It may have stopped between the two looks that saw its last tick, and not at the last one that was due.
            watts = max(joules / (at - begin), near.watts if near else 0.0)
            self._books.add(holders, bound=watts * self._counter.bracket)
        self.counting = False
        self._counter.forget_trial()
        self._settling.stop()
        events.append(reason)

    def _count(self, reading: Reading, energy: float, events: list[str]) -> float:
        """Take a counter value; returns the seconds of a gap that it revealed."""
        if not self.counting:
            self._try_counter(reading, energy, events)
            return 0.0
        if (last := self._settling.latest) is None:
            self._counter.restarted = False
            self.ticks.see(reading.begin, reading.end, energy)
            self._start_from(reading, energy)
            return 0.0
        fault = self._counter.fault(reading, energy, last, self.device.power_limit_watts)
        if fault:
            events.append(fault)
            return self._break(reading, energy)
        tick = self._counter.see(reading, energy, last)
        if tick:
            self._advance(tick, last, reading.steady)
        elif self.device.fallback and self._counter.frozen(reading):
            self._fall_back(reading.steady, events, "counter_frozen")
        else:
            self._hole.stand_still(last.at, reading.steady, self.hand_overs, self._books)
        return 0.0

    def _advance(self, tick: Tick, last: Tick, at: float) -> None:
        if self._hole.is_open and self._counter.moved is not None and self._counter.moved >= self._hole.end:
            # Seen to move since: it had not stopped in the hole.
            self._hole.close(tick.joules, self.ticks.seconds, self._books)
        self._counter.moved, self._counter.bracket = at, self._apart
        if tick.joules > last.joules:
            # Else it shows what was counted ahead of it, when the counter was begun with between two ticks.
            self._settling.add(tick)
            self._book_ticks(force=False)

    def _start_from(self, reading: Reading, energy: float, watts: float = 0.0) -> None:
        """Begin to count where sampled power ends, at `watts`: what that has booked is not counted again."""
        until = self._stand_in.sampled_until(reading.steady)
        self._counter.begin(reading, energy)
        self._settling.start(until, reading.steady, energy, watts, self.ticks.lag(reading.steady))

    def _break(self, reading: Reading, energy: float) -> float:
        """The counter cannot be read on: sampled power fills in up to now, else nothing is booked and all is bound."""
        assert self.settled is not None
        begin = self.settled.at
        self._book_ticks(force=True)
        self._book_slices(self.power.flush())
        holders, watts = self.hand_overs.all, self.latest_watts
        joules, bound = self._stand_in.book(self.settled.at, reading.steady, self._books)
        until = max(self._stand_in.sampled_until(reading.steady), self.settled.at)
        # It shows nothing of what was drawn before it began anew, which was at any time since the look before this.
        behind = min(self.ticks.seconds, self._apart) / 2
        for held in holders:
            self._books.add(held, bound=_FILLED_DOUBT * (joules - bound + watts * (reading.steady - until)))
        self.ticks.restart()
        self._hole.keep()
        self.ticks.see(reading.begin, reading.end, energy)
        self._counter.begin(reading, energy)
        self._settling.start(until, reading.steady, energy, watts, (behind, 0.0), bound=watts * behind)
        return max(0.0, reading.steady - begin - self._hole.seconds)

    def _try_counter(self, reading: Reading, energy: float, events: list[str]) -> None:
        """While power is booked: go back to the counter once it can be trusted again."""
        if self.device.source == self.device.fallback:
            return
        watts = self._counter.trusted_again(reading, energy, telling=not self.power.waiting)
        if watts is not None:
            self._book_slices(self.power.flush())
            self._books.add(self.hand_overs.settled, variance=self.power.late_variance)
            self.counting = True
            self._counter.forget_trial()
            self._start_from(reading, energy, watts)
            events.append("counter_back")

    def _book_ticks(self, *, force: bool) -> None:
        self._settling.settle(self._books, force=force)
        if (settled := self._settling.settled) is not None:
            self._stand_in.forget(settled.at)
