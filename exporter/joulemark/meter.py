"""The meter: reads the sources, feeds the ledger, commits it; the one lock of the exporter is in here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from . import history
from .clock import Clock
from .errors import InvalidField, UnknownName
from .factors import Factors
from .fleet import HUNG_SECONDS, PATIENCE_SECONDS, Fleet
from .ledger import RETIRED, Ledger
from .names import check_benchmark, check_run
from .snapshot import DeviceView, Host, OpenStage, RunView, SeriesView, Snapshot
from .sources.base import Source
from .state import StageRequest
from .store import Store
from .windows import SeriesKey, Totals, Window

Result = TypeVar("Result")


class Meter:
    """Owns fleet, ledger and store; every public method may be called from any thread.

    With `threads` readings are made by threads of their own, and something must call `sample` regularly. Without,
    every reading is made in the caller's thread.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        state_dir: Path,
        clock: Clock,
        *,
        keep_runs: int = 20,
        threads: bool = False,
        factors: Factors = Factors(),  # noqa: B008  frozen
        gpus_present: int | None = None,
    ) -> None:
        self._clock = clock
        self._keep_runs = keep_runs
        self._store = Store(state_dir)
        self._host = Host(self._store.ledger_id, factors, gpus_present)
        modelled = any(device.modelled for source in sources for device in source.devices)
        state = self._store.load(keep_runs, clock.boot())
        self.ledger = Ledger(state, origin="modelled" if modelled else "measured", recall=self._store.recall)
        self._lock = threading.RLock()
        self.fleet = Fleet(self.ledger, self._lock, clock, threads=threads)
        self._transition_made = threading.Event()
        self._commit_seconds = 0.0
        for source in sources:
            self.fleet.take(source)
        self.ledger.resume(clock.steady(), clock.wall())
        self.sample(patience=HUNG_SECONDS)
        self.commit()

    # -- readings ------------------------------------------------------------------------------------------

    def sample(self, patience: float = PATIENCE_SECONDS) -> None:
        """Read every device once and book what it gained; waits for slow devices only so long."""
        self.fleet.sample(patience=patience)

    def add_source(self, source: Source) -> None:
        """Take up a source that came later."""
        with self._lock:
            self.fleet.take_late(source)
            self.ledger.resume(self._clock.steady(), self._clock.wall())

    def recover(self) -> None:
        """Try to get failing devices back; may wait for a driver."""
        if self.fleet.recover():
            with self._lock:
                self.ledger.resume(self._clock.steady(), self._clock.wall())

    @property
    def factors(self) -> Factors:
        """What CO2e and cost are derived with."""
        return self._host.factors

    @property
    def sources(self) -> set[str]:
        """The names of the sources that are read."""
        return {device.source for device in self.fleet.devices}

    def wait_for_transition(self, seconds: float) -> bool:
        """Wait so long at most; true when a transition wants a reading at once."""
        woken = self._transition_made.wait(max(0.0, min(seconds, 1.0)))
        self._transition_made.clear()
        return woken

    def wake(self) -> None:
        """End a `wait_for_transition`."""
        self._transition_made.set()

    def commit(self) -> None:
        """Make all that is booked durable."""
        with self._lock:
            began = time.perf_counter()
            steady = self._clock.steady()
            self.ledger.count_seconds(steady)
            self.fleet.note_agreement(steady)
            self._store.save(self.ledger, self._clock.boot())
            self._commit_seconds = time.perf_counter() - began
            self.ledger.forget_runs(self._keep_runs)

    def close(self) -> None:
        """Read and commit a last time and release everything; open windows stay open for the next start."""
        self.sample()
        with self._lock:
            self.commit()
            self._store.close()
        self.fleet.close()

    # -- transitions ---------------------------------------------------------------------------------------

    def begin(self, request: StageRequest) -> tuple[dict[str, object], list[dict[str, object]]]:
        """Open a window: one reading ends the old one and begins the new one. Returns both summaries."""
        window, ended = self._transition(lambda now, wall: self.ledger.begin(request, now, wall))
        return self.summary(window), [self.summary(x) for x in ended]

    def heartbeat(self, window_id: str, tokens: Mapping[str, int]) -> dict[str, object]:
        """Renew a lease and take cumulative token counts."""
        with self._lock:
            window = self._find(window_id)
            window = self.ledger.heartbeat(window.id, tokens, self._clock.steady(), self._clock.wall())
            self.commit()
            return self.summary(window)

    def end(self, window_id: str, tokens: Mapping[str, int]) -> dict[str, object]:
        """End a window; a repeated end answers the same and adds nothing but tokens not counted yet."""
        with self._lock:
            ended = self._transition(lambda now, wall: self.ledger.end(self._find(window_id).id, tokens, now, wall))
            return self.summary(ended)

    def active(self) -> list[dict[str, object]]:
        """Summaries of the open windows, after a fresh reading."""
        self.sample()
        with self._lock:
            self.ledger.count_seconds(self._clock.steady())
            return [self.summary(window) for window in self.ledger.active()]

    def windows(self, limit: int, run: str | None = None) -> list[dict[str, object]]:
        """Summaries of the windows that began last, newest first, after a fresh reading."""
        self.sample()
        with self._lock:
            self.commit()
            open_ones = self.ledger.state.windows
            return [self.summary(open_ones.get(x.id, x)) for x in self._store.windows(limit, run)]

    # -- runs ----------------------------------------------------------------------------------------------

    def declare(self, name: str, fields: Mapping[str, object]) -> None:
        """Say what a run is; fields given again replace the earlier ones."""
        with self._lock:
            run = self.ledger.run(name, self._clock.wall())
            run.declared.update(fields)
            self.commit()

    def score(self, name: str, benchmark: str, score: float, reference: float | None, n: int | None) -> None:
        """Keep a run's benchmark score."""
        check_benchmark(benchmark)
        with self._lock:
            self.ledger.run(check_run(name), self._clock.wall())
            self._store.add_score(name, benchmark, score, reference, n)
            self.commit()

    def artifact(self, name: str, artifact: str, kind: str, role: str) -> None:
        """Keep that a run produced or consumed an artifact."""
        if role not in ("produced", "consumed"):
            raise InvalidField(f"role {role!r} is not known", field="role", remedy="use produced or consumed")
        with self._lock:
            self.ledger.run(check_run(name), self._clock.wall())
            self._store.add_artifact(name, artifact, kind, role)
            self.commit()

    def runs(self) -> list[dict[str, object]]:
        """The runs, newest first, without their stages."""
        self.sample()
        with self._lock:
            self.commit()
            return history.list_runs(self._store.connection)

    def run_record(self, name: str) -> dict[str, object]:
        """Full accounting of one run, after a fresh reading."""
        self.sample()
        with self._lock:
            self.commit()
            record = history.run_record(self._store.connection, name)
        if record is None:
            raise UnknownName(f"no run {name!r}", field="run", remedy="GET /api/v1/runs lists the runs")
        return record

    # -- snapshot ------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A fresh, committed, immutable picture: what a scrape saw can never be lost again."""
        self.fleet.sample(vitals=True)
        with self._lock:
            self.commit()
            state = self.ledger.state
            names = {key: account.device.name for key, account in state.accounts.items()}
            # An account whose hardware is gone keeps its joules under its old name.
            retired = Totals(joules={key: float(joules) for key, joules in state.retired.items()})
            gone = [account for key, account in state.accounts.items() if key not in self.fleet]
            return Snapshot(
                devices=tuple(self.fleet.views()),
                gone_joules=history.by_name({a.device.key: a.total_joules for a in gone}, names),
                series=tuple(
                    _series_view(key, totals, names)
                    for key, totals in (*sorted(state.series.items()), (RETIRED, retired))
                    if key != RETIRED or any(totals.joules.values())
                ),
                runs=tuple(
                    RunView(
                        run.name,
                        run.origin,
                        dict(run.declared),
                        *history.scores_and_artifacts(self._store.connection, run.name),
                    )
                    for run in sorted(state.runs.values(), key=lambda run: run.name)
                ),
                windows_expired=state.windows_expired,
                commit_seconds=self._commit_seconds,
                open_stages=tuple(_open_stages(self.ledger.active())),
                host=self._host,
            )

    def devices(self) -> list[DeviceView]:
        """The devices with their latest readings, after a fresh one."""
        self.sample()
        with self._lock:
            return list(self.fleet.views())

    def summary(self, window: Window) -> dict[str, object]:
        """The summary of a window; joules that the counter has not confirmed yet are estimated and bounded."""
        return history.window_summary(window, self.ledger.state.accounts)

    # -- inside --------------------------------------------------------------------------------------------

    def _transition(self, change: Callable[[float, float], Result]) -> Result:
        """Make a change at this instant; the reading that it triggers is not waited for, nor a device that hangs."""
        if not self.fleet.threads:
            self.sample()
        with self._lock:
            result = change(self._clock.steady(), self._clock.wall())
            self._transition_made.set()
            self.commit()
            return result

    def _find(self, window_id: str) -> Window:
        window = self.ledger.state.windows.get(window_id) or self._store.window(window_id)
        if window is None:
            raise UnknownName(f"no window {window_id!r}", field="id", remedy="GET /api/v1/stage lists the open windows")
        self.ledger.state.windows.setdefault(window.id, window)
        return self.ledger.state.windows[window.id]


def _series_view(key: SeriesKey, totals: Totals, names: Mapping[str, str]) -> SeriesView:
    return SeriesView(
        key,
        history.by_name(totals.joules, names),
        history.by_name(totals.integral_joules, names),
        totals.known_seconds,
        totals.known_bound_joules,
        dict(totals.tokens),
    )


def _open_stages(windows: Iterable[Window]) -> list[OpenStage]:
    """Each stage with an open window once for those with a lease and once for those without: its oldest window."""
    oldest: dict[tuple[SeriesKey, bool], float] = {}
    for window in windows:
        stage = (window.key, window.lease_seconds is not None)
        oldest[stage] = min(window.started_at, oldest.get(stage, window.started_at))
    return [OpenStage(key, at, leased) for (key, leased), at in sorted(oldest.items())]
