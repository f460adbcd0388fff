"""The ledger: runs, windows and device accounts. Every state change of the product happens in here.

Nothing here reads hardware, waits or writes to disk: the meter brings readings and takes the changes away.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

from ..attribution.attribution import DeviceAccount
from ..attribution.booking import Settlement
from ..errors import DeviceHeld, InvalidField, LimitReached, UnknownName
from ..names import check_token_kind
from ..sources.base import Device, Reading
from . import windows as w
from .bookings import UNCLAIMED, Bookings
from .changes import Changes
from .idempotency import Answers
from .kept_runs import KeptRuns, Recall
from .lanes import Lanes
from .restart import unread
from .stage_time import StageTime
from .state import StageRequest, State
from .windows import SeriesKey, Window

# More windows than this at a time is no pipeline but a mistake, and would grow memory without bound.
OPEN_WINDOWS = 512


class Ledger:
    """All transitions and bookings, in the order in which they come; not thread-safe, the meter locks."""

    def __init__(self, state: State, *, origin: str = "measured", recall: Recall = lambda _: None) -> None:
        self.state = state
        self.changes = Changes(state)
        self.answers = Answers(state, self.changes)
        self.runs = KeptRuns(state, self.changes, recall, origin)
        self._lanes = Lanes()
        self._bookings = Bookings(state, self.changes)
        # The devices whose readings were taken and whose energy is not booked yet.
        self._taken: dict[str, None] = {}
        self._time = StageTime(self.changes)

    # -- devices and readings ------------------------------------------------------------------------------

    def attach(self, device: Device, steady: float, wall: float) -> DeviceAccount:
        """Make a device known, or go on with its account when its hardware counter can be read on."""
        known = self.state.accounts.get(device.key)
        account = DeviceAccount(device)
        if known is not None:
            gap = unread(known, device, self.state, steady, wall)
            if gap is not None:
                # It cannot be read on: what it had shown by then is known all the same.
                self._bookings.book_all(known, known.let_go())
            account = known.gone_on_with(device)
            if gap is not None:
                self._bookings.book_gap(account, gap)
        self.state.accounts[device.key] = account
        everywhere = [x for x in self._open_windows() if known is None and set(self._lanes) <= set(x.devices)]
        for window in everywhere if list(self._lanes) else []:
            # Who holds every device there is holds one that comes later too.
            window.devices.append(device.key)
            self.changes.of_window(window)
        self._lanes.open(device.key)
        self._bookings.series(UNCLAIMED).joules.setdefault(device.key, 0.0)
        for window in sorted(self._open_windows(), key=self._depth):
            if device.key in window.devices:
                self._lanes.push(device.key, window.key.run, window.id)
        self.changes.devices.add(device.key)
        self.changes.of_series(UNCLAIMED)
        return account

    def detach(self, device: Device) -> None:
        """A device is no longer read; what it used stays."""
        self._lanes.close(device.key)
        account = self.state.accounts[device.key]
        self._bookings.book_all(account, account.let_go())

    def resume(self, steady: float, wall: float) -> None:
        """After a start: close what ended while nobody looked, and let the rest run on.

        A window whose lease still holds takes the energy gained meanwhile; else it is unattributed.
        """
        for window in self._open_windows():
            gone = not any(device in self._lanes for device in window.devices)
            late = window.lease_until is not None and window.lease_until <= steady
            if gone or late:
                seen = [self.state.accounts[d].steady for d in window.devices if d in self.state.accounts]
                last = max((x for x in seen if x is not None), default=steady)
                ended_at = max(window.started_at, wall - max(0.0, steady - last))
                self._hand_over(self._close(window, w.EXPIRED, ended_at, last), last)
                self.state.counts.windows_expired += 1
        self._hand_over(list(self._lanes), steady)

    def take(self, device: Device, reading: Reading, wall: float) -> Settlement:
        """Take a reading of a device, after `expire` for its instant; what it settles is booked by `book`."""
        account = self.state.accounts[device.key]
        noticed = account.take(reading)
        self._taken[device.key] = None
        self.state.seen_at[device.key] = wall
        if noticed.events:
            self._bookings.note_breaks(device.key, noticed.events)
        if reading.watts is not None:
            self._bookings.note_peak(account)
        return noticed

    def book(self) -> None:
        """Book what readings settled that were taken."""
        self._bookings.book_taken([self.state.accounts[key] for key in self._taken])
        self._taken.clear()

    def fail(self, device: Device, steady: float, wall: float) -> Settlement:
        """A reading of a device failed at this instant."""
        self.expire(steady, wall)
        account = self.state.accounts[device.key]
        settlement = account.fail(steady)
        self._bookings.book_all(account, settlement)
        return settlement

    def expire(self, steady: float, wall: float) -> list[Window]:
        """Close the windows whose lease ended at or before `steady`; energy after that is unattributed."""
        late = [x for x in self._open_windows() if x.lease_until is not None and x.lease_until <= steady]
        late.sort(key=lambda window: window.lease_until or 0.0)
        for window in late:
            if not window.is_open:
                continue
            until = window.lease_until or steady
            self._hand_over(self._close(window, w.EXPIRED, wall - (steady - until), until), until)
            self.state.counts.windows_expired += 1
        return late

    # -- transitions ---------------------------------------------------------------------------------------

    def begin(self, request: StageRequest, steady: float, wall: float) -> tuple[Window, list[Window]]:
        """Open a window and return it with the windows it ended; refuses before it changes anything."""
        key = request.checked_key()
        names = {a.device.name: device for device, a in self.state.accounts.items() if device in self._lanes}
        devices = request.device_keys(names)
        parent = self._lanes.top(key.run, devices) if request.nest else None
        if parent and request.devices is None:
            # A nested stage works where the stage around it does.
            devices = list(self.state.windows[parent].devices)
        self._refuse_if_held(key.run, devices, request.share)
        self._refuse_if_full(key)
        run = self.runs.run(key.run, wall)
        if any(self.state.accounts[device].device.modelled for device in devices):
            run.origin = "modelled"
        ended, released = ([], set()) if parent else self._replace(key.run, devices, steady, wall)
        window = Window(
            id=uuid.uuid4().hex[:16], key=key, devices=devices, started_at=wall, share=request.share,
            parent=parent, lease_seconds=request.ttl_seconds,
        )  # fmt: skip
        window.renew(steady)
        self.state.windows[window.id] = window
        series = self._bookings.series(key)
        for device in devices:
            series.joules.setdefault(device, 0.0)
            window.totals.joules.setdefault(device, 0.0)
            self._lanes.push(device, key.run, window.id)
        self._hand_over(released.union(devices), steady)
        self.changes.of_window(window)
        return window, ended

    def heartbeat(self, window_id: str, tokens: Mapping[str, int], steady: float, wall: float) -> Window:
        """Renew a lease and take cumulative token counts; a count below the known one changes nothing."""
        for kind, count in tokens.items():
            check_token_kind(kind)
            if count < 0:
                raise InvalidField(
                    f"tokens.{kind} is {count}", field="tokens", remedy="send the cumulative count, 0 or more"
                )
        window = self._window(window_id)
        # First, as it may bring the run's totals back from disk.
        self.runs.run(window.key.run, wall)
        series = self._bookings.series(window.key)
        for kind, count in tokens.items():
            added = max(0, count - window.totals.tokens.get(kind, 0))
            window.totals.tokens[kind] = window.totals.tokens.get(kind, 0) + added
            series.tokens[kind] = series.tokens.get(kind, 0) + added
        if window.is_open:
            window.renew(steady)
        self._time.count_of(window.key, self._open_windows(), steady)
        self.changes.of_window(window)
        return window

    def end(
        self, window_id: str, tokens: Mapping[str, int], steady: float, wall: float, *, failed: bool = False
    ) -> Window:
        """End a window and give its devices back; ending an ended one changes nothing but late tokens."""
        window = self.heartbeat(window_id, tokens, steady, wall)
        if window.is_open:
            self._hand_over(self._close(window, w.FAILED if failed else w.ENDED, wall, steady), steady)
        return window

    def active(self) -> list[Window]:
        """The windows that are open, oldest first."""
        return sorted(self._open_windows(), key=lambda window: window.started_at)

    def count_seconds(self, steady: float) -> None:
        """Bring the seconds of every running window up to date."""
        self._time.count(self._open_windows(), steady)

    def forget_settled(self) -> None:
        """Drop ended windows to which nothing can be booked any more; all changes must have been taken away."""
        referenced = set().union(*[account.referenced for account in self.state.accounts.values()])
        for window in [x for x in self.state.windows.values() if not x.is_open and x.id not in referenced]:
            del self.state.windows[window.id]

    # -- inside --------------------------------------------------------------------------------------------

    def _open_windows(self) -> list[Window]:
        return [window for window in self.state.windows.values() if window.is_open]

    def _depth(self, window: Window) -> int:
        """How many stages it lies in; when they began is no help, as the wall clock may have been set since."""
        around = self.state.windows.get(window.parent or "")
        return 0 if around is None else 1 + self._depth(around)

    def _window(self, window_id: str) -> Window:
        window = self.state.windows.get(window_id)
        if window is None:
            raise UnknownName(f"no window {window_id!r}", field="id", remedy="GET /api/v1/stage lists the open windows")
        return window

    def _refuse_if_held(self, run: str, devices: list[str], share: bool) -> None:
        for device in devices:
            for holder in (self.state.windows[x] for x in self._lanes.of_others(run, device)):
                if not (share and holder.share):
                    raise DeviceHeld(
                        f"{self.state.accounts[device].device.name} is held by run {holder.key.run!r}, "
                        f"stage {holder.key.stage!r} (window {holder.id})",
                        field="devices",
                        remedy='end that window, name other devices, or set "share": true in both',
                    )

    def _refuse_if_full(self, key: SeriesKey) -> None:
        if len(self._open_windows()) >= OPEN_WINDOWS:
            raise LimitReached(
                f"{OPEN_WINDOWS} windows are open",
                field="stage",
                remedy="end some, or give them a lease: ttl_seconds",
            )
        self.runs.refuse_stage(key)

    def _replace(self, run: str, devices: list[str], steady: float, wall: float) -> tuple[list[Window], set[str]]:
        """Take the devices from this run's windows; those left with none are ended.

        Returns these, and the devices that are to be handed over.
        """
        ended, released = [], set()
        for window in self.active():
            if window.key.run != run or not set(window.devices) & set(devices):
                continue
            left = [device for device in window.devices if device not in devices]
            if left:
                released |= self._release(window, devices)
                window.devices = left
                self.changes.of_window(window)
            else:
                released |= self._close(window, w.REPLACED, wall, steady)
                ended.append(window)
        return ended, released

    def _close(self, window: Window, state: str, wall: float, steady: float) -> set[str]:
        """End a window and those nested in it; returns the devices that are to be handed over."""
        self._time.count_of(window.key, self._open_windows(), steady)
        window.state, window.ended_at, window.running_since = state, wall, None
        self.changes.of_window(window)
        children = [x for x in self._open_windows() if x.parent == window.id]
        released = set().union(*(self._close(child, state, wall, steady) for child in children))
        return released | self._release(window, window.devices)

    def _release(self, window: Window, devices: Iterable[str]) -> set[str]:
        for device in devices:
            self._lanes.remove(device, window.key.run, window.id)
        return set(devices)

    def _hand_over(self, devices: Iterable[str], steady: float) -> None:
        holders = {device: self._holders(device) for device in self._lanes}
        for device in holders.keys() & devices:
            self.state.accounts[device].change_holders(holders[device], steady)
            self.changes.devices.add(device)
        running = set().union(*holders.values())
        for window in self._open_windows():
            if window.id in running and window.running_since is None:
                window.state, window.running_since = w.ACTIVE, steady
                self.changes.windows.add(window.id)
            elif window.id not in running and window.state != w.SUSPENDED:
                self._time.count_of(window.key, self._open_windows(), steady)
                window.state, window.running_since = w.SUSPENDED, None
                self.changes.windows.add(window.id)

    def _holders(self, device: str) -> tuple[str, ...]:
        holders = self._lanes.holders(device)
        for holder in holders if len(holders) > 1 else ():
            if not self.state.windows[holder].shared:
                self.state.windows[holder].shared = True
                self.changes.windows.add(holder)
        return holders
