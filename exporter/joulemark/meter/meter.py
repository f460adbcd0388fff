"""The meter: reads the sources, feeds the ledger, commits it; the one lock of the exporter is in here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..clock import Clock
from ..disk import history
from ..disk.good_copy import connect
from ..disk.history import Record
from ..disk.ledger_file import Connect
from ..disk.store import Store
from ..errors import InvalidField, UnknownName
from ..factors import Factors
from ..ledger.ledger import Ledger
from ..ledger.snapshot import Artifact, DeviceView, Host, Score, Snapshot
from ..ledger.state import StageRequest
from ..ledger.windows import Window
from ..sources.base import Source
from .alarm import Alarm
from .durable import COMMIT_SECONDS, DurableLedger, OnItsWay
from .fleet import HUNG_SECONDS, PATIENCE_SECONDS, Fleet
from .views import Views

log = logging.getLogger(__name__)

# So many readings are booked before others get their turn, which goes on for so many seconds at most.
_AT_A_TIME, _BY_PARTS_SECONDS = 16, 0.02

Result = TypeVar("Result")


class Meter:
    """Owns fleet, ledger and store; every public method may be called from any thread.

    Devices are read every `interval` seconds or sooner, if something calls `fleet.look` whenever `fleet.next_reading`
    says so. With `threads` readings are made by threads of their own; without, in the caller's.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        state_dir: Path,
        clock: Clock,
        *,
        keep_runs: int = 20,
        interval: float = 0.1,
        threads: bool = False,
        factors: Factors = Factors(),  # noqa: B008  frozen
        gpus_present: int | None = None,
        connect: Connect = connect,
    ) -> None:
        self._clock = clock
        self._store = Store(state_dir, connect)
        modelled = any(device.modelled for source in sources for device in source.devices)
        state = self._store.load(keep_runs, clock.boot())
        self.ledger = Ledger(state, origin="modelled" if modelled else "measured", recall=self._store.recall)
        # What was found may have been put right while it was loaded: all of it is saved once.
        self.ledger.changes.everything()
        self._lock = threading.RLock()
        self.alarm = Alarm()
        self.fleet = Fleet(self.ledger, self._lock, clock, self.alarm.wake, interval=interval, threads=threads)
        self._durable = DurableLedger(self.ledger, self._store, self._lock, self.fleet.book, clock, keep_runs=keep_runs)
        self._host = Host(state.ledger_id, factors, gpus_present)
        self._views = Views(self.ledger, self.fleet, self._host)
        for source in sources:
            self.fleet.take(source)
        self.ledger.resume(clock.steady(), clock.wall())
        self.sample(patience=HUNG_SECONDS)
        self.keep_up()
        self._look(lambda: None)

    # -- readings ------------------------------------------------------------------------------------------

    def sample(self, patience: float = PATIENCE_SECONDS) -> None:
        """Read every device once and book what it gained; waits for slow devices only so long."""
        self.fleet.sample(patience=patience)

    def add_source(self, source: Source) -> None:
        """Take up a source that came later."""
        with self._durable.booked():
            self.fleet.take_late(source)
            self.ledger.resume(self._clock.steady(), self._clock.wall())

    def recover(self) -> None:
        """Try to get failing devices back; may wait for a driver."""
        if self.fleet.recover():
            with self._durable.booked():
                self.ledger.resume(self._clock.steady(), self._clock.wall())

    @property
    def factors(self) -> Factors:
        """What CO2e and cost are derived with."""
        return self._host.factors

    @property
    def saved_at(self) -> float:
        """When changes were last taken away to disk, in seconds of the steady clock."""
        return self._durable.saved_at

    def keep_up(self) -> None:
        """What is to be done about once a second; it waits for the disk no longer than it gives way to transitions.

        Where a transition has just saved what was booked, no other commit is made.
        """
        if self.fleet.threads:
            self._book_by_parts()
        steady = self._clock.steady()
        with self._durable.booked() as ledger:
            self.fleet.keep_up(steady)
            ledger.count_seconds(steady)
            if steady - self.saved_at >= COMMIT_SECONDS:
                self._durable.save()

    def keep_copy(self) -> int:
        """Renew the good copy of the ledger; returns its bytes, raises sqlite3.Error or OSError where it cannot be."""
        return self._store.keep_copy()

    def close(self) -> None:
        """Read and commit a last time and release everything; open windows stay open for the next start."""
        self.sample()
        self._look(lambda: None)
        if not self._store.close():
            log.error("ledger=%s could not be written: what it lacks is lost with this process", self._store.path)
        self.fleet.close()

    # -- transitions ---------------------------------------------------------------------------------------

    def begin(self, request: StageRequest, key: str = "") -> tuple[Record, list[Record]]:
        """Open a window: one reading ends the old one and begins the new one. Returns both summaries.

        Asked again with the same idempotency key it returns the same windows and changes nothing.
        """
        return self._transition(lambda now, wall: self._begin(request, key, now, wall))

    def begin_at_once(self, request: StageRequest, key: str = "") -> OnItsWay[tuple[Record, list[Record]]] | None:
        """`begin` for who may wait for nothing; None, and nothing is begun, where it has to."""

        def begin() -> tuple[Record, list[Record]] | None:
            # Where something is to be read from disk first, or devices in the caller's thread, that waits.
            if request.run not in self.ledger.state.runs or key in self.ledger.state.answered or not self.fleet.threads:
                return None
            return self._now(lambda now, wall: self._begin(request, key, now, wall))

        return self._durable.change_at_once(begin, self.fleet.plan_order)

    def heartbeat(self, window_id: str, tokens: Mapping[str, int]) -> Record:
        """Renew a lease and take cumulative token counts."""

        def renew() -> Record:
            self._find(window_id)
            return self.summary(self.ledger.heartbeat(window_id, tokens, self._clock.steady(), self._clock.wall()))

        return self._durable.change(renew)

    def end(self, window_id: str, tokens: Mapping[str, int], *, failed: bool = False) -> Record:
        """End a window; a repeated end answers the same and adds nothing but tokens not counted yet."""

        def end(now: float, wall: float) -> Record:
            self._find(window_id)
            return self.summary(self.ledger.end(window_id, tokens, now, wall, failed=failed))

        return self._transition(end)

    def active(self) -> list[Record]:
        """Summaries of the open windows, after a fresh reading."""
        self.sample()
        return self._look(lambda: [self.summary(window) for window in self.ledger.active()])

    def windows(self, limit: int, run: str | None = None) -> list[Record]:
        """Summaries of the windows that began last, newest first, after a fresh reading."""
        self.sample()
        self._look(lambda: None)
        found = self._store.windows(limit, run)
        with self._durable.booked():
            in_memory = self.ledger.state.windows
            return [self.summary(in_memory.get(window.id, window)) for window in found]

    def keyed_windows(self, prefix: str) -> dict[str, str]:
        """The open windows that were begun with an idempotency key that begins so: key to window."""
        with self._lock:
            return self.ledger.answers.open_windows(prefix)

    # -- runs ----------------------------------------------------------------------------------------------

    def declare(self, name: str, fields: Mapping[str, object]) -> None:
        """Say what a run is; fields given again replace the earlier ones."""
        self._durable.change(lambda: self.ledger.runs.declare(name, fields, self._clock.wall()))

    def score(
        self, name: str, benchmark: str, score: float, reference: float | None, n: int | None,
        stderr: float | None = None,
    ) -> None:  # fmt: skip
        """Keep a run's benchmark score."""
        found = Score(benchmark, score, reference, n, stderr)
        self._durable.change(lambda: self.ledger.runs.score(name, found, self._clock.wall()))

    def artifact(self, name: str, artifact: str, kind: str, role: str) -> None:
        """Keep that a run produced or consumed an artifact."""
        if role not in ("produced", "consumed"):
            raise InvalidField(f"role {role!r} is not known", field="role", remedy="use produced or consumed")
        found = Artifact(artifact, kind, role)
        self._durable.change(lambda: self.ledger.runs.artifact(name, found, self._clock.wall()))

    def prune(self, name: str) -> None:
        """Forget a run for ever; its joules stay in the totals of its devices."""
        self._durable.change(lambda: self.ledger.runs.prune(name))

    def runs(self, limit: int = 1000) -> list[Record]:
        """The runs, newest first, without their stages."""
        self.sample()
        self._look(lambda: None)
        with self._store.reading() as db:
            return history.list_runs(db, limit)

    def run_record(self, name: str) -> Record:
        """Full accounting of one run, after a fresh reading."""
        self.sample()
        self._look(lambda: None)
        with self._store.reading() as db:
            record = history.run_record(db, name)
        if record is None:
            raise UnknownName(f"no run {name!r}", field="run", remedy="GET /api/v1/runs lists the runs")
        return record

    # -- snapshot ------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A fresh, committed, immutable picture: what a scrape saw can never be lost again."""
        self.fleet.sample(vitals=True)
        snapshot = self._look(self._views.snapshot)
        return replace(snapshot, ledger=self._store.health(self.ledger.state.counts.files_set_aside))

    def saw(self, snapshot: Snapshot) -> None:
        """A scrape has got this picture: runs whose final values are in it may leave."""
        with self._lock:
            self.ledger.runs.saw(snapshot.picture)

    def devices(self) -> list[DeviceView]:
        """The devices with their latest readings, after a fresh one."""
        self.sample()
        return self._look(lambda: list(self.fleet.views()))

    def summary(self, window: Window) -> Record:
        """The summary of a window; joules that the counter has not confirmed yet are estimated and bounded."""
        return history.window_summary(window, self.ledger.state.accounts)

    # -- inside --------------------------------------------------------------------------------------------

    def _begin(self, request: StageRequest, key: str, steady: float, wall: float) -> tuple[Record, list[Record]]:
        known = self.ledger.answers.find(key, request) if key else None
        if known is not None:
            return self.summary(self._find(known.window)), [self.summary(self._find(x)) for x in known.ended]
        window, ended = self.ledger.begin(request, steady, wall)
        if key:
            self.ledger.answers.keep(key, request, window, ended)
        begun = history.window_summary(window, self.ledger.state.accounts, just_begun=True)
        return begun, [self.summary(x) for x in ended]

    def _book_by_parts(self) -> None:
        """Book what waits, for a while with turns for others in between: a transition must not wait for all of it."""
        until = self._clock.steady() + _BY_PARTS_SECONDS
        while self.fleet.book(_AT_A_TIME) and self._clock.steady() < until:
            self._durable.give_way()

    def _transition(self, change: Callable[[float, float], Result]) -> Result:
        """Make a change at this instant; the reading that it triggers is not waited for, nor a device that hangs."""
        if not self.fleet.threads:
            self.fleet.read()

        then = (lambda: self.fleet.plan_order()()) if self.fleet.threads else None
        return self._durable.change(lambda: self._now(change), then, booked=False)

    def _now(self, change: Callable[[float, float], Result]) -> Result:
        """Make a change at this instant, with what had ended by then closed."""
        steady, wall = self._clock.steady(), self._clock.wall()
        self.ledger.expire(steady, wall)
        return change(steady, wall)

    def _look(self, look: Callable[[], Result]) -> Result:
        """Look at the ledger as it is now, and answer when all that was seen is on disk."""

        def now() -> Result:
            self.ledger.count_seconds(self._clock.steady())
            return look()

        return self._durable.change(now)

    def _find(self, window_id: str) -> Window:
        """A window, brought back from disk where it has left memory."""
        window = self.ledger.state.windows.get(window_id) or self._store.window(window_id)
        if window is None:
            raise UnknownName(f"no window {window_id!r}", field="id", remedy="GET /api/v1/stage lists the open windows")
        return self.ledger.state.windows.setdefault(window.id, window)
