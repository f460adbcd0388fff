"""From the ledger to the immutable picture of it; what did not change is taken over from the picture before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..disk.history import by_name
from ..ledger.ledger import Ledger
from ..ledger.snapshot import Host, OpenStage, RunView, SeriesView, Snapshot
from ..ledger.state import Run
from ..ledger.windows import SeriesKey, Totals, Window
from .fleet import Fleet


class Views:
    """Makes pictures of one ledger; whoever calls it holds the ledger's lock."""

    def __init__(self, ledger: Ledger, fleet: Fleet, host: Host) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._host = host
        self._names: dict[str, str] = {}
        self._series: dict[SeriesKey, SeriesView] = {}
        self._runs: dict[str, RunView] = {}

    def snapshot(self) -> Snapshot:
        """The picture of this instant."""
        state, changes = self._ledger.state, self._ledger.changes
        self._look_anew()
        # An account whose hardware is gone keeps its joules under its old name.
        there = {device.key for device in self._fleet.devices}
        gone = [account for key, account in state.accounts.items() if key not in there]
        retired = Totals(joules={key: float(joules) for key, joules in state.retired.items()})
        series = [self._series[key] for key in sorted(state.series)]
        if any(retired.joules.values()):
            series.append(_series_view(retired_key(state.counts.comebacks), retired, self._names))
        picture = changes.picture
        changes.picture += 1
        return Snapshot(
            picture=picture,
            devices=tuple(self._fleet.views()),
            gone_joules=by_name({a.device.key: a.total_joules for a in gone}, self._names),
            series=tuple(series),
            runs=tuple(self._runs[name] for name in sorted(state.runs)),
            windows_expired=state.counts.windows_expired,
            runs_unseen=state.counts.runs_unseen,
            open_stages=tuple(_open_stages(self._ledger.active())),
            host=self._host,
        )

    def _look_anew(self) -> None:
        """Make the views of what changed, and drop those of what is gone."""
        state, changes = self._ledger.state, self._ledger.changes
        names = {key: account.device.name for key, account in state.accounts.items()}
        if names != self._names:
            self._names = names
            changes.stale |= set(state.series)
        kept = {}
        for key, totals in state.series.items():
            known = None if key in changes.stale else self._series.get(key)
            kept[key] = known or _series_view(key, totals, names)
        self._series = kept
        changes.stale.clear()
        self._runs = {name: self._run_view(run) for name, run in state.runs.items()}

    def _run_view(self, run: Run) -> RunView:
        scores, artifacts = sorted(run.scores.values()), sorted(run.artifacts.values())
        view = RunView(run.name, run.origin, dict(run.declared), tuple(scores), tuple(artifacts))
        known = self._runs.get(run.name)
        return known if known == view else view


def retired_key(comebacks: int) -> SeriesKey:
    """The series of runs that left memory: they used their joules all the same.

    When one comes back the series has less. As no counter may go down, it goes on under another phase.
    """
    return SeriesKey("", "retired", str(comebacks) if comebacks else "")


def _series_view(key: SeriesKey, totals: Totals, names: Mapping[str, str]) -> SeriesView:
    return SeriesView(
        key,
        by_name(totals.joules, names),
        by_name(totals.integral_joules, names),
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
