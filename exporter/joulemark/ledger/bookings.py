"""From what a reading settled to the totals of windows and series."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from ..attribution.attribution import DeviceAccount
from ..attribution.booking import Booking, Settlement
from ..attribution.recent_power import MAX_BRIDGE_SECONDS, watts_together
from ..names import UNATTRIBUTED
from .changes import Changes
from .restart import Gap
from .state import State
from .windows import SeriesKey, Totals, Window

log = logging.getLogger(__name__)

UNCLAIMED = SeriesKey("", UNATTRIBUTED, "")
# What is noticed in a reading and is a gap, as it could not be joined to the one before; the first says most.
_BREAKS = ("counter_reset", "absurd_delta", "no_reading")


class Bookings:
    """Books energy: every joule of a device goes into one series, and into the window that held the device."""

    def __init__(self, state: State, changes: Changes) -> None:
        self._state = state
        self._changes = changes

    def series(self, key: SeriesKey) -> Totals:
        """The totals of a series, from 0 when it is new."""
        found = self._state.series.get(key)
        if found is None:
            found = self._state.series[key] = Totals()
        return found

    def book_taken(self, accounts: Iterable[DeviceAccount]) -> None:
        """Book what the readings settled that these have taken."""
        for account in accounts:
            try:
                self.book_all(account, account.settle())
            except Exception:
                # One that cannot be booked must not take others with it, nor who happens to look at the ledger.
                log.exception("device=%s energy could not be booked; going on", account.device.name)

    def book_all(self, account: DeviceAccount, settlement: Settlement) -> None:
        """Book what readings settled."""
        self._changes.devices.add(account.device.key)
        for booking in settlement.bookings:
            self._book(account, booking)

    def note_breaks(self, device: str, events: Sequence[str]) -> None:
        """Count what was noticed in one reading."""
        breaks = [event for event in _BREAKS if event in events]
        if breaks:
            self._note_break(device, breaks[0])

    def book_gap(self, account: DeviceAccount, gap: Gap) -> None:
        """Count a stretch that nothing tells of; all it may hold is uncertain for the windows that held the device."""
        self._note_break(account.device.key, gap.reason)
        account.gap_seconds += gap.seconds
        limit = account.device.power_limit_watts or 0.0
        for holders, seconds in gap.held:
            for holder in holders:
                if holder in self._state.windows:
                    self._book(account, Booking(holder, bound_joules=limit * seconds / len(holders)))

    def note_peak(self, account: DeviceAccount) -> None:
        """Compare the power of the windows that hold a device, all their devices together, with the highest so far.

        Once a round of readings, with the last of the devices that tell of a window's power.
        """
        for holder in account.hand_overs.current:
            window = self._state.windows[holder]
            if self._tells_last(account, holder, window):
                accounts = [self._state.accounts[key] for key in window.devices]
                telling = [x for x in accounts if holder in x.hand_overs.current and not x.failing]
                watts = watts_together([x.power.recent for x in telling])
                for totals in (window.totals, self.series(window.key)):
                    totals.peak_watts = max(totals.peak_watts, watts)

    def _tells_last(self, account: DeviceAccount, holder: str, window: Window) -> bool:
        """Whether none of the window's devices after this one tells of its power too."""
        since = account.power.recent.latest - MAX_BRIDGE_SECONDS
        for key in reversed(window.devices):
            other = self._state.accounts[key]
            if other is account:
                return True
            if other.power.recent.latest >= since and not other.failing and holder in other.hand_overs.current:
                return False
        return False

    def _book(self, account: DeviceAccount, booking: Booking) -> None:
        window = self._state.windows.get(booking.holder) if booking.holder else None
        key = window.key if window else UNCLAIMED
        self.series(key).book(account.device.key, booking, sensor=account.sensor)
        self._changes.of_series(key)
        if window:
            window.totals.book(account.device.key, booking, sensor=account.sensor)
            self._changes.windows.add(window.id)

    def _note_break(self, device: str, reason: str) -> None:
        breaks = self._state.breaks.setdefault(device, {})
        breaks[reason] = breaks.get(reason, 0) + 1
