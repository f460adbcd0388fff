"""The devices and how they are read: sources, health, recovery; every reading goes into the ledger."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from ..attribution.agreement import Agreement, Seen
from ..attribution.attribution import DeviceAccount
from ..attribution.booking import Settlement
from ..clock import Clock
from ..errors import ReadFailed
from ..ledger.bookings import UNCLAIMED
from ..ledger.ledger import Ledger
from ..ledger.snapshot import DeviceHealth, DeviceView
from ..ledger.windows import SeriesKey
from ..sources.base import Device, Reading, Source, Vitals
from .reader import SOON_SECONDS, Found, InlineReader, Look, Reader, ThreadedReader
from .schedule import Next, common_place, next_reading
from .timetable import Timetable
from .waiting import Waiting

log = logging.getLogger(__name__)

# How long a scrape or a listing waits for fresh readings; what comes later is booked all the same.
PATIENCE_SECONDS = 0.02
# A call into a driver that takes longer than this has hung, and what it answers is of no known instant.
HUNG_SECONDS = 1.0
# The readings that a transition triggers are made within so long: more workers would delay its answer.
_TRIGGERED_SECONDS = 0.01
# Regular readings of a known beat are not urgent: a worker may take this part of the interval for all of them.
_UNHURRIED = 0.4


class Fleet:
    """Reads every device of every source into the ledger; `lock` guards the ledger.

    With `threads` calls into drivers are made by threads of their own, and `wake` is called when the next reading is
    due sooner than `next_reading` last said. Nothing here may wait for a driver while it holds the lock.
    """

    def __init__(
        self, ledger: Ledger, lock: threading.RLock, clock: Clock, wake: Callable[[], None], *,
        interval: float, threads: bool,
    ) -> None:  # fmt: skip
        self._ledger, self._lock, self._clock, self._wake = ledger, lock, clock, wake
        self.threads = threads
        sinks = self._accept, self._accept_vitals
        self._reader: Reader = ThreadedReader(*sinks, clock, self._rested) if threads else InlineReader(*sinks, clock)
        self._timetable, self._waiting = Timetable(interval, clock.steady()), Waiting()
        self._place = 0.0  # Where on their beat devices are looked at, as far as they can be.
        self._sources: list[Source] = []
        self._read_by: dict[str, Source] = {}
        self.devices: list[Device] = []
        self._health = ledger.state.health  # In the ledger, as its counts go on through restarts.
        self._vitals: dict[str, Vitals | None] = {}
        self._agreement: dict[str, Agreement] = {}

    # -- readings ------------------------------------------------------------------------------------------

    def sample(self, *, patience: float = PATIENCE_SECONDS, vitals: bool = False) -> None:
        """Read every device once and book what it gained; waits for slow devices only so long."""
        self.read(patience=patience, vitals=vitals)
        self._notice_hung()
        self.book()

    def read(self, *, patience: float = PATIENCE_SECONDS, vitals: bool = False) -> None:
        """Read every device once; what it gained may be booked later."""
        with self._lock:
            looks = [Look(device, self._read_by[device.key], vitals=vitals) for device in self.devices]
            self._timetable.note(self._clock.steady(), self._read_by)
        self._reader.read(looks, patience)

    def plan_order(self) -> Callable[[], None]:
        """What has every device read, and waits for none; gauges only where they alone tell, or have no fresh value."""
        with self._lock:
            now, accounts = self._clock.steady(), self._ledger.state.accounts
            stale = self._timetable.stale(now)
            by_gauge = stale | {key for key, account in accounts.items() if not account.counting}
            looks = [Look(device, self._read_by[device.key], device.key in by_gauge) for device in self.devices]
        return lambda: self._order(looks, stale)

    def next_reading(self) -> float:
        """When the next reading is due; whoever asks waits until then, and is woken if one is due sooner."""
        with self._lock:
            return self._timetable.wait_for_next()

    def look(self, now: float) -> None:
        """Read the devices that are due by now: regularly with their gauges, else their counters alone."""
        with self._lock:
            regular, due = self._timetable.is_round(now), self._timetable.take(now)
            accounts = self._ledger.state.accounts
            devices = [x for x in self.devices if x.key in due]
            looks = [Look(x, self._read_by[x.key], due[x.key] or not accounts[x.key].counting) for x in devices]
        unhurried = _UNHURRIED * self._timetable.interval if all(due.values()) else 0.0
        self._reader.carry_out(looks, within=max(SOON_SECONDS, unhurried))
        if regular:
            self._notice_hung()

    def book(self, most: int | None = None) -> bool:
        """Book what was read and has waited; whoever looks at the ledger must call this first.

        A reading that changes nothing in what is to be read next waits; a transition waits for none, as who holds a
        device is kept with its account. With `most`, so many are taken at most; returns whether some still wait.
        """
        with self._lock:
            # A lease that has ended is closed first, at its own instant: what was read after it is nobody's.
            self._ledger.expire(self._clock.steady(), self._clock.wall())
            for found, wall in self._waiting.take(most):
                try:
                    self._take(found, wall)
                except Exception:
                    # One that cannot be booked must not take others with it, nor who happens to look at the ledger.
                    log.exception("device=%s reading could not be booked; going on", found.device.name)
            if self._waiting:
                return True
            self._ledger.book()
            for account in self._ledger.state.accounts.values():
                account.take_over()
            return False

    def _rested(self) -> None:
        """What was just read may want another reading before anybody looks again, or has waited for long enough."""
        with self._lock:
            if self._waiting.long:
                self.book()
            if self._timetable.is_sooner():
                self._wake()

    def keep_up(self, now: float) -> None:
        """Find anew where looks lie between the ticks of the devices, and compare each one's two estimators."""
        accounts = self._ledger.state.accounts
        self._place = common_place((accounts[device.key].ticks for device in self.devices), now)
        for device in self.devices:
            one, agreement = accounts[device.key], self._agreement[device.key]
            seen = Seen(now, one.total_joules, one.integral_joules, one.integral_variance)
            if agreement.note(seen if one.counting and one.sensor else None, one.gap_seconds):
                log.warning("device=%s event=estimators_%s", device.name, agreement)

    # -- sources -------------------------------------------------------------------------------------------

    def take(self, source: Source) -> None:
        """Take up a source with all its devices."""
        self._sources.append(source)
        for device in source.devices:
            self._attach(device, source)

    def take_late(self, source: Source) -> None:
        """Take up a source that came later; a model that stood in for it is not read any more."""
        log.warning("source=%s is there now", source.devices[0].source)
        models = [x for x in self._sources if all(device.modelled for device in x.devices)]
        # First, so that who holds every device there is holds the new ones too.
        self.take(source)
        for other in models:
            self._drop(other)

    def recover(self) -> bool:
        """Try to get failing devices back and take up what is new; true when there is. May wait for a driver."""
        before = len(self.devices)
        hung = frozenset(self._reader.hung(HUNG_SECONDS))
        for source in tuple(self._sources):
            failing = frozenset(device.key for device in source.devices if not self._health[device.key].up)
            # A driver that hangs in one call may hang in the next: such a device comes back by itself.
            source.recover(failing - hung)
            with self._lock:
                self._take_up(source)
        return len(self.devices) > before

    def close(self) -> None:
        """Release the sources, but for those in a call that hangs."""
        hung = self._reader.hung(HUNG_SECONDS)
        self._reader.close()
        for source in [x for x in self._sources if not any(device.key in hung for device in x.devices)]:
            source.close()

    def views(self) -> Iterable[DeviceView]:
        """Every device as it is now."""
        return [self._view(device) for device in self.devices]

    # -- inside --------------------------------------------------------------------------------------------

    def _order(self, looks: Iterable[Look], whole: Iterable[str]) -> None:
        # Where somebody is at the ledger it is not noted, and those are read once more than they need be.
        if self._lock.acquire(blocking=False):
            self._timetable.note(self._clock.steady(), whole)
            self._lock.release()
        self._reader.order(looks, _TRIGGERED_SECONDS)

    def _attach(self, device: Device, source: Source) -> None:
        self._read_by[device.key] = source
        self.devices.append(device)
        known = self._health.get(device.key, DeviceHealth())
        self._health[device.key] = DeviceHealth(reads=known.reads, errors=known.errors)
        self._agreement[device.key] = Agreement()
        self._timetable.add(device.key)
        self._ledger.attach(device, self._clock.steady(), self._clock.wall())

    def _take_up(self, source: Source) -> None:
        """Take up devices of a known source that are new, or came back another way than they were."""
        for device in [x for x in source.devices if x not in self.devices]:
            self.book()
            if device.key in self._read_by:
                self.devices = [device if known.key == device.key else known for known in self.devices]
                self._ledger.state.accounts[device.key].describe_anew(device)
            else:
                self._attach(device, source)

    def _drop(self, source: Source) -> None:
        self._sources.remove(source)
        for device in source.devices:
            self.devices.remove(device)
            del self._read_by[device.key]
            self._timetable.remove(device.key)
            self._ledger.detach(device)

    def _accept(self, found: Found) -> None:
        """Take a reading, or that it failed; book it unless that can wait."""
        key, wall = found.device.key, self._clock.wall()
        with self._lock:
            if key not in self._read_by:
                return
            self._waiting.add(found, wall)
            if isinstance(reading := found.outcome, Reading):
                account = self._ledger.state.accounts[key]
                account.coming.add(reading)
                plain = reading.energy_joules is not None and not reading.failed and found.seconds <= HUNG_SECONDS
                if not plain or reading.end >= account.quiet_until:
                    self._timetable.want(key, self._wanted(account, reading.end, plain))
            else:
                self.book()
                self._timetable.want(key, Next())

    def _wanted(self, account: DeviceAccount, at: float, plain: bool) -> Next:
        """When its device wants a reading beside the regular ones; books this one if it is needed to know that."""
        if plain and self._health[account.device.key].up:
            following = next_reading(account, at, self._place, self._timetable.longest)
            if following.waits:
                account.quiet_until = following.quiet_until
                return following
        self.book()
        return next_reading(account, at, self._place, self._timetable.longest)

    def _take(self, found: Found, wall: float) -> None:
        device, outcome = found.device, found.outcome
        if isinstance(outcome, Reading) and found.seconds > HUNG_SECONDS:
            outcome = ReadFailed("call_hung", f"a call took {found.seconds:.1f} s")
        if isinstance(outcome, ReadFailed):
            self._fail(device, outcome)
            return
        noticed = self._ledger.take(device, outcome, wall)
        health, errors = self._health[device.key], self._health[device.key].errors
        if outcome.failed:
            # What one of the two estimators missed says nothing of the other.
            self._agreement[device.key].restart()
            errors = {**errors, outcome.failed: errors.get(outcome.failed, 0) + 1}
        self._health[device.key] = DeviceHealth(True, health.reads + 1, errors, found.seconds, wall)
        if not health.up and health.errors:
            log.warning("device=%s reading again", device.name)
        if noticed.events:
            self._log(device, noticed)

    def _accept_vitals(self, device: Device, vitals: Vitals | None) -> None:
        with self._lock:
            self._vitals[device.key] = vitals

    def _fail(self, device: Device, error: ReadFailed) -> None:
        health = self._health[device.key]
        if health.up or not health.errors:
            log.warning("device=%s reading failed reason=%s detail=%s", device.name, error.reason, error)
        errors = {**health.errors, error.reason: health.errors.get(error.reason, 0) + 1}
        self._health[device.key] = health._replace(up=False, errors=errors)
        self._log(device, self._ledger.fail(device, self._clock.steady(), self._clock.wall()))

    def _notice_hung(self) -> None:
        """A call that does not return is a failed reading for as long as it does not."""
        for key, seconds in self._reader.hung(HUNG_SECONDS).items():
            with self._lock:
                self.book()
                if key in self._read_by:
                    error = ReadFailed("call_hung", f"a call has not returned for {seconds:.1f} s")
                    self._fail(self._ledger.state.accounts[key].device, error)

    def _log(self, device: Device, settlement: Settlement) -> None:
        for event in settlement.events:
            log.warning("device=%s event=%s gap_seconds=%.3f", device.name, event, settlement.gap_seconds)

    def _view(self, device: Device) -> DeviceView:
        account, windows = self._ledger.state.accounts[device.key], self._ledger.state.windows
        holders: tuple[SeriesKey, ...] = tuple(windows[x].key for x in account.hand_overs.current) or (UNCLAIMED,)
        health = self._health[device.key]
        return DeviceView(
            device=device, source=account.source, holders=holders, health=health,
            joules=account.total_joules, gap_seconds=account.gap_seconds,
            tick_seconds=account.ticks.known_seconds if account.counting else None,
            disagreement_ratio=self._agreement[device.key].disagreement_ratio if account.counting else None,
            sampling_ratio=self._agreement[device.key].sampling_ratio if account.counting else None,
            watts=account.watts if health.up else None, vitals=self._vitals.get(device.key) if health.up else None,
            breaks=dict(self._ledger.state.breaks.get(device.key, {})),
        )  # fmt: skip
