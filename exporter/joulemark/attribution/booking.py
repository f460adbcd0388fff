"""What a reading comes to: joules for each holder, with what is not known of them."""

from __future__ import annotations

from typing import NamedTuple

from .power_integral import Holders


class Booking(NamedTuple):
    """Joules for one holder; `holder` None is the energy that no window claims.

    `joules` is the account's energy, `integral_joules` the sampled power integrated, `variance` in joules squared
    what is not known of the energy, `bound_joules` what could be missing altogether.
    """

    holder: str | None
    joules: float = 0.0
    integral_joules: float = 0.0
    variance: float = 0.0
    bound_joules: float = 0.0


class Settlement(NamedTuple):
    """What readings settled, the time that was not seen, and what was noticed."""

    bookings: tuple[Booking, ...] = ()
    gap_seconds: float = 0.0
    events: tuple[str, ...] = ()

    @property
    def joules(self) -> float:
        """Energy settled in joules."""
        return sum(booking.joules for booking in self.bookings)


NOTHING = Settlement()


class Bookings:
    """Collects bookings by holder; what several hold is split equally."""

    def __init__(self) -> None:
        self._sums: dict[str | None, list[float]] = {}

    def add(
        self, holders: Holders, joules: float = 0.0, integral: float = 0.0, variance: float = 0.0, bound: float = 0.0
    ) -> None:
        """Add joules (and joules squared) of a stretch that these held."""
        parts = len(holders) or 1
        for holder in holders or (None,):
            sums = self._sums.get(holder)
            if sums is None:
                sums = self._sums[holder] = [0.0, 0.0, 0.0, 0.0]
            sums[0] += joules / parts
            sums[1] += integral / parts
            sums[2] += variance / parts**2
            sums[3] += bound / parts

    def take(self) -> tuple[Booking, ...]:
        """One booking a holder, of those that got anything; nothing is left."""
        sums_of, self._sums = self._sums, {}
        return tuple([Booking(holder, *sums) for holder, sums in sums_of.items() if any(sums)])
