"""What a holder of a device has used that is not booked yet, by the readings that were made already."""

from __future__ import annotations

from .attribution import DeviceAccount
from .estimate import Estimate, estimate
from .recent_power import MAX_BRIDGE_SECONDS
from .ticks import Tick


def pending(account: DeviceAccount, holder: str) -> Estimate:
    """An estimate of it, in joules; readings count that are not taken yet."""
    start, until = account.booked_until, account.coming.until(account.steady)
    if start is None or until is None:
        return Estimate()
    hand_overs = account.hand_overs
    if not account.failing:
        # Up to the latest hand-over power is taken as it was, if that is not too long.
        until = max(until, min(hand_overs.latest_at, until + MAX_BRIDGE_SECONDS))
    stints = hand_overs.stints(holder, start, until)
    if not stints:
        return Estimate()
    shown = account.coming.shown(account.device, stints[0].begin) or [Tick(start, 0.0, 0.0)]
    return estimate(stints, shown, *account.coming.watts(account.latest_watts, account.power.recent.most_watts))
