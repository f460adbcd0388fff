"""Pure attribution of one device: from readings to joules per holder. No clock, no lock, no disk.

Energy is booked when the hardware counter moves, not when it is read. Between two movements the account keeps
spans (who held the device, for how long, at what power); when the counter moves, the joules it gained are split
over these spans by power, by time where no power is known. So a counter that refreshes every 100 ms does not give
the joules of a whole refresh to whoever holds the device at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .sources.base import Device, Reading

# Power readings further apart than this are not bridged: what happened between them is not known.
MAX_BRIDGE_SECONDS = 2.0

Holders = tuple[str, ...]


@dataclass
class Span:
    """One stretch between two counter movements under the same holders."""

    holders: Holders
    seconds: float = 0.0
    sampled_joules: float = 0.0


@dataclass(frozen=True)
class Booking:
    """Joules for one holder; `holder` None is the energy that no window claims.

    `joules` is the account's energy, `integral_joules` the sampled power integrated (None without a sensor),
    `uncertainty_joules` what cannot be known of it.
    """

    holder: str | None
    joules: float = 0.0
    integral_joules: float | None = None
    uncertainty_joules: float = 0.0


@dataclass(frozen=True)
class Settlement:
    """What one reading settled: bookings whose joules add up to `joules`, and the time that was not seen."""

    joules: float = 0.0
    bookings: tuple[Booking, ...] = ()
    gap_seconds: float = 0.0
    gap_reason: str = ""


NOTHING = Settlement()


@dataclass
class DeviceAccount:
    """The running account of one device.

    `counter_joules` is the hardware counter when it last moved, `settled_steady` the instant of that reading.
    """

    device: Device
    total_joules: float = 0.0
    gap_seconds: float = 0.0
    counter_joules: float | None = None
    settled_steady: float | None = None
    steady: float | None = None
    watts: float | None = None
    sensor: bool = False
    spans: list[Span] = field(default_factory=lambda: [Span(())])
    boundaries: list[tuple[Holders, Holders, float]] = field(default_factory=list)
    failed: bool = False

    @property
    def holders(self) -> Holders:
        """Who holds the device now; empty when nobody does."""
        return self.spans[-1].holders

    def pending(self, holder: str) -> float:
        """Joules sampled for a holder that the counter has not confirmed yet."""
        return sum(s.sampled_joules / len(s.holders) for s in self.spans if holder in s.holders)

    def references(self, holder: str) -> bool:
        """Whether energy may still be booked to this holder."""
        return any(holder in span.holders for span in self.spans) or any(
            holder in before or holder in after for before, after, _ in self.boundaries
        )

    def change_holders(self, holders: Holders) -> None:
        """Hand the device over at the instant of the latest reading."""
        if holders == self.holders:
            return
        self.boundaries.append((self.holders, holders, self.watts or 0.0))
        self.spans.append(Span(holders))

    def advance(self, steady: float, watts: float | None, *, sensor: bool) -> None:
        """Move on to `steady` without settling: time and sampled joules go to the current holders."""
        if self.steady is not None and steady > self.steady:
            elapsed = steady - self.steady
            span = self.spans[-1]
            span.seconds += elapsed
            if sensor and watts is not None and self.watts is not None and elapsed <= MAX_BRIDGE_SECONDS:
                span.sampled_joules += (watts + self.watts) / 2 * elapsed
            elif sensor or elapsed > MAX_BRIDGE_SECONDS:
                self.failed = True
        self.steady = steady if self.steady is None else max(steady, self.steady)
        self.watts, self.sensor = watts, sensor

    def apply(self, reading: Reading) -> Settlement:
        """Take one reading; returns what it settled. The caller books it and adds it to nothing else."""
        first = self.steady is None
        self.advance(reading.steady, reading.watts, sensor=reading.sensor)
        if first:
            self.counter_joules, self.settled_steady = reading.energy_joules, reading.steady
            self.failed = False
            return NOTHING
        if reading.energy_joules is None:
            return self._settle_sampled(reading)
        return self._settle_counter(reading, reading.energy_joules)

    def _settle_sampled(self, reading: Reading) -> Settlement:
        """Power mode: what was sampled is what is booked; a hole is a gap, never a guess."""
        elapsed = self._elapsed(reading)
        if self.failed:
            return self._gap(reading, elapsed, "no_reading")
        if elapsed <= 0:
            return NOTHING
        return self._settle(reading, sum(span.sampled_joules for span in self.spans))

    def _settle_counter(self, reading: Reading, energy: float) -> Settlement:
        elapsed = self._elapsed(reading)
        before = self.counter_joules
        if before is None:
            return self._gap(reading, elapsed, "counter_appeared")
        gained = energy - before
        limit = self.device.power_limit_watts
        wrap = self.device.wrap_joules
        # A wrap is certain only while the device cannot have drawn a whole range since the last look.
        if gained < 0 and wrap and (limit is None or limit * elapsed < wrap):
            gained += wrap
        if gained < 0:
            return self._gap(reading, elapsed, "counter_reset")
        if limit is not None and gained > limit * (elapsed + 2 * (self.device.tick_seconds or 0.1)) + 1.0:
            return self._gap(reading, elapsed, "absurd_delta")
        if gained == 0:
            return NOTHING
        return self._settle(reading, gained)

    def _settle(self, reading: Reading, gained: float) -> Settlement:
        elapsed = self._elapsed(reading)
        gap = elapsed if self.failed else 0.0
        uncertain = self._boundary_uncertainty(gained, elapsed)
        shares = _shares(self.spans)
        bookings: dict[str | None, list[float]] = {}
        for span, share in zip(self.spans, shares, strict=True):
            for holder in span.holders or (None,):
                parts = len(span.holders) or 1
                entry = bookings.setdefault(holder, [0.0, 0.0])
                entry[0] += gained * share / parts
                entry[1] += span.sampled_joules / parts
        settled = [
            Booking(holder, joules, sampled if self.sensor else None, uncertain.pop(holder, 0.0))
            for holder, (joules, sampled) in bookings.items()
        ]
        settled += [Booking(holder, uncertainty_joules=joules) for holder, joules in uncertain.items()]
        self._restart(reading)
        total = sum(booking.joules for booking in settled)
        self.total_joules += total
        self.gap_seconds += gap
        return Settlement(total, tuple(settled), gap, "no_reading" if gap else "")

    def _boundary_uncertainty(self, gained: float, elapsed: float) -> dict[str | None, float]:
        """At most power x tick can have fallen on the wrong side of a boundary, or all that was gained in a hole."""
        bounds: dict[str | None, float] = {}
        tick = self.device.tick_seconds or 0.0
        mean = gained / elapsed if elapsed > 0 else 0.0
        unseen = self.failed or elapsed > 3 * tick + 0.5
        for before, after, watts in self.boundaries:
            bound = gained if unseen else max(watts, self.watts or 0.0, mean) * tick
            for holder in {*before, *after}:
                bounds[holder] = bounds.get(holder, 0.0) + bound
        return bounds

    def _gap(self, reading: Reading, elapsed: float, reason: str) -> Settlement:
        """Book nothing for a stretch that cannot be known, and say how much it could have been at most."""
        limit = self.device.power_limit_watts or 0.0
        bookings = tuple(
            Booking(holder, uncertainty_joules=limit * span.seconds) for span in self.spans for holder in span.holders
        )
        self._restart(reading)
        self.gap_seconds += elapsed
        return Settlement(0.0, bookings, elapsed, reason)

    def _restart(self, reading: Reading) -> None:
        self.counter_joules, self.settled_steady = reading.energy_joules, reading.steady
        self.spans, self.boundaries, self.failed = [Span(self.holders)], [], False

    def _elapsed(self, reading: Reading) -> float:
        return reading.steady - (self.settled_steady if self.settled_steady is not None else reading.steady)


def _shares(spans: list[Span]) -> list[float]:
    """Each span's part of what the counter gained, adding up to 1: by sampled energy, else by time."""
    for weights in ([s.sampled_joules for s in spans], [s.seconds for s in spans]):
        total = sum(weights)
        if total > 0 and (len(spans) == 1 or all(w > 0 or s.seconds == 0 for w, s in zip(weights, spans, strict=True))):
            return [weight / total for weight in weights]
    return [0.0] * (len(spans) - 1) + [1.0]
